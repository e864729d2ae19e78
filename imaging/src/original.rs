//! A JPEG or PNG file's picture with the depth and the colours that it has, upright: for whoever makes another file of it.

use crate::decode::{Codec, contained};
use crate::memory::Reserved;
use crate::{Format, Limits, Rejection, format, jpeg, orientation, png_file};

/// A picture, upright, row-major from the top left.
pub struct Original {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What its pixels are.
    pub samples: OriginalSamples,
    /// What the file was.
    pub format: Format,
    _reserved: Reserved,
}

/// The samples of a picture.
#[derive(Debug, PartialEq, Eq)]
pub enum OriginalSamples {
    /// Grey, 8 bits a pixel.
    Grey(Vec<u8>),
    /// Grey, 16 bits a pixel.
    Deep {
        /// As the file has them.
        samples: Vec<u16>,
        /// How many of the low bits hold the picture, 8..=16; what lies above is white.
        depth: u8,
    },
    /// RGB, 8 bits a sample: where a pixel has some colour.
    Colour(Vec<[u8; 3]>),
}

/// A picture in storage order.
pub(crate) struct Stored {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// EXIF orientation, 1..=8.
    pub(crate) orientation: u8,
    pub(crate) samples: OriginalSamples,
}

/// Whether no pixel has a colour.
pub(crate) fn is_grey<T: PartialEq>(pixels: &[[T; 3]]) -> bool {
    pixels.iter().all(|[r, g, b]| r == g && g == b)
}

/// Decodes a JPEG or PNG file. Grey that is stored in colour is grey; samples of 16 bits that are in colour are reduced to 8;
/// transparent parts are laid on black. The picture holds the memory that it was given.
///
/// # Errors
/// As [`crate::decode()`]; `unsupported_format` for other formats.
pub fn original(bytes: &[u8], limits: &Limits) -> Result<Original, Rejection> {
    limits.admit_bytes(bytes.len())?;
    let (codec, format): (Codec<Stored>, _) = match format::sniff(bytes) {
        Some(Format::Jpeg) => (jpeg_file, Format::Jpeg),
        Some(Format::Png) => (png_file::original, Format::Png),
        other => return Err(format::refuse(other)),
    };
    let (stored, _reserved) = contained(codec, bytes, limits)?;
    let Stored { width, height, orientation, samples } = stored;
    let samples = match samples {
        OriginalSamples::Colour(pixels) if is_grey(&pixels) => {
            OriginalSamples::Grey(pixels.iter().map(|[grey, ..]| *grey).collect())
        }
        samples => samples,
    };
    let (width, height, samples) = match samples {
        OriginalSamples::Grey(samples) => {
            let (width, height, samples) = orientation::apply(orientation, width, height, samples);
            (width, height, OriginalSamples::Grey(samples))
        }
        OriginalSamples::Deep { samples, depth } => {
            let (width, height, samples) = orientation::apply(orientation, width, height, samples);
            (width, height, OriginalSamples::Deep { samples, depth })
        }
        OriginalSamples::Colour(samples) => {
            let (width, height, samples) = orientation::apply(orientation, width, height, samples);
            (width, height, OriginalSamples::Colour(samples))
        }
    };
    Ok(Original { width, height, samples, format, _reserved })
}

fn jpeg_file(bytes: &[u8], limits: &Limits) -> Result<(Stored, Reserved), Rejection> {
    let (picture, reserved) = jpeg::original(bytes, limits, 0, false)?;
    let channels = picture.channels();
    let jpeg::Picture { width, height, pixels, orientation } = picture;
    let samples = match channels {
        1 => OriginalSamples::Grey(pixels),
        _ => OriginalSamples::Colour(pixels.as_chunks::<3>().0.to_vec()),
    };
    Ok((Stored { width, height, orientation, samples }, reserved))
}
