//! A file in, a file out.

use std::io::Read as _;

use dicom_core::DataElement;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTable, FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::{TransferSyntaxIndex as _, TransferSyntaxRegistry};
use flate2::read::DeflateDecoder;
use lobar_core::study::Uid;

use crate::Options;
use crate::bounds::fits;
use crate::check::check;
use crate::clean::{Cleaning, empty, text, text_of, texts};
use crate::form::is_standard_uid;
use crate::key::Key;
use crate::method;
use crate::pixels::{self, Image};
use crate::refusal::Refusal;
use crate::table::{PROFILE, Rule, rule};

/// A file that names nobody.
#[derive(Debug)]
pub struct Deidentified {
    /// The whole file: preamble of zeros, file meta information, data set.
    pub bytes: Vec<u8>,
    /// Its SOP Instance UID, the new one.
    pub uid: Uid,
}

/// De-identifies one file. The same file with the same key and options gives the same bytes.
pub fn deidentify(file: &[u8], key: &Key, options: &Options) -> Result<Deidentified, Refusal> {
    let (object, syntax) = read(file)?;
    let class = class(&object)?;
    let needed = |tag, name| text_of(&object, tag).ok_or(Refusal::Missing(name));
    let instance = needed(tags::SOP_INSTANCE_UID, "SOP Instance UID")?;
    let study = needed(tags::STUDY_INSTANCE_UID, "Study Instance UID")?;
    needed(tags::SERIES_INSTANCE_UID, "Series Instance UID")?;
    refuse_burned_in(&object, &class, !options.masks.is_empty())?;
    let image = Image::of(&object)?;
    let (pixels, are_cleared) = pixels::clean(&image, &object, &syntax, &options.masks)?;

    let cleaning = Cleaning { key, dates: options.dates, patient: patient(&object, study) };
    let mut clean = cleaning.data_set(&object, rule);
    for (tag, _, rule) in PROFILE {
        // Type 2 of the patient and the study: there, with or without a value.
        if clean.get(*tag).is_none() && is_always_there(*tag) {
            let element = match rule {
                Rule::Pseudonym => text(*tag, &[cleaning.pseudonym()]),
                _ => empty(*tag),
            };
            element.map(|element| clean.put(element));
        }
    }
    if are_cleared {
        pixels::clear_padding(&image, &mut clean);
    }
    clean.put(DataElement::new(tags::PIXEL_DATA, pixels.0, pixels.1));
    method::record(&mut clean, options.dates, !options.masks.is_empty());

    let meta = FileMetaTableBuilder::new().transfer_syntax(syntax.as_str());
    let written = clean.with_meta(meta).map_err(|_| Refusal::Unreadable)?;
    let mut bytes = Vec::with_capacity(file.len());
    written.write_all(&mut bytes).map_err(|_| Refusal::TransferSyntax(named(&syntax)))?;
    check(&bytes, options.dates)?;
    Ok(Deidentified { bytes, uid: key.uid(&instance) })
}

fn is_always_there(tag: dicom_core::Tag) -> bool {
    matches!(
        tag,
        tags::PATIENT_NAME
            | tags::PATIENT_ID
            | tags::PATIENT_BIRTH_DATE
            | tags::PATIENT_SEX
            | tags::STUDY_DATE
            | tags::STUDY_TIME
            | tags::STUDY_ID
            | tags::ACCESSION_NUMBER
            | tags::REFERRING_PHYSICIAN_NAME
    )
}

/// The most bytes that a deflated data set is inflated to.
const INFLATED_MAX: u64 = 1 << 30;

/// A data set and its transfer syntax: with preamble and file meta information, or bare, as old archives have them.
pub(crate) fn read(file: &[u8]) -> Result<(InMemDicomObject, String), Refusal> {
    open(file, INFLATED_MAX)
}

