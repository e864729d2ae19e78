//! JPEG-LS (ISO 14495-1), lossless and near-lossless, read by CharLS.

use charls::CharLS;
use lobar_core::image::Reason;

use super::super::layout::Layout;
use super::{Samples, expect_size};
use crate::Rejection;

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Samples, Rejection> {
    let refused = |error| Rejection::undecodable(format!("The JPEG-LS does not decode: {error}."));
    // A decoder of its own: one that has read the header cannot begin again.
    let frame = CharLS::default().get_frame_info(bytes).map_err(refused)?;
    expect_size(layout, frame.width, frame.height)?;
    if frame.component_count != 1 || layout.samples() != 1 {
        let detail = format!("JPEG-LS of {} components; one is read.", frame.component_count);
        return Err(Rejection::new(Reason::UnsupportedPixels, detail));
    }
    let samples = CharLS::default().decode(bytes).map_err(refused)?;
    let samples = match frame.bits_per_sample {
        ..=8 => Samples::Eight(samples),
        _ => {
            let word = |pair: &[u8]| u16::from_ne_bytes([pair[0], pair[1]]);
            Samples::Sixteen(samples.chunks_exact(2).map(word).collect())
        }
    };
    let count = match &samples {
        Samples::Eight(samples) => samples.len(),
        Samples::Sixteen(samples) => samples.len(),
    };
    if count != layout.pixels() {
        return Err(Rejection::undecodable(
            "The JPEG-LS holds another number of pixels than it says.",
        ));
    }
    Ok(samples)
}
