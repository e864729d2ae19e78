//! One frame of many as an image of its own, which is then decoded as every other.

use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTableBuilder;
use lobar_core::image::Reason;
use lobar_imaging::Rejection;

use super::instance::Read;
use super::pixel_data::{PixelData, given_syntax};

/// Of the frames that are left out.
const EXTENDED: [Tag; 2] = [tags::EXTENDED_OFFSET_TABLE, tags::EXTENDED_OFFSET_TABLE_LENGTHS];

/// The file of a frame, from 0.
pub(super) fn file_of(mut read: Read, index: usize) -> Result<Vec<u8>, Rejection> {
    let gone = |detail| Rejection::new(Reason::Undecodable, detail);
    let data = PixelData::of(&read).map_err(gone)?;
    let is_native = data.native().is_some();
    let frame = data.frame(index).ok_or_else(|| gone("It has no frame of this number."))?;
    let mut frame = Vec::from(frame);
    frame.resize(frame.len().next_multiple_of(2), 0);
    let vr = read.object.get(tags::PIXEL_DATA).map_or(VR::OB, |element| element.vr());
    let pixels = if is_native {
        DataElement::new(tags::PIXEL_DATA, vr, PrimitiveValue::from(frame))
    } else {
        let fragments = PixelFragmentSequence::new_fragments(vec![frame]);
        DataElement::new(tags::PIXEL_DATA, VR::OB, Value::from(fragments))
    };
    let syntax = given_syntax(&read).to_owned();
    for tag in EXTENDED.into_iter().chain([tags::NUMBER_OF_FRAMES]) {
        read.object.remove_element(tag);
    }
    read.object.put(pixels);
    let unwritten = |_| gone("Its data set cannot be written again.");
    let meta = FileMetaTableBuilder::new().transfer_syntax(&syntax);
    let file = read.object.with_meta(meta).map_err(|error| unwritten(error.to_string()))?;
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).map_err(|error| unwritten(error.to_string()))?;
    Ok(bytes)
}
