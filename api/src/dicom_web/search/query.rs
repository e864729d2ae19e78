//! What is asked for (PS3.18, 8.3.4; PS3.4, C.2.2.2).

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use lobar_core::study::{Condition, Level, Name, Number, Pattern, Text, Uid, made_at};
use lobar_core::time::Stamp;

use crate::problem::{Kind, Problem};

/// UIDs in one list, and attributes that are asked for.
const UIDS_MAX: usize = 500;
const PAIRS_MAX: usize = 100;
/// Characters of a value. A longer list of UIDs is one of too many.
const VALUE_MAX: usize = 40_000;
const PATTERN_MAX: usize = 256;
const DAY: i64 = 86_400_000_000;

/// Further attributes of the answer.
#[derive(Default)]
pub(super) struct Include {
    pub(super) all: bool,
    pub(super) tags: Vec<Tag>,
}

/// A query, read.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) conditions: Vec<Condition>,
    pub(super) include: Include,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    pub(super) fuzzy: bool,
    pub(super) accept: Option<String>,
    /// Keywords of the attributes that are matched.
    pub(super) matched: Vec<String>,
    /// Of those that are not.
    pub(super) ignored: Vec<String>,
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::BadParameter, detail)
}

impl Asked {
    /// Reads the pairs of a query.
    ///
    /// # Errors
    /// 400: no attribute has that name, or the value is none of it. The value is not repeated: it may be personal.
    pub(super) fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        if pairs.len() > PAIRS_MAX {
            return Err(bad(format!("At most {PAIRS_MAX} parameters.")));
        }
        let mut asked = Self::default();
        for (name, value) in pairs {
            if value.len() > VALUE_MAX {
                return Err(bad(format!("A value has at most {VALUE_MAX} bytes.")));
            }
            let number = || {
                value.parse::<usize>().map_err(|_| bad(format!("`{name}` takes a whole number.")))
            };
            match name.as_str() {
                "limit" => match number()? {
                    0 => return Err(bad("`limit` is 1 at least.")),
                    limit => asked.limit = Some(limit),
                },
                "offset" => asked.offset = number()?,
                "fuzzymatching" => match value.as_str() {
                    "true" => asked.fuzzy = true,
                    "false" | "" => {}
                    _ => return Err(bad("`fuzzymatching` takes true or false.")),
                },
                "accept" => asked.accept = Some(value),
                "includefield" => asked.include(&value)?,
                _ => asked.attribute(&name, &value)?,
            }
        }
        Ok(asked)
    }

    fn include(&mut self, value: &str) -> Result<(), Problem> {
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "all" => self.include.all = true,
                _ => self.include.tags.push(attribute(name)?.0),
            }
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let (tag, keyword) = attribute(name)?;
        let value = value.trim();
        if value.contains(char::is_control) {
            return Err(bad(format!("`{keyword}` has a control character.")));
        }
        // Universal matching (C.2.2.2.3): the attribute is wanted, and anything matches.
        if Pattern::new(value).is_universal() {
            self.include.tags.push(tag);
            return Ok(());
        }
        match condition(tag, keyword, value)? {
            Some(condition) => {
                self.conditions.push(condition);
                self.matched.push(keyword.to_owned());
            }
            None => self.ignored.push(keyword.to_owned()),
        }
        Ok(())
    }
}

/// An attribute by its keyword or its eight digits; of a sequence's, the first.
fn attribute(name: &str) -> Result<(Tag, &'static str), Problem> {
    let first = name.split('.').next().unwrap_or_default();
    let digits = first.len() == 8 && first.bytes().all(|byte| byte.is_ascii_hexdigit());
    let entry = match digits {
        true => {
            let part = |range| u16::from_str_radix(&first[range], 16).unwrap_or_default();
            StandardDataDictionary.by_tag(Tag(part(0..4), part(4..8)))
        }
        false => StandardDataDictionary.by_name(first),
    };
    let entry = entry.filter(|_| !first.contains(','));
    let entry = entry.ok_or_else(|| bad("A parameter is neither an attribute's keyword nor its tag, such as `PatientID` or `00100020`."))?;
    Ok((entry.tag(), entry.alias()))
}

