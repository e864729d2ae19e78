//! The network's input: the whole picture straight to 224 × 224, aspect not kept.
//!
//! Bilinear with antialiasing: a triangle as wide as the scale, normalised, rounded to 8 bits after the
//! horizontal pass and after the vertical one. That is Pillow's `Image.resize((224, 224), BILINEAR)`,
//! which made the training images; the tests hold it to one grey level of Pillow's own output.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use lobar_core::engine::NetworkInput;

use crate::{Radiograph, Rejection};

/// Resizes to what the network reads. Fails only when the radiograph's sizes do not fit its pixels.
pub fn network_input(radiograph: &Radiograph) -> Result<NetworkInput, Rejection> {
    let side = NetworkInput::SIDE as u32;
    resized(radiograph, side, side)
        .and_then(NetworkInput::new)
        .ok_or_else(|| Rejection::undecodable("The picture's size does not fit its pixels."))
}

/// `None` when a size is zero or does not fit the pixels.
pub(crate) fn resized(radiograph: &Radiograph, width: u32, height: u32) -> Option<Vec<u8>> {
    let &Radiograph { width: w, height: h, ref pixels, .. } = radiograph;
    if w == 0 || h == 0 || width == 0 || height == 0 {
        return None;
    }
    let source = ImageRef::new(w, h, pixels, PixelType::U8).ok()?;
    let mut target = Image::new(width, height, PixelType::U8);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).ok()?;
    Some(target.into_vec())
}
