//! A JPEG's markers (ITU-T T.81, annex B), walked once over the whole file before any decoding.
//!
//! It gives the size for the limits, names what is not read, and finds the scans and the end of image
//! marker. A file without one is cut short: decoders fill the missing part with grey, which would look
//! like a picture of something.

use super::application::Application;
use super::coded::{Coded, next_marker};
use super::frame::{Component, Frame};
use super::progression::Progression;
use crate::Rejection;

/// More scans than any encoder writes; each costs a pass over all pixels.
const MAX_SCANS: usize = 64;
/// More tables than any encoder writes.
const MAX_TABLES: usize = 1_024;
/// Bytes between two segments that are passed over, as by most readers; more are damage.
const MAX_STRAY: usize = 3;

/// What the markers of a file say.
#[derive(Debug)]
pub(crate) struct Structure<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The start of frame marker: C0 baseline, C1 extended, C2 progressive.
    pub(crate) process: u8,
    /// 1 grey, 3 colour, 4 CMYK.
    pub(crate) components: Vec<Component>,
    pub(crate) colour: Colour,
    /// Whether the file says itself what its components are, and not only by their number and names.
    pub(crate) says_colour: bool,
    /// EXIF orientation, 1..=8.
    pub(crate) orientation: u8,
    /// Tables and scans, in the order of the file.
    pub(crate) parts: Vec<Part<'a>>,
}

/// What the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

/// What decoding needs, as the file holds it.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// Quantization or Huffman tables, or a restart interval: the marker and what follows its length.
    Tables { marker: u8, body: &'a [u8] },
    /// A scan.
    Scan(Scan<'a>),
}

/// A scan's header and its entropy-coded bytes.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// Index of each component in the frame, and which Huffman tables it uses.
    pub(crate) components: Vec<(usize, u8)>,
    /// First and last coefficient, and the bits of successive approximation.
    pub(crate) spectral: [u8; 3],
    /// With its restart markers.
    pub(crate) data: &'a [u8],
    pub(crate) restarts: usize,
    /// Groups of blocks between two restart markers; 0 without them.
    pub(crate) interval: u16,
}

impl<'a> Structure<'a> {
    pub(crate) fn progressive(&self) -> bool {
        self.process == 0xc2
    }

    /// The scans in their order.
    pub(crate) fn scans(&self) -> impl Iterator<Item = &Scan<'a>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Scan(scan) => Some(scan),
            Part::Tables { .. } => None,
        })
    }

    /// The largest horizontal and vertical sampling factor.
    pub(crate) fn sampling(&self) -> (u32, u32) {
        let h = self.components.iter().map(|c| c.h).max().unwrap_or(1);
        let v = self.components.iter().map(|c| c.v).max().unwrap_or(1);
        (h.into(), v.into())
    }
}

fn cut_short() -> Rejection {
    Rejection::undecodable("The JPEG file is cut short: it has no end marker.")
}

pub(crate) fn read(bytes: &[u8]) -> Result<Structure<'_>, Rejection> {
    let mut frame: Option<Frame> = None;
    let mut application = Application::default();
    let mut progression = Progression::default();
    let mut parts: Vec<Part> = Vec::new();
    let (mut tables, mut scans, mut interval) = (0, 0, 0);
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at).ok_or_else(cut_short)?;
        if after - 2 - at > MAX_STRAY && bytes[at..after - 2].iter().any(|&byte| byte != 0xff) {
            return Err(Rejection::undecodable("The JPEG has stray bytes between its segments."));
        }
        at = after;
        match marker {
            // End of image.
            0xd9 => {
                let frame =
                    frame.ok_or_else(|| Rejection::undecodable("The JPEG has no frame."))?;
                progression.check(&frame)?;
                return Ok(Structure {
                    width: frame.width,
                    height: frame.height,
                    process: frame.process,
                    colour: application.colour(&frame.components),
                    says_colour: application.says_colour(),
                    components: frame.components,
                    orientation: application.orientation,
                    parts,
                });
            }
            // Stand alone: TEM, RSTn, SOI.
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = segment_length(bytes, at).ok_or_else(cut_short)?;
        let body = bytes.get(at + 2..at + length).ok_or_else(cut_short)?;
        at += length;
        match marker {
            // Quantization tables, Huffman tables, restart interval.
            0xdb | 0xc4 | 0xdd => {
                tables += 1;
                if tables > MAX_TABLES {
                    return Err(Rejection::undecodable(format!("More than {MAX_TABLES} tables.")));
                }
                if let (0xdd, &[high, low]) = (marker, body) {
                    interval = u16::from_be_bytes([high, low]);
                }
                parts.push(Part::Tables { marker, body });
            }
            // Start of frame, any process; C8 and CC are other things.
            0xc0..=0xcf if !matches!(marker, 0xc8 | 0xcc) => {
                if frame.is_some() {
                    return Err(Rejection::undecodable("The JPEG has two frames."));
                }
                frame = Some(Frame::read(marker, body)?);
            }
            0xda => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(Rejection::undecodable(format!("More than {MAX_SCANS} scans.")));
                }
                let frame = frame.as_ref().ok_or_else(|| {
                    Rejection::undecodable("The JPEG has a scan before its frame.")
                })?;
                let (coded, end) = Coded::read(bytes, at).ok_or_else(cut_short)?;
                let scan = read_scan(frame, body, &coded, interval)?;
                scan.check(frame, coded.in_turn)?;
                progression.add(frame, &scan)?;
                parts.push(Part::Scan(scan));
                at = end;
            }
            // What comes behind the first scan says nothing about it.
            0xe0..=0xef if scans == 0 => application.read(marker, body),
            _ => {}
        }
    }
}

