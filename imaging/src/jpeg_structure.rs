//! A JPEG's markers (ITU-T T.81, annex B), walked once over the whole file before any decoding.
//!
//! It gives the size for the limits, names what the decoder does not read, and finds the end of image
//! marker. A file without one is cut short: decoders fill the missing part with grey, which would look
//! like a picture of something.

use crate::Rejection;

/// More scans than any encoder writes; each costs a pass over all pixels.
const MAX_SCANS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1 grey, 3 colour, 4 CMYK.
    pub(crate) components: u8,
    pub(crate) scans: usize,
    /// Offset of the end of image marker.
    pub(crate) end: usize,
}

struct Frame {
    width: u32,
    height: u32,
    /// The identifiers of the components.
    components: Vec<u8>,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Structure, Rejection> {
    let cut_short = || Rejection::undecodable("The JPEG file is cut short: it has no end marker.");
    let mut frame: Option<Frame> = None;
    let mut scanned: Vec<u8> = Vec::new();
    let mut scans = 0;
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at).ok_or_else(cut_short)?;
        at = after;
        match marker {
            // End of image.
            0xd9 => {
                let frame =
                    frame.ok_or_else(|| Rejection::undecodable("The JPEG has no frame."))?;
                if !frame.components.iter().all(|id| scanned.contains(id)) {
                    return Err(Rejection::undecodable(
                        "The JPEG file is incomplete: a component has no scan.",
                    ));
                }
                return Ok(Structure {
                    width: frame.width,
                    height: frame.height,
                    components: frame.components.len() as u8,
                    scans,
                    end: at - 2,
                });
            }
            // Stand alone: TEM, RSTn, SOI.
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = segment_length(bytes, at).ok_or_else(cut_short)?;
        let segment = bytes.get(at + 2..at + length).ok_or_else(cut_short)?;
        match marker {
            // Start of frame, any process; C4, C8 and CC are other things.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                if frame.is_some() {
                    return Err(Rejection::undecodable("The JPEG has two frames."));
                }
                frame = Some(read_frame(marker, segment)?);
            }
            // Start of scan: how many components, then an identifier and tables for each.
            0xda => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(Rejection::undecodable(format!("More than {MAX_SCANS} scans.")));
                }
                let count = usize::from(segment.first().copied().unwrap_or(0));
                scanned.extend(segment.iter().skip(1).step_by(2).take(count));
            }
            _ => {}
        }
        at += length;
    }
}

/// The next marker at or after `from` and the offset behind it. Bytes that are not a marker
/// (entropy-coded data, where `FF 00` is an escaped `FF`) are passed over.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xff)?;
        match *bytes.get(at + 1)? {
            0x00 => at += 2,
            // A fill byte: the marker may start at the next one.
            0xff => at += 1,
            marker => return Some((marker, at + 2)),
        }
    }
}

fn segment_length(bytes: &[u8], at: usize) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    (length >= 2).then_some(length)
}

fn read_frame(marker: u8, segment: &[u8]) -> Result<Frame, Rejection> {
    let process = match marker {
        0xc0..=0xc2 => None,
        0xc3 => Some("lossless"),
        0xc9..=0xcb => Some("arithmetic-coded"),
        _ => Some("hierarchical"),
    };
    if let Some(process) = process {
        return Err(Rejection::unsupported(format!(
            "A {process} JPEG; baseline and progressive ones are read."
        )));
    }
    let &[precision, h1, h0, w1, w0, count, ref components @ ..] = segment else {
        return Err(Rejection::undecodable("The JPEG's frame header is too short."));
    };
    if precision != 8 {
        return Err(Rejection::unsupported(format!(
            "A JPEG of {precision} bits a sample; 8 are read."
        )));
    }
    if !matches!(count, 1 | 3 | 4) || components.len() < usize::from(count) * 3 {
        return Err(Rejection::unsupported(format!(
            "A JPEG of {count} components; 1, 3 and 4 are read."
        )));
    }
    Ok(Frame {
        width: u16::from_be_bytes([w1, w0]).into(),
        height: u16::from_be_bytes([h1, h0]).into(),
        components: components.iter().step_by(3).take(count.into()).copied().collect(),
    })
}

#[cfg(test)]
mod tests {
    use lobar_core::image::Reason;

    use super::*;

    /// A file of one grey frame and one scan with `data` as its entropy-coded bytes.
    fn file(sof: u8, precision: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        // An application segment that holds a whole thumbnail, end marker and all.
        bytes.extend([0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9]);
        bytes.extend([0xff, sof, 0, 11, precision, 0, 40, 0, 30, 1, 1, 0x11, 0]);
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.extend(data);
        bytes
    }

    #[test]
    fn size_and_end_are_found_behind_thumbnails_and_escapes() {
        let bytes = file(0xc0, 8, &[1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd9, 9, 9]);
        let structure = read(&bytes).unwrap();
        assert_eq!((structure.width, structure.height, structure.components), (30, 40, 1));
        assert_eq!(structure.end, bytes.len() - 4);
    }

    #[test]
    fn a_file_without_end_marker_is_undecodable() {
        let bytes = file(0xc0, 8, &[1, 2, 3, 0xff, 0xd9]);
        for len in 2..bytes.len() {
            assert_eq!(read(&bytes[..len]).unwrap_err().reason, Reason::Undecodable);
        }
        assert!(read(&bytes).is_ok());
    }

    #[test]
    fn what_the_decoder_does_not_read_is_named() {
        for (sof, precision, word) in [
            (0xc3, 8, "lossless"),
            (0xc9, 8, "arithmetic"),
            (0xc5, 8, "hierarch"),
            (0xc1, 12, "12"),
        ] {
            let refused = read(&file(sof, precision, &[0xff, 0xd9])).unwrap_err();
            assert_eq!(refused.reason, Reason::UnsupportedFormat);
            assert!(refused.detail.contains(word), "{}", refused.detail);
        }
    }
}
