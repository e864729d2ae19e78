//! An instance: the DICOM file that was stored, or the one that is made of a JPEG or PNG file (`docs/adr/0034`).

use bytes::Bytes;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use lobar_core::study::{ANOTHER_PERSON, Attributes, Identity, Patient, age_on, made};
use lobar_imaging::{Format, Limits, Radiograph, sniff};

use crate::problem::{Kind, Problem};

/// A file, read.
pub(super) struct Read {
    pub(super) object: InMemDicomObject,
    /// Transfer Syntax UID of the pixels.
    pub(super) syntax: String,
}

/// Whether the pixels of a transfer syntax are as they are: not compressed, and not in fragments.
pub(super) fn is_native(syntax: &str) -> bool {
    matches!(
        syntax,
        uids::IMPLICIT_VR_LITTLE_ENDIAN
            | uids::EXPLICIT_VR_LITTLE_ENDIAN
            | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
            | "1.2.840.10008.1.2.2"
    )
}

/// Reads the stored bytes: a DICOM file as it says itself, all others as the instance that is made of them.
pub(super) fn read(bytes: &[u8], identity: &Identity, limits: &Limits) -> Result<Read, Problem> {
    if sniff(bytes) == Some(Format::Dicom) {
        // Without a preamble the file meta information would be read as attributes, in a transfer syntax that is not theirs.
        if bytes.get(128..132) != Some(b"DICM") && bytes.starts_with(b"\x02\0") {
            return Err(damaged());
        }
        let (object, syntax) =
            lobar_deidentify::open(bytes, limits.max_bytes as u64).map_err(|_| damaged())?;
        return Ok(Read { object, syntax });
    }
    let radiograph = lobar_imaging::decode(bytes, limits).map_err(|refused| {
        Problem::new(Kind::NoPicture, refused.detail).with("reason", refused.reason.code())
    })?;
    let side = |side| {
        u16::try_from(side).map_err(|_| {
            Problem::new(Kind::NoPicture, "DICOM has no images of more than 65,535 pixels a side.")
        })
    };
    let size = (side(radiograph.height)?, side(radiograph.width)?);
    let object = secondary_capture(identity, &radiograph, size);
    Ok(Read { object, syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.into() })
}

fn damaged() -> Problem {
    Problem::new(Kind::NoPicture, "Its data set is damaged; it can be had as it is stored.")
}

/// Whose it is, as it may be shown: as it is known now or, where the file names another person under the same id and nobody
/// said yet which is right, as the file says.
pub(super) fn shown(identity: &Identity) -> Attributes {
    let mut attributes = identity.attributes.clone();
    if !is_moved(identity) && identity.warnings.iter().any(|code| code == ANOTHER_PERSON) {
        let age = attributes.patient.age.take();
        attributes.patient = Patient { age, ..identity.given.clone() };
    }
    attributes
}

/// Whether it is another patient's than its file says.
pub(super) fn is_moved(identity: &Identity) -> bool {
    identity.attributes.patient.id != identity.given.id
}

/// The bytes of an instance in Explicit VR Little Endian; `None` where its pixels are compressed.
pub(super) fn explicit(read: Read) -> Result<Option<Bytes>, Problem> {
    if !is_native(&read.syntax) {
        return Ok(None);
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let internal = |error: &dyn std::fmt::Display| Problem::internal("dicom file", error);
    let file = read.object.with_meta(meta).map_err(|error| internal(&error))?;
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).map_err(|error| internal(&error))?;
    Ok(Some(bytes.into()))
}

/// The instance of a picture of so many rows and columns: its pixels upright in 8-bit grey, as people and the network see
/// them.
fn secondary_capture(
    identity: &Identity,
    picture: &Radiograph,
    (rows, columns): (u16, u16),
) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let mut attributes = shown(identity);
    made(&mut attributes);
    let text = |object: &mut InMemDicomObject, tag, vr, text: &str| {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    };
    for (tag, vr, value) in [
        (tags::CONVERSION_TYPE, VR::CS, "WSD"),
        (tags::MANUFACTURER, VR::LO, "Lobar"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        text(&mut object, tag, vr, value);
    }
    object.put(DataElement::empty(tags::PATIENT_ORIENTATION, VR::CS));
    let short = |object: &mut InMemDicomObject, tag, value: u16| {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    };
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        short(&mut object, tag, value);
    }
    let mut pixels = picture.pixels.clone();
    pixels.resize(pixels.len().next_multiple_of(2), 0);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
    identify(&mut object, &attributes, false);
    object
}

