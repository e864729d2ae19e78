//! Pixels that are not compressed.

use dicom_core::{PrimitiveValue, VR};
use dicom_object::mem::InMemElement;

use super::mask::{self, Rectangle};
use super::{Image, PixelData};
use crate::refusal::Refusal;

/// Cuts what comes behind the last pixel, clears bits that are no pixel's, and blackens rectangles. Says whether there
/// were such bits.
pub(super) fn clean(
    image: &Image,
    element: &InMemElement,
    masks: &[Rectangle],
) -> Result<(PixelData, bool), Refusal> {
    if image.photometric == "YBR_FULL_422" {
        return Err(Refusal::Pixels("uncompressed YBR_FULL_422 is not known here"));
    }
    let value = element.value().primitive().ok_or(Refusal::Unreadable)?;
    let mut bytes = value.to_bytes().into_owned();
    let length = image.bytes();
    if bytes.len() < length {
        return Err(Refusal::Pixels("it is shorter than its rows and columns"));
    }
    bytes.truncate(length);
    let are_cleared = clear_unused_bits(&mut bytes, image);
    mask::apply(&mut bytes, image, masks)?;
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    // Bytes of words are those of this machine; what was read as words is written as words.
    let pixels = match value {
        PrimitiveValue::U16(_) => {
            let words = bytes.chunks_exact(2).map(|word| u16::from_ne_bytes([word[0], word[1]]));
            (VR::OW, PrimitiveValue::U16(words.collect()).into())
        }
        _ if image.allocated == 16 => return Err(Refusal::Unreadable),
        _ => (VR::OB, PrimitiveValue::from(bytes).into()),
    };
    Ok((pixels, are_cleared))
}

fn clear_unused_bits(bytes: &mut [u8], image: &Image) -> bool {
    let mut are_cleared = false;
    if image.stored == image.allocated {
        return are_cleared;
    }
    if image.allocated == 8 {
        for byte in bytes {
            let cleared = image.cleared(u32::from(*byte)).to_le_bytes()[0];
            are_cleared |= cleared != *byte;
            *byte = cleared;
        }
    } else {
        for word in bytes.chunks_exact_mut(2) {
            let sample = u16::from_ne_bytes([word[0], word[1]]);
            let cleared = image.cleared(sample.into()) as u16;
            are_cleared |= cleared != sample;
            word.copy_from_slice(&cleared.to_ne_bytes());
        }
    }
    are_cleared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(stored: u32, high: u32, signed: bool) -> Image {
        let photometric = "MONOCHROME2".into();
        let (rows, columns, samples, allocated, planar) = (1, 2, 1, 16, false);
        Image { rows, columns, samples, allocated, stored, high, signed, planar, photometric }
    }

    #[test]
    fn bits_that_are_no_pixels_are_cleared_and_signs_stay() {
        let cleared = |word: u16, image: &Image| {
            let mut bytes = word.to_ne_bytes().to_vec();
            clear_unused_bits(&mut bytes, image);
            u16::from_ne_bytes([bytes[0], bytes[1]])
        };
        assert_eq!(cleared(0xf123, &image(12, 11, false)), 0x0123);
        assert_eq!(cleared(0xf123, &image(12, 15, false)), 0xf120);
        assert_eq!(cleared(0x0fff, &image(12, 11, true)), 0xffff, "-1");
        assert_eq!(cleared(0xf7ff, &image(12, 11, true)), 0x07ff);
        assert_eq!(cleared(0xf123, &image(16, 15, false)), 0xf123);
    }
}