fn condition(tag: Tag, keyword: &str, value: &str) -> Result<Option<Condition>, Problem> {
    let text = |text| Ok(Some(Condition::Text(text, pattern(keyword, value)?)));
    let name = |name| Ok(Some(Condition::Name(name, pattern(keyword, value)?)));
    let number = |number| {
        let value = value.parse().map_err(|_| bad(format!("`{keyword}` takes a whole number.")))?;
        Ok(Some(Condition::Number(number, value)))
    };
    match tag {
        tags::STUDY_INSTANCE_UID => Ok(Some(Condition::Uids(Level::Study, uids(keyword, value)?))),
        tags::SERIES_INSTANCE_UID => {
            Ok(Some(Condition::Uids(Level::Series, uids(keyword, value)?)))
        }
        tags::SOP_INSTANCE_UID => Ok(Some(Condition::Uids(Level::Instance, uids(keyword, value)?))),
        tags::SOP_CLASS_UID => Ok(Some(Condition::Classes(uids(keyword, value)?))),
        tags::PATIENT_ID => text(Text::PatientId),
        tags::ISSUER_OF_PATIENT_ID => text(Text::Issuer),
        tags::PATIENT_SEX => text(Text::Sex),
        tags::ACCESSION_NUMBER => text(Text::Accession),
        tags::STUDY_ID => text(Text::StudyId),
        tags::STUDY_DESCRIPTION => text(Text::StudyDescription),
        tags::SERIES_DESCRIPTION => text(Text::SeriesDescription),
        tags::BODY_PART_EXAMINED => text(Text::BodyPart),
        tags::PATIENT_NAME => name(Name::Patient),
        tags::REFERRING_PHYSICIAN_NAME => name(Name::ReferringPhysician),
        tags::SERIES_NUMBER => number(Number::Series),
        tags::INSTANCE_NUMBER => number(Number::Instance),
        tags::ROWS => number(Number::Rows),
        tags::COLUMNS => number(Number::Columns),
        tags::MODALITY | tags::MODALITIES_IN_STUDY => {
            let some =
                value.split([',', '\\']).map(str::trim).filter(|one| !one.is_empty()).take(50);
            let some = some.map(|one| pattern(keyword, one)).collect::<Result<_, _>>()?;
            Ok(Some(match tag {
                tags::MODALITY => Condition::Modality(some),
                _ => Condition::ModalityInStudy(some),
            }))
        }
        tags::STUDY_DATE => {
            let (from, to) = range(value);
            let day = |text: &str| {
                made_at(Some(text), None).ok_or_else(|| {
                    bad(format!("`{keyword}` takes YYYYMMDD, or two with `-` between them."))
                })
            };
            let from = from.map(day).transpose()?.unwrap_or(Stamp(i64::MIN));
            let to = to
                .map(day)
                .transpose()?
                .map_or(Stamp(i64::MAX), |to| Stamp(to.0.saturating_add(DAY)));
            Ok(Some(Condition::Made(from, to)))
        }
        tags::STUDY_TIME => {
            let (from, to) = range(value);
            let second = |text: &str, last| {
                second(text, last).ok_or_else(|| {
                    bad(format!("`{keyword}` takes HHMMSS, or two with `-` between them."))
                })
            };
            let from = from.map(|from| second(from, false)).transpose()?.unwrap_or(0);
            let to = to.map(|to| second(to, true)).transpose()?.unwrap_or(86_400);
            Ok(Some(Condition::TimeOfDay(from, to)))
        }
        tags::PATIENT_BIRTH_DATE => {
            let (from, to) = range(value);
            let day = |text: &str| match made_at(Some(text), None) {
                Some(_) => Ok(text.to_owned()),
                None => {
                    Err(bad(format!("`{keyword}` takes YYYYMMDD, or two with `-` between them.")))
                }
            };
            Ok(Some(Condition::Born(from.map(day).transpose()?, to.map(day).transpose()?)))
        }
        _ => Ok(None),
    }
}

