//! JPEG by cosine transform, of 8 bits, read by the decoder of JPEG files.

use lobar_core::image::Reason;

use super::super::layout::Layout;
use super::{Frame, Samples, expect_size, marker};
use crate::{Limits, Rejection, jpeg};

/// The most mean chroma, 0..=255, of a picture that is stored in colour and is grey: rounding between RGB and YCbCr.
const GREY: f64 = 1.0;

pub(super) fn decode(bytes: &[u8], layout: &Layout, limits: &Limits) -> Result<Frame, Rejection> {
    check(bytes, layout)?;
    let (decoded, reserved) = jpeg::decode(bytes, limits)?;
    if decoded.chroma.mean > GREY {
        return Err(super::super::grey::coloured());
    }
    // In the order of the data set: its Patient Orientation says how it lies, and no Exif tag.
    let samples = Samples::Eight(decoded.pixels);
    Ok(Frame { samples, channels: 1, signed: Some(false), mislabelled: false, reserved })
}

/// The samples with their colours: grey, or RGB, which the decoder makes of luma and differences. `is_rgb`: whether the data
/// set says that they are RGB as they are stored; a JPEG that says nothing itself is believed to be that.
pub(super) fn samples(
    bytes: &[u8],
    layout: &Layout,
    limits: &Limits,
    (beside, is_rgb): (u64, bool),
) -> Result<Frame, Rejection> {
    check(bytes, layout)?;
    let (picture, reserved) = jpeg::original(bytes, limits, beside, is_rgb)?;
    let channels = picture.channels();
    if channels != layout.samples() {
        return Err(Rejection::undecodable(format!(
            "The JPEG has {channels} samples a pixel, and the data set says {}.",
            layout.samples()
        )));
    }
    let samples = Samples::Eight(picture.pixels);
    Ok(Frame { samples, channels, signed: Some(false), mislabelled: false, reserved })
}

/// Refuses a JPEG of another size than the data set says, and processes that are not read.
fn check(bytes: &[u8], layout: &Layout) -> Result<(), Rejection> {
    let header = marker::frame(bytes);
    let header = header.ok_or_else(|| Rejection::undecodable("The JPEG has no frame."))?;
    expect_size(layout, header.width, header.height)?;
    if header.precision != 8 || header.marker > 0xc2 {
        let detail = match (header.marker, header.precision) {
            (0xc1, bits) => format!("JPEG Extended (Process 2 & 4) of {bits} bits; 8 are read."),
            (marker, bits) => {
                format!("A JPEG process that is not read (SOF{}, {bits} bits).", marker & 0xf)
            }
        };
        return Err(Rejection::new(Reason::UnsupportedTransferSyntax, detail));
    }
    Ok(())
}
