//! Ages as files write them (PS3.5, 6.2, AS: three digits and a unit), and what an image tells of its patient's age.

use super::{Attributes, age_on, day_of};
use crate::time::Stamp;

/// A bare number is years from here on: months are written up to two years of age, so below it could be either.
const YEARS_FROM: u32 = 25;
/// Nobody is older, years.
const OLDEST: u32 = 130;

/// An age in the standard's form, `062Y`, from what files have: `62Y`, `62 y`, `Y062`, `62 YRS`, and numbers without a
/// unit (`62`, `062`) from 25 to 130, which can only be years. `None` of anything else, also of `3`: that may be months.
pub fn read_age(text: &str) -> Option<String> {
    let word: String = text.chars().filter(|c| !c.is_whitespace() && *c != '\0').collect();
    let word = word.to_ascii_uppercase();
    let digits = word.trim_matches(|c: char| c.is_ascii_alphabetic());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    let unit = match word.split_once(digits)? {
        ("", after) => after,
        (before, "") => before,
        _ => return None,
    };
    let unit = match unit {
        "D" | "DAY" | "DAYS" => 'D',
        "W" | "WK" | "WKS" | "WEEK" | "WEEKS" => 'W',
        "M" | "MO" | "MOS" | "MON" | "MONTH" | "MONTHS" => 'M',
        "Y" | "YR" | "YRS" | "YEAR" | "YEARS" => 'Y',
        "" if word == digits && (YEARS_FROM..=OLDEST).contains(&number) => 'Y',
        _ => return None,
    };
    (number < 1_000).then(|| format!("{number:03}{unit}"))
}

/// What an image tells of its patient's age at the study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgeTold {
    /// It says nothing of whose it is.
    Nothing,
    /// It says something, but no age.
    Unknown,
    /// Completed years, by the birth date and as it is stated: they may contradict each other.
    Years(Vec<u32>),
}

impl AgeTold {
    /// By the birth date on the day of the study, or of its acquisition; by Patient's Age; and where there is neither, by the
    /// birth date on the day when it was `received`.
    pub fn of(attributes: Option<&Attributes>, received: Stamp) -> Self {
        let Some(Attributes { patient, study, instance, .. }) = attributes else {
            return Self::Nothing;
        };
        let born = patient.birth_date.as_deref();
        let day = study.date.as_deref().or(instance.date.as_deref());
        let computed = born.zip(day).and_then(|(born, day)| age_on(day, born));
        let mut ages: Vec<u32> =
            [computed, patient.age.clone()].iter().flatten().filter_map(|age| years(age)).collect();
        if ages.is_empty() && day.is_none() {
            let age = born.and_then(|born| age_on(&day_of(received), born));
            ages.extend(age.and_then(|age| years(&age)));
        }
        if ages.is_empty() { Self::Unknown } else { Self::Years(ages) }
    }
}

/// Completed years of an age in the standard's form.
fn years(age: &str) -> Option<u32> {
    let (digits, unit) = age.split_at_checked(3)?;
    let number: u32 = digits.parse().ok()?;
    match unit {
        "Y" => Some(number),
        "M" => Some(number / 12),
        "W" => Some(number * 7 / 365),
        "D" => Some(number * 100 / 36_525),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_read_however_it_is_written_and_a_number_alone_only_where_it_must_be_years() {
        for (text, age) in [
            ("062Y", Some("062Y")),
            ("62Y", Some("062Y")),
            ("62 y ", Some("062Y")),
            ("Y062", Some("062Y")),
            ("62 YRS", Some("062Y")),
            ("62\0", Some("062Y")),
            ("062", Some("062Y")),
            ("0062", Some("062Y")),
            ("25", Some("025Y")),
            ("18M", Some("018M")),
            ("005D", Some("005D")),
            ("24", None),
            ("3", None),
            ("000", None),
            ("0620", None),
            ("1000Y", None),
            ("99999999999Y", None),
            ("Y62Y", None),
            ("2Y6M", None),
            ("6.5Y", None),
            ("-3Y", None),
            ("Y", None),
            ("ü", None),
            ("", None),
        ] {
            assert_eq!(read_age(text).as_deref(), age, "{text:?}");
        }
    }

    fn told(born: &str, age: &str, study: &str, acquired: &str) -> AgeTold {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let mut attributes = Attributes::default();
        attributes.patient.birth_date = some(born);
        attributes.patient.age = some(age);
        attributes.study.date = some(study);
        attributes.instance.date = some(acquired);
        // 2026-01-01.
        AgeTold::of(Some(&attributes), Stamp(1_767_225_600_000_000))
    }

    #[test]
    fn an_age_is_told_by_the_birth_date_and_by_the_age() {
        let years = |ages: &[u32]| AgeTold::Years(ages.to_vec());
        assert_eq!(told("20200102", "", "20260101", ""), years(&[5]));
        assert_eq!(told("20200101", "", "", "20260101"), years(&[6]));
        assert_eq!(told("20200601", "062Y", "20230101", ""), years(&[2, 62]));
        assert_eq!(told("", "071M", "", ""), years(&[5]));
        assert_eq!(told("", "366D", "", ""), years(&[1]));
        assert_eq!(told("", "052W", "", ""), years(&[0]));
        assert_eq!(told("20200101", "003Y", "", ""), years(&[3]), "the day of receipt says less");
        assert_eq!(told("19600101", "", "", ""), years(&[66]));
        assert_eq!(told("20270101", "", "20260101", ""), AgeTold::Unknown, "born after it");
        assert_eq!(told("", "", "20260101", ""), AgeTold::Unknown);
        assert_eq!(AgeTold::of(None, Stamp(0)), AgeTold::Nothing);
    }
}