fn pattern(keyword: &str, value: &str) -> Result<Pattern, Problem> {
    match value.chars().count() <= PATTERN_MAX {
        true => Ok(Pattern::new(value)),
        false => Err(bad(format!("`{keyword}` takes {PATTERN_MAX} characters at most."))),
    }
}

fn uids(keyword: &str, value: &str) -> Result<Vec<Uid>, Problem> {
    let uids: Option<Vec<Uid>> = value.split([',', '\\']).map(Uid::parse).collect();
    let uids =
        uids.ok_or_else(|| bad(format!("`{keyword}` takes UIDs with commas between them.")))?;
    match uids.len() <= UIDS_MAX {
        true => Ok(uids),
        false => Err(bad(format!("`{keyword}` takes {UIDS_MAX} UIDs at most."))),
    }
}

/// From and to; a single value is both (C.2.2.2.5).
fn range(value: &str) -> (Option<&str>, Option<&str>) {
    let some = |text: &'_ str| !text.is_empty();
    match value.split_once('-') {
        Some((from, to)) => {
            (Some(from.trim()).filter(|it| some(it)), Some(to.trim()).filter(|it| some(it)))
        }
        None => (Some(value), Some(value)),
    }
}

/// The first or the last second of a day that a time names: `HH`, `HHMM`, `HHMMSS`, with fractions or without.
fn second(text: &str, last: bool) -> Option<u32> {
    let digits = text.split('.').next().unwrap_or_default();
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let missing = if last { 59 } else { 0 };
    let part = |range| digits.get(range).map_or(Some(missing), |part: &str| part.parse().ok());
    let (hour, minute, second): (u32, u32, u32) = (part(0..2)?, part(2..4)?, part(4..6)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Asked, Problem> {
        Asked::read(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn keywords_and_tags_are_the_same_and_anything_else_is_refused() {
        let (one, other) = (read(&[("PatientID", "7")]), read(&[("00100020", "7")]));
        let conditions = |asked: Result<Asked, Problem>| asked.expect("read").conditions;
        assert!(conditions(one) == conditions(other));
        for name in ["0010,0020", "patient", "PatientID,", "(0010,0020)", "001000200"] {
            assert!(read(&[(name, "7")]).is_err(), "{name}");
        }
        let asked = read(&[
            ("InstitutionName", "x"),
            ("PatientName", "*"),
            ("includefield", "00081030,all"),
        ]);
        let asked = asked.expect("read");
        assert_eq!(asked.ignored, ["InstitutionName"]);
        assert!(asked.conditions.is_empty() && asked.include.all);
        assert_eq!(asked.include.tags, [tags::PATIENT_NAME, tags::STUDY_DESCRIPTION]);
    }

    #[test]
    fn what_no_attribute_can_mean_is_refused() {
        for (name, value) in [
            ("StudyDate", "yesterday"),
            ("StudyDate", "20261301"),
            ("StudyTime", "25"),
            ("StudyInstanceUID", "1.2,x"),
            ("SeriesNumber", "one"),
            ("PatientID", "7\u{0}"),
            ("limit", "0"),
            ("limit", "-1"),
            ("offset", "x"),
            ("fuzzymatching", "1"),
            ("includefield", "nothing"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn ranges_are_open_at_either_end() {
        assert_eq!(range("20260101"), (Some("20260101"), Some("20260101")));
        assert_eq!(range("20260101-"), (Some("20260101"), None));
        assert_eq!(range("-20260101"), (None, Some("20260101")));
        assert_eq!((second("10", false), second("10", true)), (Some(36_000), Some(39_599)));
    }
}
