//! What an instance says of itself, without its pixels (PS3.18, 10.4.1.1.2), as `application/dicom+json`.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use lobar_core::image::Reason;
use lobar_core::study::Identity;
use lobar_imaging::Rejection;
use serde_json::json;

use super::bulk_data::{Apart, PIXELS, address_of, point, take_apart};
use super::instance::{self, Read, identify, is_moved, shown};
use super::pixel_data::PixelData;
use crate::dicom_web::address::Address;
use crate::problem::Problem;

/// What is told of an instance, and what stands apart.
pub(super) struct Told {
    /// The attributes, as they are known now.
    object: InMemDicomObject,
    /// Its address.
    pub(super) place: String,
    /// Large values.
    pub(super) apart: Vec<Apart>,
    /// What its pixels are read with: how they lie, and they themselves.
    pub(super) pixels: Option<Read>,
    /// The address of the pixels, where they can be had.
    pub(super) pixels_at: Option<String>,
}

/// The attributes of an instance, with who it is of and where it is had, as that is known now ([`placed`]). `moved`: whether it
/// is another patient's than its file says.
pub(super) fn told(read: Read, known: InMemDicomObject, moved: bool) -> Told {
    let Read { mut object, syntax } = read;
    let pixels = object.take(tags::PIXEL_DATA).map(|pixels| {
        let lies = [
            tags::ROWS,
            tags::COLUMNS,
            tags::SAMPLES_PER_PIXEL,
            tags::BITS_ALLOCATED,
            tags::PHOTOMETRIC_INTERPRETATION,
            tags::NUMBER_OF_FRAMES,
            tags::EXTENDED_OFFSET_TABLE,
        ];
        let lies = lies.into_iter().filter_map(|tag| object.get(tag).cloned());
        let object = InMemDicomObject::from_element_iter(lies.chain([pixels]));
        Read { object, syntax }
    });
    let place = known.get(tags::RETRIEVE_URL).and_then(|place| place.to_str().ok());
    let place = place.unwrap_or_default().into_owned();
    identify(&mut object, known, moved);
    let apart = take_apart(&mut object);
    let pixels_at = pixels.as_ref().and_then(|read| address_of_pixels(read, &place));
    Told { object, place, apart, pixels, pixels_at }
}

/// The same as the client has it.
pub(super) fn of(
    read: Read,
    known: InMemDicomObject,
    moved: bool,
) -> Result<serde_json::Value, Rejection> {
    let Told { object, place, apart, pixels, pixels_at } = told(read, known, moved);
    let unwritten = |_| Rejection::new(Reason::Undecodable, "Its attributes cannot be written.");
    let mut told = dicom_json::to_value(&object).map_err(unwritten)?;
    point(&mut told, &apart, &place);
    let vr = pixels.as_ref().and_then(|read| read.object.get(tags::PIXEL_DATA)).map(|it| it.vr());
    if let (Some(vr), Some(uri)) = (vr, pixels_at) {
        told[PIXELS] = json!({ "vr": vr.to_string(), "BulkDataURI": uri });
    }
    Ok(told)
}

/// Where the pixels are had: the one frame, or all together; `None` where they cannot be.
fn address_of_pixels(read: &Read, place: &str) -> Option<String> {
    let together = || address_of(place, PIXELS);
    match PixelData::of(read) {
        Ok(data) if data.count() == 1 && !has_more(read) => Some(format!("{place}/frames/1")),
        Ok(data) if data.count() > 0 => Some(together()),
        // Not compressed, they can be had whole whatever they are.
        _ => {
            let pixels = read.object.get(tags::PIXEL_DATA)?;
            let is_native = super::instance::is_native(&read.syntax);
            let bytes = pixels.value().primitive().map(|value| value.calculate_byte_len());
            (is_native && bytes? > 0).then(together)
        }
    }
}

/// Whether there is to be more than one frame.
fn has_more(read: &Read) -> bool {
    let frames = read.object.get(tags::NUMBER_OF_FRAMES).and_then(|it| it.to_int::<u32>().ok());
    frames.unwrap_or(1) > 1
}

/// What is known of an instance whose file cannot be read.
pub(super) fn known(identity: &Identity, address: &Address) -> Result<serde_json::Value, Problem> {
    let object = placed(identity, address);
    dicom_json::to_value(&object).map_err(|error| Problem::internal("dicom json", &error))
}

/// Whose it is, which, and where it is had.
pub(super) fn placed(identity: &Identity, address: &Address) -> InMemDicomObject {
    let known = shown(identity);
    let mut object = instance::known(&known, is_moved(identity));
    let uids = (&known.study.uid, &known.series.uid, &known.instance.uid);
    let place = match uids {
        (Some(study), Some(series), Some(instance)) => address.instance(study, series, instance),
        _ => String::new(),
    };
    let url = PrimitiveValue::from(place.as_str());
    object.put(DataElement::new(tags::RETRIEVE_URL, VR::UR, url));
    object
}
