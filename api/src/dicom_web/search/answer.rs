//! Results as they are answered (PS3.18, 10.6.3.3).

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use lobar_core::study::{Found, Level, Uid};

use super::query::Include;
use crate::problem::Problem;

/// A list of results.
pub(super) fn body(
    level: Level,
    found: &[Found],
    base: &str,
    include: &Include,
) -> Result<String, Problem> {
    let objects: Vec<InMemDicomObject> =
        found.iter().map(|one| result(level, one, base, include)).collect();
    dicom_json::to_string(objects.as_slice())
        .map_err(|error| Problem::internal("dicom json", &error))
}

fn result(level: Level, found: &Found, base: &str, include: &Include) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let attributes = &found.attributes;
    let (patient, study) = (&attributes.patient, &attributes.study);
    let wanted = |tag| include.all || include.tags.contains(&tag);
    let mut put = |tag: Tag, vr: VR, value: PrimitiveValue| {
        object.put(DataElement::new(tag, vr, value));
    };
    let text = |text: Option<&str>| {
        text.filter(|text| !text.is_empty()).map_or(PrimitiveValue::Empty, PrimitiveValue::from)
    };
    let uid = |uid: &Option<Uid>| text(uid.as_ref().map(Uid::as_str));
    let count = |count: u64| PrimitiveValue::from(count.to_string());
    put(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192".into());
    put(tags::STUDY_DATE, VR::DA, text(study.date.as_deref()));
    put(tags::STUDY_TIME, VR::TM, text(study.time.as_deref()));
    put(tags::ACCESSION_NUMBER, VR::SH, text(study.accession.as_deref()));
    put(tags::INSTANCE_AVAILABILITY, VR::CS, "ONLINE".into());
    put(
        tags::MODALITIES_IN_STUDY,
        VR::CS,
        PrimitiveValue::Strs(found.modalities.iter().cloned().collect()),
    );
    put(tags::REFERRING_PHYSICIAN_NAME, VR::PN, text(study.referring_physician.as_deref()));
    if found.dated_by_receipt {
        put(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0000".into());
    }
    put(tags::PATIENT_NAME, VR::PN, text(patient.name.as_deref()));
    put(tags::PATIENT_ID, VR::LO, text(Some(&patient.id.id)));
    if !patient.id.issuer.is_empty() {
        put(tags::ISSUER_OF_PATIENT_ID, VR::LO, text(Some(&patient.id.issuer)));
    }
    put(tags::PATIENT_BIRTH_DATE, VR::DA, text(patient.birth_date.as_deref()));
    put(tags::PATIENT_SEX, VR::CS, text(patient.sex.as_deref()));
    put(tags::STUDY_INSTANCE_UID, VR::UI, uid(&study.uid));
    put(tags::STUDY_ID, VR::SH, text(study.id.as_deref()));
    put(tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS, count(found.series_in_study));
    put(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS, count(found.instances_in_study));
    if study.description.is_some() || wanted(tags::STUDY_DESCRIPTION) {
        put(tags::STUDY_DESCRIPTION, VR::LO, text(study.description.as_deref()));
    }
    let mut address = format!("{base}/studies/{}", shown(&study.uid));
    if level >= Level::Series {
        let series = &attributes.series;
        address.push_str(&format!("/series/{}", shown(&series.uid)));
        put(tags::MODALITY, VR::CS, text(series.modality.as_deref()));
        put(tags::SERIES_INSTANCE_UID, VR::UI, uid(&series.uid));
        put(tags::SERIES_NUMBER, VR::IS, number(series.number));
        put(tags::NUMBER_OF_SERIES_RELATED_INSTANCES, VR::IS, count(found.instances_in_series));
        if series.description.is_some() || wanted(tags::SERIES_DESCRIPTION) {
            put(tags::SERIES_DESCRIPTION, VR::LO, text(series.description.as_deref()));
        }
        if wanted(tags::BODY_PART_EXAMINED) {
            put(tags::BODY_PART_EXAMINED, VR::CS, text(series.body_part.as_deref()));
        }
    }
    if level == Level::Instance {
        let instance = &attributes.instance;
        address.push_str(&format!("/instances/{}", shown(&instance.uid)));
        put(tags::SOP_CLASS_UID, VR::UI, uid(&instance.class));
        put(tags::SOP_INSTANCE_UID, VR::UI, uid(&instance.uid));
        put(tags::INSTANCE_NUMBER, VR::IS, number(instance.number));
        let short = |value: Option<u32>| value.and_then(|value| u16::try_from(value).ok());
        let allocated = instance.bits_stored.map(|bits| if bits <= 8 { 8 } else { 16 });
        for (tag, value) in [
            (tags::ROWS, short(instance.rows)),
            (tags::COLUMNS, short(instance.columns)),
            (tags::BITS_ALLOCATED, allocated),
        ] {
            if let Some(value) = value {
                put(tag, VR::US, value.into());
            }
        }
        if let Some(frames) = instance.frames {
            put(tags::NUMBER_OF_FRAMES, VR::IS, frames.to_string().into());
        }
        for (tag, value) in [
            (tags::VIEW_POSITION, &instance.view_position),
            (tags::PHOTOMETRIC_INTERPRETATION, &instance.photometric_interpretation),
        ] {
            if wanted(tag) {
                put(tag, VR::CS, text(value.as_deref()));
            }
        }
    }
    put(tags::RETRIEVE_URL, VR::UR, address.into());
    object
}

fn shown(uid: &Option<Uid>) -> &str {
    uid.as_ref().map_or("", Uid::as_str)
}

fn number(number: Option<i32>) -> PrimitiveValue {
    number.map_or(PrimitiveValue::Empty, |number| number.to_string().into())
}
