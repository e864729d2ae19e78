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

/// What a decoder gives: one plane in storage order.
pub(crate) struct Decoded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Grey, 8 bits a pixel.
    pub(crate) pixels: Vec<u8>,
    /// Whether the file has more bits a sample.
    pub(crate) reduced: bool,
    pub(crate) chroma: Chroma,
    /// EXIF orientation, 1..=8.
    pub(crate) orientation: u8,
    pub(crate) format: Format,
    pub(crate) transparent: bool,
}
