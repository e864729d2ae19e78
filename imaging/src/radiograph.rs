//! A decoded picture: upright, grey, 8 bits a pixel.

use crate::{Chroma, Format, Warning};

/// An upright grey picture with what is known about its source. Row-major from the top left; high
/// values are bright.
#[derive(Clone, PartialEq)]
pub struct Radiograph {
    /// Pixels a row, after the orientation was applied.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width × height` grey values.
    pub pixels: Vec<u8>,
    /// How much colour the source had.
    pub chroma: Chroma,
    /// What the file was.
    pub format: Format,
    /// What was done to the pixels on the way.
    pub warnings: Vec<Warning>,
}

impl std::fmt::Debug for Radiograph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Radiograph({}×{}, {:?})", self.width, self.height, self.format)
    }
}

/// The samples of one plane as the file stores them.
pub(crate) enum Samples {
    /// 0..=255.
    Eight(Vec<u8>),
    /// 0..=65535, of which often only the low 10, 12 or 14 bits are used.
    Sixteen(Vec<u16>),
}

/// What a decoder gives: one plane in storage order.
pub(crate) struct Decoded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) samples: Samples,
    pub(crate) chroma: Chroma,
    /// EXIF orientation, 1..=8.
    pub(crate) orientation: u8,
    pub(crate) format: Format,
    pub(crate) transparent: bool,
}

/// Reduces 16-bit samples to 8 by a shift, never by the image's own minimum and maximum: equal tissue
/// must give equal grey in two images of one detector.
///
/// Exports of 10-, 12- and 14-bit detectors keep their numbers in a 16-bit file. So the largest sample
/// picks the depth among 8, 10, 12, 14 and 16 bits, and what is above its 8 high bits is dropped. A full
/// 16-bit file is divided by 256, as Pillow does.
pub(crate) fn reduce_to_8_bits(samples: &[u16]) -> Vec<u8> {
    let largest = samples.iter().copied().max().unwrap_or(0);
    let used = 16 - largest.leading_zeros();
    let shift = used.max(8).next_multiple_of(2) - 8;
    samples.iter().map(|&s| (s >> shift) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_reduced_by_the_depth_in_use() {
        assert_eq!(reduce_to_8_bits(&[0, 7, 255]), [0, 7, 255]);
        assert_eq!(reduce_to_8_bits(&[0, 512, 1023]), [0, 128, 255]);
        assert_eq!(reduce_to_8_bits(&[16, 2048, 4095]), [1, 128, 255]);
        assert_eq!(reduce_to_8_bits(&[64, 16383]), [1, 255]);
        assert_eq!(reduce_to_8_bits(&[0x1234, 0xffff]), [0x12, 0xff]);
        assert_eq!(reduce_to_8_bits(&[]), [0u8; 0]);
    }

    #[test]
    fn the_same_sample_gives_the_same_grey_whatever_the_image_holds_besides() {
        assert_eq!(reduce_to_8_bits(&[2000, 3000])[0], reduce_to_8_bits(&[2000, 4095, 0])[0]);
    }
}