/// How many components, an identifier and tables for each, then three parameters.
fn read_scan<'a>(
    frame: &Frame,
    header: &[u8],
    coded: &Coded<'a>,
    interval: u16,
) -> Result<Scan<'a>, Rejection> {
    let bad = || Rejection::undecodable("The JPEG has a scan header that does not fit its frame.");
    let count = usize::from(*header.first().ok_or_else(bad)?);
    let selectors = header.get(1..1 + count * 2).ok_or_else(bad)?;
    let &[first, last, bits] = &header[1 + count * 2..] else { return Err(bad()) };
    let mut components: Vec<(usize, u8)> = Vec::with_capacity(count);
    for selector in selectors.chunks_exact(2) {
        let index = frame.components.iter().position(|c| c.id == selector[0]).ok_or_else(bad)?;
        if components.iter().any(|(other, _)| *other == index) {
            return Err(bad());
        }
        components.push((index, selector[1]));
    }
    if components.is_empty() || first > last || last > 63 {
        return Err(bad());
    }
    let (data, restarts) = (coded.data, coded.restarts);
    Ok(Scan { components, spectral: [first, last, bits], data, restarts, interval })
}

fn segment_length(bytes: &[u8], at: usize) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    (length >= 2).then_some(length)
}

#[cfg(test)]
mod tests {
    use lobar_core::image::Reason;

    use super::*;

    /// A file of one grey frame of 20 blocks and one scan with `data` as its entropy-coded bytes, in restart
    /// intervals of 10 blocks where it has restart markers.
    fn file(sof: u8, precision: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        // An application segment that holds a whole thumbnail, end marker and all.
        bytes.extend([0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9]);
        bytes.extend([0xff, sof, 0, 11, precision, 0, 40, 0, 30, 1, 1, 0x11, 0]);
        if data.windows(2).any(|w| w[0] == 0xff && (0xd0..0xd8).contains(&w[1])) {
            bytes.extend([0xff, 0xdd, 0, 4, 0, 10]);
        }
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.extend(data);
        bytes
    }

    #[test]
    fn size_and_data_are_found_behind_thumbnails_and_escapes() {
        let bytes = file(0xc0, 8, &[1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd9, 9, 9]);
        let structure = read(&bytes).unwrap();
        assert_eq!((structure.width, structure.height, structure.components.len()), (30, 40, 1));
        let data: Vec<&[u8]> = structure.scans().map(|scan| scan.data).collect();
        assert_eq!(data, [&[1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff]]);
    }

    #[test]
    fn restart_markers_are_as_many_as_the_blocks_ask_for_and_take_turns() {
        let whole = [1, 0xff, 0xd0, 2, 0xff, 0xd9];
        assert!(read(&file(0xc0, 8, &whole)).is_ok());
        // Some encoders write one more at the end.
        let data = [1, 0xff, 0xd0, 2, 0xff, 0xd1, 0xff, 0xd9];
        let bytes = file(0xc0, 8, &data);
        let structure = read(&bytes).unwrap();
        assert_eq!(structure.scans().next().unwrap().data, [1, 0xff, 0xd0, 2]);
        for (what, data) in [
            ("the last one is missing", &[1, 0xff, 0xd0, 0xff, 0xd9][..]),
            ("one too many", &[1, 0xff, 0xd0, 2, 0xff, 0xd1, 3, 0xff, 0xd9]),
            ("out of its turn", &[1, 0xff, 0xd1, 2, 0xff, 0xd9]),
        ] {
            let refused = read(&file(0xc0, 8, data)).unwrap_err();
            assert!(refused.detail.contains("2 restart intervals"), "{what}: {refused}");
        }
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
    fn what_is_not_read_is_named() {
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

    #[test]
    fn stray_bytes_and_scans_that_fit_no_frame_are_damage() {
        let whole = file(0xc0, 8, &[1, 2, 3, 0xff, 0xd9]);
        let stray = [&whole[..2], &[1; 4], &whole[2..]].concat();
        assert!(read(&stray).unwrap_err().detail.contains("stray"));
        let few = [&whole[..2], &[1; 3], &whole[2..]].concat();
        assert!(read(&few).is_ok());
        let scan = whole.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
        for (offset, value) in [(4, 0), (4, 2), (5, 7), (7, 64), (8, 64)] {
            let mut bad = whole.clone();
            bad[scan + offset] = value;
            assert!(read(&bad).unwrap_err().detail.contains("scan header"), "{offset}");
        }
    }
}
