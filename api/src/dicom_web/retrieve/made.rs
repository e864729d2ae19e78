//! The instance that is made of a JPEG or PNG file (`docs/adr/0034`).

use bytes::Bytes;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use lobar_core::study::{Identity, made};
use lobar_imaging::{Format, Limits, Original, OriginalSamples, original};

use super::instance::{Read, identify, is_moved, known, lossy, pixel_data, shown, write};
use super::reading::refused;
use super::{json, metadata};
use crate::dicom_web::address::Address;
use crate::problem::{Kind, Problem};

/// Reads a JPEG or PNG file as the instance that is made of it.
pub(super) fn read(bytes: &[u8], identity: &Identity, limits: &Limits) -> Result<Read, Problem> {
    let picture = original(bytes, limits).map_err(refused)?;
    let side = |side| {
        u16::try_from(side).map_err(|_| {
            Problem::new(Kind::NoPicture, "DICOM has no images of more than 65,535 pixels a side.")
        })
    };
    let size = (side(picture.height)?, side(picture.width)?);
    let object = secondary_capture(identity, picture, size, bytes.len());
    Ok(Read { object, syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.into() })
}

/// The file of that instance.
pub(super) fn file(bytes: &[u8], identity: &Identity, limits: &Limits) -> Result<Bytes, Problem> {
    write(read(bytes, identity, limits)?.object).map(Bytes::from).map_err(refused)
}

/// What that instance says of itself.
pub(super) fn attributes(
    bytes: &[u8],
    identity: &Identity,
    address: &Address,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    let read = read(bytes, identity, limits)?;
    let told = metadata::of(read, metadata::placed(identity, address), is_moved(identity));
    json(&told.map_err(refused)?)
}

/// The instance of a picture of so many rows and columns, made of a file of `compressed` bytes: its pixels upright, in the
/// depth and the colours that they have.
fn secondary_capture(
    identity: &Identity,
    picture: Original,
    (rows, columns): (u16, u16),
    compressed: usize,
) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let (samples, bits, photometric) = match &picture.samples {
        OriginalSamples::Grey(_) => (1_u16, 8_u16, "MONOCHROME2"),
        OriginalSamples::Deep { .. } => (1, 16, "MONOCHROME2"),
        OriginalSamples::Colour(_) => (3, 8, "RGB"),
    };
    for (tag, vr, value) in [
        (tags::CONVERSION_TYPE, VR::CS, "WSD"),
        (tags::MANUFACTURER, VR::LO, "Lobar"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    object.put(DataElement::empty(tags::PATIENT_ORIENTATION, VR::CS));
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, samples),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, bits),
        (tags::BITS_STORED, bits),
        (tags::HIGH_BIT, bits - 1),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let (vr, pixels) = match picture.samples {
        OriginalSamples::Grey(samples) => {
            window(&mut object, 8);
            (VR::OB, samples)
        }
        OriginalSamples::Deep { samples, depth } => {
            window(&mut object, depth);
            (VR::OW, samples.into_iter().flat_map(u16::to_le_bytes).collect())
        }
        OriginalSamples::Colour(samples) => {
            let planar = PrimitiveValue::from(0_u16);
            object.put(DataElement::new(tags::PLANAR_CONFIGURATION, VR::US, planar));
            (VR::OB, samples.into_flattened())
        }
    };
    if picture.format == Format::Jpeg {
        lossy(&mut object, "ISO_10918_1", pixels.len() as f64 / compressed.max(1) as f64);
    }
    object.put(pixel_data(vr, pixels));
    let mut attributes = shown(identity);
    made(&mut attributes);
    identify(&mut object, known(&attributes, false), false);
    object
}

/// The window in which people and the network see greys of so many bits: without one, viewers choose one of their own, from the
/// least to the greatest.
fn window(object: &mut InMemDicomObject, depth: u8) {
    let (center, width) = (1_u32 << (depth - 1), 1_u32 << depth);
    for (tag, value) in [(tags::WINDOW_CENTER, center), (tags::WINDOW_WIDTH, width)] {
        object.put(DataElement::new(tag, VR::DS, PrimitiveValue::from(value.to_string())));
    }
}
