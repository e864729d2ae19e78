//! An instance that somebody stored: its file, read, and in another form than it has. Runs in a child process
//! ([`super::reading`]).

use dicom_core::header::HasLength as _;
use dicom_core::value::Value;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use lobar_core::image::Reason;
use lobar_core::study::{ANOTHER_PERSON, Attributes, Identity, Patient, age_on};
use lobar_imaging::{Limits, Rejection, Uncompressed, transfer_syntaxes, uncompress};

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

/// Whether the compressed pixels of a transfer syntax are read here.
pub(super) fn is_read(syntax: &str) -> bool {
    transfer_syntaxes().any(|(uid, _, is_read)| uid == syntax && is_read)
}

/// Reads a DICOM file as it says itself.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Read, Rejection> {
    let damaged = || {
        let detail = "Its data set is damaged; it can be had as it is stored.";
        Rejection::new(Reason::Undecodable, detail)
    };
    // Without a preamble the file meta information would be read as attributes, in a transfer syntax that is not theirs.
    if bytes.get(128..132) != Some(b"DICM") && bytes.starts_with(b"\x02\0") {
        return Err(damaged());
    }
    let (object, syntax) =
        lobar_deidentify::open(bytes, limits.max_bytes as u64).map_err(|_| damaged())?;
    Ok(Read { object, syntax })
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

/// A DICOM file in Explicit VR Little Endian, its pixels uncompressed (PS3.18, 8.7.3.5.2).
pub(super) fn explicit(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Rejection> {
    // First, while nothing else is in memory.
    let uncompressed = uncompress(bytes, limits, None)?;
    let mut object = read(bytes, limits)?.object;
    if let Some(pixels) = uncompressed {
        put(&mut object, pixels);
    }
    write(object)
}

/// A file of a data set, in Explicit VR Little Endian.
pub(super) fn write(object: InMemDicomObject) -> Result<Vec<u8>, Rejection> {
    let unwritten =
        |_| Rejection::new(Reason::Undecodable, "Its data set cannot be written again.");
    let pixels = object.get(tags::PIXEL_DATA).and_then(|pixels| pixels.length().get());
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let file = object.with_meta(meta).map_err(|error| unwritten(error.to_string()))?;
    let mut bytes = Vec::with_capacity(pixels.unwrap_or(0) as usize + (64 << 10));
    file.write_all(&mut bytes).map_err(|error| unwritten(error.to_string()))?;
    Ok(bytes)
}

/// Puts pixels in the place of the compressed ones, and what describes them. The instance is the same one: nothing of what it
/// shows has changed (`docs/adr/0039`).
fn put(object: &mut InMemDicomObject, pixels: Uncompressed) {
    for tag in [
        tags::EXTENDED_OFFSET_TABLE,
        tags::EXTENDED_OFFSET_TABLE_LENGTHS,
        tags::ENCAPSULATED_PIXEL_DATA_VALUE_TOTAL_LENGTH,
    ] {
        object.remove_element(tag);
    }
    let photometric = PrimitiveValue::from(pixels.photometric);
    object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric));
    let mut shorts = vec![(tags::PIXEL_REPRESENTATION, u16::from(pixels.signed))];
    if pixels.samples > 1 {
        shorts.push((tags::PLANAR_CONFIGURATION, 0));
    }
    for (tag, value) in shorts {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    if let Some(loss) = pixels.loss {
        let said = object.get(tags::LOSSY_IMAGE_COMPRESSION).and_then(|it| it.to_str().ok());
        let is_said = match said.as_deref().map(str::trim) {
            Some("01") => true,
            Some("00") => !loss.always,
            _ => false,
        };
        if !is_said {
            lossy(object, loss.method, pixels.ratio);
        }
    }
    let vr = if pixels.allocated > 8 { VR::OW } else { VR::OB };
    object.put(pixel_data(vr, pixels.pixels));
}

/// Says that the pixels were compressed with a loss once (PS3.3, C.7.6.1.1.5).
pub(super) fn lossy(object: &mut InMemDicomObject, method: &str, ratio: f64) {
    for (tag, vr, value) in [
        (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01".to_owned()),
        (tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, format!("{ratio:.2}")),
        (tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, method.to_owned()),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
}

/// Pixel Data of bytes in little endian, padded to an even length.
pub(super) fn pixel_data(vr: VR, mut bytes: Vec<u8>) -> InMemElement {
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    DataElement::new(tags::PIXEL_DATA, vr, Value::Primitive(PrimitiveValue::U8(bytes.into())))
}

/// Puts in whose it is and which, as it is known now ([`known`]): after merges, moves and corrections. `moved`: whether it is
/// another patient's than its file says, of whom it then says nothing more.
pub(super) fn identify(object: &mut InMemDicomObject, known: InMemDicomObject, moved: bool) {
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
    for element in known {
        // Where nothing is known of the study, what the file says stands.
        let tag = element.header().tag;
        let stands = STANDS.contains(&tag) && element.is_empty() && object.get(tag).is_some();
        if !stands {
            object.put(element);
        }
    }
}

/// What is type 2 (there, and empty where it is not known) and not of the patient: of whom the file may speak as of another.
const STANDS: [Tag; 7] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::SERIES_NUMBER,
    tags::INSTANCE_NUMBER,
];

/// Whose it is and which, as elements. `moved` as for [`identify`].
pub(super) fn known(known: &Attributes, moved: bool) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let Attributes { patient, study, series, instance } = known;
    let age = study.date.as_ref().zip(patient.birth_date.as_ref());
    let age = age
        .and_then(|(day, born)| age_on(day, born))
        .or_else(|| patient.age.clone().filter(|_| !moved));
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let uid =
        |uid: &Option<lobar_core::study::Uid>| uid.as_ref().map(|uid| uid.as_str().to_owned());
    // Of the patient what is not known is empty, whatever the file says.
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
        object.put(element(tag, vr, value));
    }
    object
}

/// With a value, or without one.
fn element(tag: Tag, vr: VR, value: Option<String>) -> InMemElement {
    let value = value.filter(|value| !value.is_empty());
    DataElement::new(tag, vr, value.map_or(PrimitiveValue::Empty, PrimitiveValue::from))
}
