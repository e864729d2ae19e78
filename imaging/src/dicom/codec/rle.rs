//! RLE (PS3.5, G): the bytes of the samples, highest first, each kind of byte in a segment of PackBits.
//!
//! Own code: what dicom-rs has can be made to allocate what a header claims and to panic on fragments.

use super::super::layout::Layout;
use super::Samples;
use crate::Rejection;

/// The header: the number of segments, and where each begins.
const HEADER: usize = 64;
const MAX_SEGMENTS: usize = 15;

fn undecodable(detail: &str) -> Rejection {
    Rejection::undecodable(format!("RLE: {detail}."))
}

/// Decodes one frame, its fragments joined.
pub(crate) fn decode(bytes: &[u8], layout: &Layout) -> Result<Samples, Rejection> {
    let segments = segments(bytes)?;
    let (channels, width) = (layout.samples(), layout.bytes());
    if segments.len() != channels * width {
        return Err(undecodable(&format!(
            "{} segments; {channels} samples of {width} bytes have another number",
            segments.len()
        )));
    }
    let count = layout.pixels() * channels;
    if width == 1 {
        let mut samples = vec![0u8; count];
        for (channel, segment) in segments.into_iter().enumerate() {
            let targets = samples.iter_mut().skip(channel).step_by(channels);
            unpack(segment, targets, |target, byte| *target = byte)?;
        }
        return Ok(Samples::Eight(samples));
    }
    let mut samples = vec![0u16; count];
    for (index, segment) in segments.into_iter().enumerate() {
        let (channel, high) = (index / 2, index % 2 == 0);
        let targets = samples.iter_mut().skip(channel).step_by(channels);
        let shift = if high { 8 } else { 0 };
        unpack(segment, targets, |target, byte| *target |= u16::from(byte) << shift)?;
    }
    Ok(Samples::Sixteen(samples))
}

fn segments(bytes: &[u8]) -> Result<Vec<&[u8]>, Rejection> {
    let header: &[u8; HEADER] = bytes.first_chunk().ok_or_else(|| undecodable("no header"))?;
    let number = |i: usize| {
        let at = i * 4;
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize
    };
    let count = number(0);
    if !(1..=MAX_SEGMENTS).contains(&count) {
        return Err(undecodable("the header says no possible number of segments"));
    }
    (1..=count)
        .map(|i| {
            let end = if i < count { number(i + 1) } else { bytes.len() };
            let segment = bytes.get(number(i)..end).filter(|_| number(i) >= HEADER);
            segment.ok_or_else(|| undecodable("a segment lies outside the frame"))
        })
        .collect()
}

/// Puts the bytes of a segment into `targets`, of which none may be left over (PS3.5, G.3.2).
fn unpack<'a, T: 'a>(
    mut segment: &[u8],
    mut targets: impl Iterator<Item = &'a mut T>,
    mut put: impl FnMut(&mut T, u8),
) -> Result<(), Rejection> {
    let short = || undecodable("a segment is cut short");
    let Some(mut target) = targets.next() else { return Ok(()) };
    loop {
        let (&control, rest) = segment.split_first().ok_or_else(short)?;
        let (run, literal): (usize, bool) = match control as i8 {
            n @ 0.. => (n as usize + 1, true),
            -128 => {
                segment = rest;
                continue;
            }
            n => (usize::from(n.unsigned_abs()) + 1, false),
        };
        let taken = if literal { run } else { 1 };
        // The last literal run may be cut at the end of the picture.
        for i in 0..run {
            let byte = *rest.get(if literal { i } else { 0 }).ok_or_else(short)?;
            put(target, byte);
            match targets.next() {
                Some(next) => target = next,
                None => return Ok(()),
            }
        }
        segment = rest.get(taken..).ok_or_else(short)?;
    }
}
