//! The network's input: the whole picture straight to 224 × 224, aspect not kept.
//!
//! Bilinear with antialiasing, see [`resize()`]: as Pillow made the training images; the tests hold it to
//! one grey level of Pillow's own output.

use lobar_core::engine::NetworkInput;

use crate::{Radiograph, Rejection, resize};

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
    resize(pixels, (w, h), (width, height))
}
