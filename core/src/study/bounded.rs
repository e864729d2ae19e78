//! What is kept of attributes: nothing in them can make a store refuse them.
//!
//! Lengths are well above those of PS3.5, 6.2, which devices do not keep to.

use super::{Attributes, PatientId, day_of, made_at, read_age};

/// Longest id of a patient or its issuer, in characters. A longer one is none: cut off it could be another patient's.
const ID: usize = 128;
/// Longest name, in characters: three groups of 64, and as much again.
const NAME: usize = 384;
/// Longest description.
const TEXT: usize = 256;
/// Longest code or number: accession, modality, view. A longer accession is none: cut off it could be another order's.
const SHORT: usize = 64;

impl Attributes {
    /// The same within bounds: without control characters and padding, texts cut off where they are too long, and
    /// what is no date, time, sex or age left out. An id that is too long, or has control characters in it, is none,
    /// and so is an accession that is too long.
    pub fn bounded(mut self) -> Self {
        self.patient.id = self.patient.id.bounded();
        let patient = &mut self.patient;
        text(&mut patient.name, NAME);
        keep(&mut patient.birth_date, date);
        keep(&mut patient.sex, sex);
        keep(&mut patient.age, read_age);
        let study = &mut self.study;
        text(&mut study.id, SHORT);
        study.accession =
            study.accession.take().filter(|given| given.trim().chars().count() <= SHORT);
        text(&mut study.accession, SHORT);
        keep(&mut study.date, date);
        keep(&mut study.time, time);
        text(&mut study.description, TEXT);
        text(&mut study.referring_physician, NAME);
        let series = &mut self.series;
        text(&mut series.modality, SHORT);
        text(&mut series.description, TEXT);
        text(&mut series.body_part, SHORT);
        let instance = &mut self.instance;
        text(&mut instance.view_position, SHORT);
        keep(&mut instance.date, date);
        keep(&mut instance.time, time);
        text(&mut instance.photometric_interpretation, SHORT);
        self
    }
}

impl PatientId {
    /// The same within bounds: see [`Attributes::bounded`].
    pub fn bounded(&self) -> Self {
        let kept = |text: &str| {
            let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
            let whole = text.chars().count() <= ID && !text.chars().any(char::is_control);
            whole.then(|| text.to_owned())
        };
        match (kept(&self.issuer), kept(&self.id)) {
            (Some(issuer), Some(id)) if !id.is_empty() => Self { issuer, id },
            _ => Self::default(),
        }
    }
}

fn text(value: &mut Option<String>, longest: usize) {
    let Some(given) = value.take() else { return };
    let plain: String = given.chars().filter(|c| !c.is_control()).collect();
    let kept: String = plain.trim().chars().take(longest).collect();
    *value = Some(kept.trim_end().to_owned()).filter(|text| !text.is_empty());
}

fn keep(value: &mut Option<String>, read: fn(&str) -> Option<String>) {
    *value = value.take().and_then(|given| read(given.trim()));
}

/// `YYYYMMDD`, of a day of the calendar; also from `YYYY.MM.DD`, as ACR-NEMA had it (PS3.5, 6.2, DA).
fn date(text: &str) -> Option<String> {
    let text = match text.as_bytes() {
        [_, _, _, _, b'.', _, _, b'.', _, _] => text.replace('.', ""),
        _ => text.to_owned(),
    };
    (day_of(made_at(Some(&text), None)?) == text).then_some(text)
}

/// `HHMMSS`, or as much of it as there is; without fractions.
fn time(text: &str) -> Option<String> {
    let text: String = text.split('.').next().unwrap_or_default().replace(':', "");
    let digits = matches!(text.len(), 2 | 4 | 6) && text.bytes().all(|byte| byte.is_ascii_digit());
    let part =
        |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u32>().ok());
    let within = |range, most| part(range).is_none_or(|part| part <= most);
    // A leap second is one.
    (digits && within(0..2, 23) && within(2..4, 59) && within(4..6, 60)).then_some(text)
}

fn sex(text: &str) -> Option<String> {
    let word = text.to_ascii_uppercase();
    matches!(word.as_str(), "M" | "F" | "O").then_some(word)
}

#[cfg(test)]
mod tests {
    use super::super::Patient;
    use super::*;

    fn id(id: &str) -> PatientId {
        PatientId { issuer: String::new(), id: id.into() }.bounded()
    }

    #[test]
    fn an_id_is_whole_or_none() {
        assert_eq!(id(" 71\0").id, "71");
        for none in ["", "  ", "7\u{0}1", "7\n1", &"7".repeat(129)] {
            assert!(id(none) == PatientId::default(), "{none}");
        }
        let issuer = PatientId { issuer: "a".repeat(129), id: "71".into() };
        assert!(issuer.bounded() == PatientId::default());
    }

    #[test]
    fn texts_are_cut_off_and_what_is_no_date_time_sex_or_age_is_left_out() {
        let patient = Patient {
            name: Some(format!("D\0oe^{}", "é".repeat(2_000))),
            birth_date: Some("20231301".into()),
            sex: Some("f".into()),
            age: Some("eighteen".into()),
            ..Patient::default()
        };
        let mut attributes = Attributes { patient, ..Attributes::default() };
        attributes.study.time = Some("1205".into());
        attributes.study.date = Some("20260228".into());
        attributes.study.description = Some("\u{1}\u{2}".into());
        attributes.instance.time = Some("250000".into());
        attributes.study.accession = Some("A".repeat(65));
        attributes.instance.date = Some("2021.03.02".into());
        let kept = attributes.bounded();
        let name = kept.patient.name.expect("a name");
        assert!(name.starts_with("Doe^é") && name.chars().count() == NAME);
        assert!(kept.patient.birth_date.is_none() && kept.patient.age.is_none());
        assert_eq!(kept.patient.sex.as_deref(), Some("F"));
        assert_eq!(kept.study.time.as_deref(), Some("1205"));
        assert_eq!(kept.study.date.as_deref(), Some("20260228"));
        assert!(kept.study.description.is_none() && kept.instance.time.is_none());
        assert!(kept.study.accession.is_none(), "cut off it could be another order's");
        assert_eq!(kept.instance.date.as_deref(), Some("20210302"));
        for none in ["20260231", "2021.3.2", "2021.03.32", "20250229"] {
            assert!(date(none).is_none(), "{none}");
        }
    }
}
