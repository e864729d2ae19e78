//! The image: nothing behind its last pixel, nothing in bits that are no pixel's, no text beside the coded image.

mod jpeg;
mod jpeg2000;
mod mask;
mod native;
mod rle;

use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::clean::text_of;
use crate::file::named;
use crate::refusal::Refusal;

pub use mask::Rectangle;

/// The value of Pixel Data, and its value representation.
pub(crate) type PixelData = (VR, Value<InMemDicomObject, Vec<u8>>);

/// How the pixels lie (PS3.3, C.7.6.3).
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) samples: usize,
    pub(crate) allocated: u32,
    pub(crate) stored: u32,
    pub(crate) high: u32,
    pub(crate) signed: bool,
    pub(crate) planar: bool,
    pub(crate) photometric: String,
}

impl Image {
    /// What a data set says of them, where it can be.
    pub(crate) fn of(object: &InMemDicomObject) -> Result<Self, Refusal> {
        let frames = text_of(object, tags::NUMBER_OF_FRAMES);
        if frames.is_some_and(|frames| frames.parse::<u32>() != Ok(1)) {
            return Err(Refusal::Frames);
        }
        let number = |tag, name| number(object, tag).ok_or(Refusal::Missing(name));
        let allocated = number(tags::BITS_ALLOCATED, "Bits Allocated")?;
        let image = Self {
            rows: number(tags::ROWS, "Rows")? as usize,
            columns: number(tags::COLUMNS, "Columns")? as usize,
            samples: number(tags::SAMPLES_PER_PIXEL, "Samples per Pixel")? as usize,
            allocated,
            stored: number(tags::BITS_STORED, "Bits Stored")?,
            high: number(tags::HIGH_BIT, "High Bit")?,
            signed: number(tags::PIXEL_REPRESENTATION, "Pixel Representation")? == 1,
            planar: self::number(object, tags::PLANAR_CONFIGURATION) == Some(1),
            photometric: text_of(object, tags::PHOTOMETRIC_INTERPRETATION)
                .ok_or(Refusal::Missing("Photometric Interpretation"))?,
        };
        let (stored, high) = (image.stored, image.high);
        let fits = stored >= 1 && high < allocated && high + 1 >= stored;
        let known = matches!(allocated, 8 | 16) && matches!(image.samples, 1 | 3);
        match image.photometric.as_str() {
            _ if !fits || !known || image.rows * image.columns == 0 => Err(Refusal::Pixels(
                "its size or its bits are not those of an image that is known here",
            )),
            "MONOCHROME1" | "MONOCHROME2" if image.samples == 1 => Ok(image),
            "RGB" | "YBR_FULL" | "YBR_FULL_422" | "YBR_ICT" | "YBR_RCT" if image.samples == 3 => {
                Ok(image)
            }
            _ => Err(Refusal::Pixels("its photometric interpretation is not known here")),
        }
    }

    /// A sample without the bits that are no pixel's; those above a signed one's are its sign.
    ///
    /// Old devices kept overlays, drawn text among it, in the bits above or below those of the pixel (PS3.5, 8.1.1).
    pub(crate) fn cleared(&self, sample: u32) -> u32 {
        let used = ((1_u32 << self.stored) - 1) << (self.high + 1 - self.stored);
        let kept = sample & used;
        let above = !0_u32 << (self.high + 1);
        if self.signed && kept >> self.high & 1 == 1 { kept | above } else { kept }
    }

    /// Bytes of the pixels, uncompressed.
    pub(crate) fn bytes(&self) -> usize {
        self.rows * self.columns * self.samples * self.allocated as usize / 8
    }
}

fn number(object: &InMemDicomObject, tag: Tag) -> Option<u32> {
    match object.get(tag)?.value().primitive()? {
        PrimitiveValue::U16(numbers) => numbers.first().map(|number| u32::from(*number)),
        _ => None,
    }
}