/// Reads a file as it is, whatever it is of, where every length in it holds: its data set and its transfer syntax. A deflated
/// data set is inflated to fewer than `inflated_max` bytes.
///
/// # Errors
/// [`Refusal::Unreadable`], or [`Refusal::TransferSyntax`] where that is not known.
pub fn open(file: &[u8], inflated_max: u64) -> Result<(InMemDicomObject, String), Refusal> {
    let (syntax, data_set) = if file.get(128..132) == Some(b"DICM") {
        let meta = meta_length(&file[132..]).ok_or(Refusal::Unreadable)?;
        let (meta, data_set) = file[132..].split_at(meta);
        if !fits(meta, true, false) {
            return Err(Refusal::Unreadable);
        }
        let meta = FileMetaTable::from_reader(&file[128..132 + meta.len()]);
        let meta = meta.map_err(|_| Refusal::Unreadable)?;
        (meta.transfer_syntax().trim_end_matches(['\0', ' ']).to_owned(), data_set)
    } else {
        let explicit = file.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
        let syntax = if explicit {
            uids::EXPLICIT_VR_LITTLE_ENDIAN
        } else {
            uids::IMPLICIT_VR_LITTLE_ENDIAN
        };
        (syntax.to_owned(), file)
    };
    let inflated;
    let (data_set, read_as) = match syntax.as_str() {
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => {
            inflated = inflate(data_set, inflated_max)?;
            (inflated.as_slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN)
        }
        syntax => (data_set, syntax),
    };
    let (explicit, big_endian) =
        (read_as != uids::IMPLICIT_VR_LITTLE_ENDIAN, read_as == "1.2.840.10008.1.2.2");
    if !fits(data_set, explicit, big_endian) {
        return Err(Refusal::Unreadable);
    }
    let known = TransferSyntaxRegistry.get(read_as);
    let known = known.ok_or_else(|| Refusal::TransferSyntax(named(read_as)))?;
    let read = InMemDicomObject::read_dataset_with_ts(data_set, known);
    Ok((read.map_err(|_| Refusal::Unreadable)?, syntax))
}

/// How many bytes the file meta information has: its elements are those of group 0002, explicit little endian.
fn meta_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(..12).filter(|head| head.starts_with(b"\x02\0\0\0UL\x04\0"))?;
    let length = u32::from_le_bytes(length[8..12].try_into().ok()?) as usize + 12;
    (length <= bytes.len()).then_some(length)
}

fn inflate(bytes: &[u8], most: u64) -> Result<Vec<u8>, Refusal> {
    let mut inflated = Vec::new();
    let reader = DeflateDecoder::new(bytes).take(most);
    let read = { reader }.read_to_end(&mut inflated).map_err(|_| Refusal::Unreadable)?;
    if read as u64 == most { Err(Refusal::Unreadable) } else { Ok(inflated) }
}

/// The SOP class, if the table is made for it.
fn class(object: &InMemDicomObject) -> Result<String, Refusal> {
    let class = text_of(object, tags::SOP_CLASS_UID).ok_or(Refusal::Missing("SOP Class UID"))?;
    let known = matches!(
        class.as_str(),
        uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE
            | uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION
            | uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING
            | uids::SECONDARY_CAPTURE_IMAGE_STORAGE
    );
    if known { Ok(class) } else { Err(Refusal::Class(named(&class))) }
}

/// ` (UID)` where it is one that the standard defines.
pub(crate) fn named(uid: &str) -> String {
    if is_standard_uid(uid) { format!(" ({uid})") } else { String::new() }
}

fn refuse_burned_in(object: &InMemDicomObject, class: &str, masked: bool) -> Result<(), Refusal> {
    let element = object.get(tags::BURNED_IN_ANNOTATION);
    let said = element.map(texts).unwrap_or_default();
    let says = |word: &'static str| move |text: &String| text.eq_ignore_ascii_case(word);
    let is_silent = match element.map(|element| element.value().primitive()) {
        None => true,
        Some(value) if said.is_empty() => value.is_some_and(|value| value.multiplicity() == 0),
        Some(_) => said.iter().all(String::is_empty),
    };
    match is_silent {
        _ if masked => Ok(()),
        true if class == uids::SECONDARY_CAPTURE_IMAGE_STORAGE => Err(Refusal::SecondaryCapture),
        true => Ok(()),
        false if said.iter().any(says("YES")) => Err(Refusal::BurnedIn),
        false if !said.is_empty() && said.iter().all(says("NO")) => Ok(()),
        // Bytes of no known kind, or another word: nobody can say what they mean.
        false => Err(Refusal::BurnedInUnclear),
    }
}

/// What tells a patient from others: issuer and id. Who has no id is taken for another in every study.
fn patient(object: &InMemDicomObject, study: String) -> Vec<String> {
    match text_of(object, tags::PATIENT_ID) {
        Some(id) => vec![text_of(object, tags::ISSUER_OF_PATIENT_ID).unwrap_or_default(), id],
        None => vec![study],
    }
}
