//! Whose image it is, and which, as the data set says.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use lobar_core::study::{Attributes, Instance, Patient, PatientId, Series, Study, Uid, read_age};

use super::data_set::DataSet;
use super::open::File;
use super::text::Texts;

pub(super) fn read(file: &File<'_>) -> Attributes {
    let data_set = file.data_set();
    let data_set = &data_set;
    let texts = Texts::of(data_set);
    let text = |tag| texts.text(data_set, tag);
    let patient = Patient {
        id: PatientId {
            issuer: text(tags::ISSUER_OF_PATIENT_ID).unwrap_or_default(),
            id: text(tags::PATIENT_ID).unwrap_or_default(),
        },
        name: texts.name(data_set, tags::PATIENT_NAME),
        birth_date: date(data_set, tags::PATIENT_BIRTH_DATE),
        sex: sex(data_set),
        age: data_set.word(tags::PATIENT_AGE).and_then(read_age),
    };
    let study = Study {
        uid: uid(data_set, tags::STUDY_INSTANCE_UID),
        id: text(tags::STUDY_ID),
        accession: text(tags::ACCESSION_NUMBER),
        date: date(data_set, tags::STUDY_DATE),
        time: time(data_set, tags::STUDY_TIME),
        description: text(tags::STUDY_DESCRIPTION),
        referring_physician: texts.name(data_set, tags::REFERRING_PHYSICIAN_NAME),
    };
    let series = Series {
        uid: uid(data_set, tags::SERIES_INSTANCE_UID),
        modality: coded(data_set, tags::MODALITY),
        number: data_set.integer(tags::SERIES_NUMBER),
        description: text(tags::SERIES_DESCRIPTION),
        body_part: coded(data_set, tags::BODY_PART_EXAMINED),
    };
    let instance = instance(file, data_set);
    Attributes { patient, study, series, instance }
}

fn instance(file: &File<'_>, data_set: &DataSet<'_>) -> Instance {
    let either = |of: fn(&DataSet<'_>, Tag) -> Option<String>, tags: [Tag; 2]| {
        tags.into_iter().find_map(|tag| of(data_set, tag))
    };
    Instance {
        class: uid(data_set, tags::SOP_CLASS_UID),
        uid: uid(data_set, tags::SOP_INSTANCE_UID),
        transfer_syntax: file.transfer_syntax.clone(),
        number: data_set.integer(tags::INSTANCE_NUMBER),
        view_position: coded(data_set, tags::VIEW_POSITION),
        date: either(date, [tags::ACQUISITION_DATE, tags::CONTENT_DATE]),
        time: either(time, [tags::ACQUISITION_TIME, tags::CONTENT_TIME]),
        rows: data_set.short(tags::ROWS).map(u32::from),
        columns: data_set.short(tags::COLUMNS).map(u32::from),
        bits_stored: data_set.short(tags::BITS_STORED),
        photometric_interpretation: coded(data_set, tags::PHOTOMETRIC_INTERPRETATION),
        frames: data_set.integer(tags::NUMBER_OF_FRAMES).and_then(|frames| frames.try_into().ok()),
        burned_in_annotation: match data_set.word(tags::BURNED_IN_ANNOTATION) {
            Some("YES") => Some(true),
            Some("NO") => Some(false),
            _ => None,
        },
    }
}

fn uid(data_set: &DataSet<'_>, tag: Tag) -> Option<Uid> {
    Uid::parse(data_set.word(tag)?)
}

/// A code (VR `CS`), in upper case as the standard has them; what is longer than one can be is none.
fn coded(data_set: &DataSet<'_>, tag: Tag) -> Option<String> {
    let word = data_set.word(tag)?;
    let shown = word.chars().all(|c| !c.is_control()) && word.len() <= 64;
    shown.then(|| word.to_ascii_uppercase())
}

/// `YYYYMMDD`, also of `YYYY.MM.DD` as it was written before 1993 and of `YYYY-MM-DD` as it should never be.
fn date(data_set: &DataSet<'_>, tag: Tag) -> Option<String> {
    let word = data_set.word(tag)?;
    let digits = match word.as_bytes() {
        [_, _, _, _, b'.' | b'-', _, _, b'.' | b'-', _, _] => word.replace(['.', '-'], ""),
        _ => word.to_owned(),
    };
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let in_range = |part: &str, range: std::ops::RangeInclusive<u8>| {
        part.parse().is_ok_and(|value| range.contains(&value))
    };
    let valid = in_range(&digits[4..6], 1..=12) && in_range(&digits[6..8], 1..=31);
    valid.then_some(digits)
}

/// `HHMMSS`, what is not given as zeros: `HH`, `HHMM`, `HHMMSS.FFFFFF`, and `HH:MM:SS` as it was written before 1993.
fn time(data_set: &DataSet<'_>, tag: Tag) -> Option<String> {
    let word = data_set.word(tag)?.replace(':', "");
    let digits = word.split('.').next().unwrap_or_default();
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let time = format!("{digits:0<6}");
    let below = |part: &str, bound: u8| part.parse().is_ok_and(|value: u8| value < bound);
    // A leap second is second 60.
    (below(&time[..2], 24) && below(&time[2..4], 60) && below(&time[4..], 61)).then_some(time)
}

fn sex(data_set: &DataSet<'_>) -> Option<String> {
    let sex = data_set.word(tags::PATIENT_SEX)?.to_ascii_uppercase();
    matches!(sex.as_str(), "M" | "F" | "O").then_some(sex)
}