/// The pixel data without what is no pixel, and whether bits were cleared that are no pixel's.
pub(crate) fn clean(
    image: &Image,
    object: &InMemDicomObject,
    syntax: &str,
    masks: &[Rectangle],
) -> Result<(PixelData, bool), Refusal> {
    let element = object.get(tags::PIXEL_DATA).ok_or(Refusal::Missing("Pixel Data"))?;
    let clean: fn(&mut Vec<u8>, &Image) -> Result<bool, &'static str> = match syntax {
        uids::IMPLICIT_VR_LITTLE_ENDIAN
        | uids::EXPLICIT_VR_LITTLE_ENDIAN
        | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        | "1.2.840.10008.1.2.2" => return native::clean(image, element, masks),
        uids::JPEG_BASELINE8_BIT
        | uids::JPEG_EXTENDED12_BIT
        | uids::JPEG_LOSSLESS
        | uids::JPEG_LOSSLESS_SV1
        | uids::JPEGLS_LOSSLESS
        | uids::JPEGLS_NEAR_LOSSLESS => {
            |bytes, image| jpeg::clean(bytes, image.stored).map(|()| false)
        }
        uids::JPEG2000_LOSSLESS
        | uids::JPEG2000
        | "1.2.840.10008.1.2.4.201"
        | "1.2.840.10008.1.2.4.202"
        | "1.2.840.10008.1.2.4.203" => {
            |bytes, image| jpeg2000::clean(bytes, image.stored).map(|()| false)
        }
        uids::RLE_LOSSLESS => rle::clean,
        _ => return Err(Refusal::TransferSyntax(named(syntax))),
    };
    if !masks.is_empty() {
        return Err(Refusal::Mask(
            "the image is compressed; decompress it first (dcmdjpeg, gdcmconv)",
        ));
    }
    if has_overlay_in_pixels(object) {
        return Err(Refusal::Pixels("an overlay lies in bits of compressed pixels"));
    }
    let fragments = element.fragments().ok_or(Refusal::Unreadable)?;
    // One frame, in however many fragments (PS3.5, A.4).
    let mut bytes = fragments.concat();
    let are_cleared = clean(&mut bytes, image).map_err(Refusal::Pixels)?;
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    let offsets: Vec<u32> = Vec::new();
    Ok(((VR::OB, PixelFragmentSequence::new(offsets, vec![bytes]).into()), are_cleared))
}

/// What is said where the coded samples have more bits than the pixels: an overlay may lie in them.
const TOO_MANY_BITS: &str = "its compressed samples have more bits than its pixels (Bits Stored), and an overlay may lie in \
    them; decompress it first (dcmdjpeg, gdcmconv)";

/// Clears the same bits in what says which pixels are padding, so that it goes on to match them.
pub(crate) fn clear_padding(image: &Image, object: &mut InMemDicomObject) {
    for tag in [tags::PIXEL_PADDING_VALUE, tags::PIXEL_PADDING_RANGE_LIMIT] {
        let Some(element) = object.get(tag) else { continue };
        let cleared = |number: u16| image.cleared(number.into()) as u16;
        let value = match element.value().primitive() {
            Some(PrimitiveValue::U16(numbers)) => {
                PrimitiveValue::U16(numbers.iter().map(|number| cleared(*number)).collect())
            }
            Some(PrimitiveValue::I16(numbers)) => PrimitiveValue::I16(
                numbers.iter().map(|n| cleared(n.cast_unsigned()).cast_signed()).collect(),
            ),
            _ => continue,
        };
        let element = DataElement::new(tag, element.vr(), value);
        object.put(element);
    }
}

/// Whether an overlay shares the pixels' words (retired; Overlay Bit Position (60xx,0102) is not 0).
fn has_overlay_in_pixels(object: &InMemDicomObject) -> bool {
    object.iter().any(|element| {
        let Tag(group, place) = element.header().tag;
        (0x6000..=0x60ff).contains(&group)
            && place == 0x0102
            && number(object, Tag(group, place)) != Some(0)
    })
}
