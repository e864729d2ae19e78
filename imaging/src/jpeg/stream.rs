//! A JPEG written again for the decoder: the same tables and entropy-coded bytes, and nothing of the rest.
//!
//! The decoder then sees no application segment, no comment and no name of a component that it could take
//! for something else than libjpeg does.

use super::huffman;
use super::structure::{Colour, Part, Scan, Structure};

/// One bits put between the last scan and the end marker. No Huffman code consists of ones alone (ITU-T
/// T.81, annex C), so a decoder that reads on because part of the scan is missing fails there. Without
/// them it would read zeros, which are codes, and fill the rest with an even grey.
const SEAL: [u8; 128] = {
    let mut seal = [0; 128];
    let mut i = 0;
    while i < seal.len() {
        seal[i] = 0xff; // escaped by the zero behind it
        i += 2;
    }
    seal
};

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
    // Nothing stands between the last scan and the seal, so that what reads on meets the seal.
    let last = structure.parts.iter().rposition(|part| matches!(part, Part::Scan(s) if wanted(s)));
    let parts = &structure.parts[..last.map_or(0, |last| last + 1)];
    let bytes = |part: &Part| match part {
        Part::Tables { body, .. } => body.len() + 4,
        Part::Scan(scan) if wanted(scan) => scan.data.len() + 16,
        Part::Scan(_) => 0,
    };
    let size: usize = parts.iter().map(bytes).sum();
    let mut out = Vec::with_capacity(size + SEAL.len() + 512);
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
                segment(&mut out, 0xda, &header(scan, components));
                out.extend_from_slice(scan.data);
            }
            Part::Scan(_) => {}
        }
    }
    out.extend(SEAL);
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
