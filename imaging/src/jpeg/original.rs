//! A JPEG's picture with the colours that it has.

use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::layout::{self, Layout};
use super::structure::{self, Colour};
use super::{memory_needed, planes, refuse_hollow, samples, stream};
use crate::memory::{self, Reserved};
use crate::{Limits, Rejection};

/// A picture in storage order.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Grey, one a pixel, or packed RGB.
    pub(crate) pixels: Vec<u8>,
    /// EXIF orientation, 1..=8.
    pub(crate) orientation: u8,
}

impl Picture {
    /// Samples a pixel: 1 or 3.
    pub(crate) fn channels(&self) -> usize {
        self.pixels.len() / (self.width as usize * self.height as usize)
    }
}

/// Decodes a file, with `beside` bytes of memory more. Inks become RGB. `is_rgb`: the components are RGB where the file does
/// not say itself what they are.
pub(crate) fn original(
    bytes: &[u8],
    limits: &Limits,
    beside: u64,
    is_rgb: bool,
) -> Result<(Picture, Reserved), Rejection> {
    let mut structure = structure::read(bytes)?;
    limits.admit_size(structure.width, structure.height)?;
    if is_rgb && structure.colour == Colour::YCbCr && !structure.says_colour {
        structure.colour = Colour::Rgb;
    }
    let layout = layout::of(&structure)?;
    refuse_hollow(&structure, bytes.len())?;
    let size = (structure.width, structure.height);
    let pixels = u64::from(structure.width) * u64::from(structure.height);
    // What grey takes, and the colours beside it twice: as they are read, and in another form or turned.
    let colours = if structure.colour == Colour::Grey { 0 } else { pixels * 6 };
    let needed = memory_needed(&structure, layout) + colours + beside;
    let reserved = memory::reserve(needed)?;
    let pixels = match layout {
        Layout::Whole if structure.colour == Colour::Grey => {
            samples(&stream::whole(&structure), size, ColorSpace::Luma)?
        }
        Layout::Whole => samples(&stream::whole(&structure), size, ColorSpace::RGB)?,
        Layout::Planes => {
            let plane = |index| {
                let size = planes::size(&structure, index);
                samples(&stream::plane(&structure, index, size), size, ColorSpace::Luma)
            };
            let components = 0..structure.components.len();
            planes::rgb(&structure, &components.map(plane).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let (width, height) = size;
    Ok((Picture { width, height, pixels, orientation: structure.orientation }, reserved))
}