/// Whose it is and which, as it is known now: after merges, moves and corrections. `moved`: whether it is another patient's
/// than its file says, of whom it then says nothing more.
pub(super) fn identify(object: &mut InMemDicomObject, known: &Attributes, moved: bool) {
    if moved {
        // Groups of the image, of how it was made and how it is shown; sequences may name anybody, but for lookup tables.
        let stays = |tag: Tag, vr: VR| {
            matches!(tag.0, 0x0008 | 0x0018 | 0x0020 | 0x0028)
                && (vr != VR::SQ
                    || matches!(tag, tags::MODALITY_LUT_SEQUENCE | tags::VOILUT_SEQUENCE))
        };
        let of_others: Vec<Tag> = object
            .iter()
            .map(|element| (element.header().tag, element.header().vr()))
            .filter(|(tag, vr)| !stays(*tag, *vr))
            .map(|(tag, _)| tag)
            .collect();
        for tag in of_others {
            object.remove_element(tag);
        }
    }
    let Attributes { patient, study, series, instance } = known;
    let age = study.date.as_ref().zip(patient.birth_date.as_ref());
    let age = age
        .and_then(|(day, born)| age_on(day, born))
        .or_else(|| patient.age.clone().filter(|_| !moved));
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let uid =
        |uid: &Option<lobar_core::study::Uid>| uid.as_ref().map(|uid| uid.as_str().to_owned());
    // Of the patient what is not known is empty: the file may speak of another one.
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, Some("ISO_IR 192".to_owned())),
        (tags::PATIENT_NAME, VR::PN, patient.name.clone()),
        (tags::PATIENT_ID, VR::LO, Some(patient.id.id.clone())),
        (tags::PATIENT_BIRTH_DATE, VR::DA, patient.birth_date.clone()),
        (tags::PATIENT_SEX, VR::CS, patient.sex.clone()),
    ] {
        object.put(element(tag, vr, value));
    }
    let issuer = Some(patient.id.issuer.clone()).filter(|issuer| !issuer.is_empty());
    let optional = [
        (tags::ISSUER_OF_PATIENT_ID, VR::LO, issuer),
        (tags::PATIENT_AGE, VR::AS, age),
        (tags::SERIES_DESCRIPTION, VR::LO, series.description.clone()),
        (tags::STUDY_DESCRIPTION, VR::LO, study.description.clone()),
        (tags::BODY_PART_EXAMINED, VR::CS, series.body_part.clone()),
        (tags::SOP_CLASS_UID, VR::UI, uid(&instance.class)),
        (tags::SOP_INSTANCE_UID, VR::UI, uid(&instance.uid)),
        (tags::STUDY_INSTANCE_UID, VR::UI, uid(&study.uid)),
        (tags::SERIES_INSTANCE_UID, VR::UI, uid(&series.uid)),
        (tags::MODALITY, VR::CS, series.modality.clone()),
    ];
    for (tag, vr, value) in optional {
        if let Some(value) = value {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        }
    }
    // Type 2: there, and empty where they are not known.
    let required = [
        (tags::STUDY_DATE, VR::DA, study.date.clone()),
        (tags::STUDY_TIME, VR::TM, study.time.clone()),
        (tags::ACCESSION_NUMBER, VR::SH, study.accession.clone()),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, study.referring_physician.clone()),
        (tags::STUDY_ID, VR::SH, study.id.clone()),
        (tags::SERIES_NUMBER, VR::IS, number(series.number)),
        (tags::INSTANCE_NUMBER, VR::IS, number(instance.number)),
    ];
    for (tag, vr, value) in required {
        if value.is_some() || object.get(tag).is_none() {
            object.put(element(tag, vr, value));
        }
    }
}

/// With a value, or without one.
fn element(tag: Tag, vr: VR, value: Option<String>) -> InMemElement {
    let value = value.filter(|value| !value.is_empty());
    DataElement::new(tag, vr, value.map_or(PrimitiveValue::Empty, PrimitiveValue::from))
}
