//! JPEG 2000 (ISO 15444-1) and HTJ2K (ISO 15444-15), read by openjp2.

use jpeg2k::{DecodeParameters, Image};

use super::super::layout::Layout;
use super::{Samples, expect_size};
use crate::Rejection;

/// What was decoded.
pub(super) struct Picture {
    pub(super) samples: Samples,
    pub(super) signed: bool,
}

fn undecodable(detail: &str) -> Rejection {
    Rejection::undecodable(format!("JPEG 2000: {detail}."))
}

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Picture, Rejection> {
    let start = bytes.windows(4).position(|window| window == [0xff, 0x4f, 0xff, 0x51]);
    let stream = &bytes[start.ok_or_else(|| undecodable("it has no code stream"))?..];
    let (width, height, channels) = size(stream).ok_or_else(|| undecodable("it is cut short"))?;
    expect_size(layout, width, height)?;
    if channels != layout.samples() {
        return Err(undecodable(&format!("{channels} components, and not {}", layout.samples())));
    }
    // A decoder may fill what is missing; that it does not is what `strict` holds. These two bytes are none of packet data.
    if !stream.windows(2).rev().any(|window| window == [0xff, 0xd9]) {
        return Err(undecodable("it is cut short"));
    }
    let image = Image::from_bytes_with(stream, DecodeParameters::new().strict(true))
        .map_err(|_| undecodable("it does not decode"))?;
    let components = image.components();
    let pixels = layout.pixels();
    let whole = components.len() == channels
        && components.iter().all(|component| {
            (component.width(), component.height()) == (width, height)
                && component.data().len() == pixels
                && component.precision() <= 16
        });
    if !whole {
        return Err(undecodable("its components are not of its size"));
    }
    let mut samples = vec![0u16; pixels * channels];
    for (channel, component) in components.iter().enumerate() {
        let targets = samples.iter_mut().skip(channel).step_by(channels);
        // Some writers store two's complement in a code stream that says unsigned.
        let extended = layout.signed && !component.is_signed();
        let shift = if extended { 32 - component.precision() } else { 0 };
        for (target, value) in targets.zip(component.data()) {
            *target = (*value << shift >> shift) as u16;
        }
    }
    let signed = components[0].is_signed() || layout.signed;
    Ok(Picture { samples: Samples::Sixteen(samples), signed })
}

/// Width, height and number of components that a code stream says (ISO 15444-1, A.5.1).
fn size(stream: &[u8]) -> Option<(u32, u32, usize)> {
    let field = |at: usize| Some(u32::from_be_bytes(*stream.get(at..)?.first_chunk()?));
    let (width, height) = (field(8)?.checked_sub(field(16)?)?, field(12)?.checked_sub(field(20)?)?);
    // Tiles of a few pixels would cost more than the picture.
    let (tile_width, tile_height) = (field(24)?, field(28)?);
    let tiles = u64::from(width).div_ceil(tile_width.max(1).into())
        * u64::from(height).div_ceil(tile_height.max(1).into());
    let components = u16::from_be_bytes(*stream.get(40..)?.first_chunk()?);
    (tiles <= 65_535).then_some((width, height, components.into()))
}
