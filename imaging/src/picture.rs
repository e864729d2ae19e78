//! The picture for a page: grey PNG, upright, no larger than asked for.

use crate::decode::{decode_reserved, full_depth_reserved};
use crate::network_input::resized;
use crate::{FullDepth, Limits, Radiograph, Rejection};

/// Why a picture could not be drawn. The caller's figures are at fault, never an upload.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Sizes that are zero, too large, or do not fit the data.
    #[error("cannot draw {what}: {width}×{height}")]
    Size {
        /// What was to be drawn.
        what: &'static str,
        /// Asked-for or given width.
        width: u32,
        /// Asked-for or given height.
        height: u32,
    },
    /// The encoder's own words.
    #[error("cannot write the PNG: {0}")]
    Encode(#[from] png::EncodingError),
    /// The same, of JPEG.
    #[error("cannot write the JPEG: {0}")]
    EncodeJpeg(#[from] image::ImageError),
}

/// Why there is no picture of a file.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The file cannot be shown.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// It could not be drawn at this size.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Nothing of it lies in the region that was asked for.
    #[error("nothing of the picture lies in this region")]
    Outside,
}

/// Decodes a file and draws it as [`picture_png`] does, within the memory that this process gives to
/// decoding: blocks while others use it.
pub fn draw(bytes: &[u8], limits: &Limits, max_side: u32) -> Result<Vec<u8>, DrawError> {
    let (radiograph, _reserved) = decode_reserved(bytes, limits, None)?;
    Ok(picture_png(&radiograph, max_side)?)
}

/// Decodes a file at its full depth and writes it as [`FullDepth::png`] does, with what `describe` says of it, within the
/// memory that this process gives to decoding: blocks while others use it.
pub fn draw_full_depth(
    bytes: &[u8],
    limits: &Limits,
    describe: impl FnOnce(&FullDepth) -> String,
) -> Result<Vec<u8>, DrawError> {
    let (full, _reserved) = full_depth_reserved(bytes, limits)?;
    Ok(full.png(&describe(&full))?)
}

/// Draws `radiograph` as an 8-bit grey PNG whose longer side is at most `max_side` pixels, aspect kept,
/// never enlarged.
pub fn picture_png(radiograph: &Radiograph, max_side: u32) -> Result<Vec<u8>, RenderError> {
    let (width, height) = fit(radiograph.width, radiograph.height, max_side);
    let smaller;
    let pixels = if (width, height) == (radiograph.width, radiograph.height) {
        &radiograph.pixels
    } else {
        smaller = resized(radiograph, width, height).ok_or(RenderError::Size {
            what: "a picture",
            width: radiograph.width,
            height: radiograph.height,
        })?;
        &smaller
    };
    encode(png::ColorType::Grayscale, width, height, pixels)
}

/// The largest size of the same aspect within `max_side`, at least one pixel, never enlarged.
pub(crate) fn fit(width: u32, height: u32, max_side: u32) -> (u32, u32) {
    let (long, target) = (u64::from(width.max(height)), u64::from(max_side.max(1)));
    if long <= target {
        return (width, height);
    }
    let scale = |side: u32| ((u64::from(side) * target + long / 2) / long).max(1) as u32;
    (scale(width), scale(height))
}

pub(crate) fn encode(
    color: png::ColorType,
    width: u32,
    height: u32,
    pixels: &[u8],
) -> Result<Vec<u8>, RenderError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_aspect_and_never_grows() {
        assert_eq!(fit(2000, 1000, 500), (500, 250));
        assert_eq!(fit(1000, 3000, 100), (33, 100));
        assert_eq!(fit(300, 200, 500), (300, 200));
        assert_eq!(fit(20_000, 1, 100), (100, 1));
        assert_eq!(fit(10, 10, 0), (1, 1));
    }
}
