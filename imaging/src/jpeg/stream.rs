//! A JPEG written again for the decoder: the same tables and entropy-coded bytes, and nothing of the rest.
//!
//! The decoder then sees no application segment, no comment and no name of a component that it could take
//! for something else than libjpeg does. Nor does it run from one restart interval or scan into the next: it
//! would read zeros, which are codes, and fill what is missing with an even grey. One bits stand behind each
//! ([`seal`]). No Huffman code consists of ones alone (ITU-T T.81, annex C), so a decoder that reads on there
//! fails.
//!
//! The decoder wants a marker right behind the first scan of a progressive file. That scan is written twice:
//! once as it is, and once sealed, which brings the same values again.
//!
//! What a seal does not show: bytes that are missing from the end of a scan that refines coefficients, where
//! none but the last run of its bits is short. That costs the lowest bit of some coefficients.

use super::huffman;
use super::structure::{Colour, Part, Scan, Structure};

/// Ones behind each interval, in bytes. What reads on takes 16 bits for a code at most and 15 behind it; then
/// 16 ones must still be there.
const ONES: usize = 8;
/// The most bits that a run of blocks takes without a code between, where coefficients are refined: libjpeg
/// ends a run at a thousand.
const LONGEST_RUN: usize = 4_096;
/// The longest seal.
const SEAL: [u8; 2 * (ONES + LONGEST_RUN / 8)] = {
    let mut seal = [0; 2 * (ONES + LONGEST_RUN / 8)];
    let mut i = 0;
    while i < seal.len() {
        seal[i] = 0xff; // escaped by the zero behind it
        i += 2;
    }
    seal
};

/// What is put behind each interval of a scan.
fn seal(scan: &Scan) -> &'static [u8] {
    let run = match (scan.refines() && scan.spectral[0] > 0, scan.interval) {
        (false, _) => 0,
        (true, 0) => LONGEST_RUN,
        // A run ends with its interval, and a block refines 63 coefficients.
        (true, blocks) => (usize::from(blocks) * 63).min(LONGEST_RUN),
    };
    &SEAL[..2 * (ONES + run.div_ceil(8))]
}

/// How many bytes [`whole`] and [`plane`] make at most.
pub(super) fn size(structure: &Structure) -> usize {
    let sealed: usize = structure.parts.iter().map(part_size).sum();
    // The first scan of a plane may be any.
    let first = structure.scans().map(|scan| scan.data.len() + 16).max().unwrap_or(0);
    sealed + if structure.progressive() { first } else { 0 } + 512
}

fn part_size(part: &Part) -> usize {
    match part {
        Part::Tables { body, .. } => body.len() + 4,
        Part::Scan(scan) => scan.data.len() + 16 + (scan.restarts + 1) * seal(scan).len(),
    }
}

/// The whole file.
pub(super) fn whole(structure: &Structure) -> Vec<u8> {
    let adobe = match structure.colour {
        Colour::Grey => None,
        Colour::Rgb | Colour::Cmyk => Some(0),
        Colour::YCbCr => Some(1),
        Colour::Ycck => Some(2),
    };
    let size = (structure.width, structure.height);
    write(structure, &(0..structure.components.len()).collect::<Vec<_>>(), size, adobe)
}

/// One component of a file in which no scan holds more, as a grey picture of `size`: such a scan is coded
/// as that of a grey picture (ITU-T T.81, A.2.2).
pub(super) fn plane(structure: &Structure, component: usize, size: (u32, u32)) -> Vec<u8> {
    write(structure, &[component], size, None)
}

fn write(
    structure: &Structure,
    components: &[usize],
    (width, height): (u32, u32),
    adobe: Option<u8>,
) -> Vec<u8> {
    let wanted = |scan: &Scan| scan.components.iter().all(|(index, _)| components.contains(index));
    // Nothing stands behind the last scan.
    let last = structure.parts.iter().rposition(|part| matches!(part, Part::Scan(s) if wanted(s)));
    let parts = &structure.parts[..last.map_or(0, |last| last + 1)];
    let written = |part: &&Part| match part {
        Part::Tables { .. } => true,
        Part::Scan(scan) => wanted(scan),
    };
    let sealed: usize = parts.iter().filter(written).map(part_size).sum();
    let mut first = structure.scans().find(|scan| structure.progressive() && wanted(scan));
    let size = sealed + first.map_or(0, |scan| scan.data.len() + 16) + 512;
    let mut out = Vec::with_capacity(size);
    out.extend([0xff, 0xd8]);
    if let Some(transform) = adobe {
        segment(&mut out, 0xee, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat());
    }
    if !structure.progressive() {
        // Tables of the file replace them.
        segment(&mut out, 0xc4, &huffman::standard());
    }
    segment(&mut out, structure.process, &frame(structure, components, width, height));
    for part in parts {
        match part {
            Part::Tables { marker, body } => segment(&mut out, *marker, body),
            Part::Scan(scan) if wanted(scan) => {
                if let Some(first) = first.take() {
                    segment(&mut out, 0xda, &header(first, components));
                    out.extend_from_slice(first.data);
                }
                segment(&mut out, 0xda, &header(scan, components));
                for (interval, marker) in scan.intervals() {
                    out.extend_from_slice(interval);
                    out.extend_from_slice(seal(scan));
                    out.extend(marker.into_iter().flat_map(|marker| [0xff, marker]));
                }
            }
            Part::Scan(_) => {}
        }
    }
    out.extend([0xff, 0xd9]);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xff, marker]);
    // A body came from a segment or is short.
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(body);
}

fn frame(structure: &Structure, components: &[usize], width: u32, height: u32) -> Vec<u8> {
    let mut body = vec![8];
    // Both are 65,535 at most, as in the file.
    body.extend((height as u16).to_be_bytes());
    body.extend((width as u16).to_be_bytes());
    body.push(components.len() as u8);
    for (name, index) in (1..).zip(components) {
        let component = structure.components[*index];
        // The factors of a component that stands alone mean nothing.
        let sampling = if components.len() == 1 { 0x11 } else { component.h << 4 | component.v };
        body.extend([name, sampling, component.table]);
    }
    body
}

fn header(scan: &Scan, components: &[usize]) -> Vec<u8> {
    let mut body = vec![scan.components.len() as u8];
    for (index, tables) in &scan.components {
        let name = components.iter().position(|other| other == index).map_or(0, |at| at as u8 + 1);
        body.extend([name, *tables]);
    }
    body.extend(scan.spectral);
    body
}
