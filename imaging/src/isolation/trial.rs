//! Whether a child decodes.

use super::Program;
use super::child::Child;
use crate::Limits;

/// Pixels a side of the picture.
const SIDE: u16 = 4;

/// Has a fresh child decode a small picture.
pub(super) fn examine(program: &Program) -> Result<(), String> {
    let child = Child::start(program);
    let mut child = child.map_err(|error| format!("no child process can be started: {error}"))?;
    let pixels: Vec<u8> = (0..16).map(|n| n * 16).collect();
    match child.decode(program, &file(&pixels), &Limits::default(), None) {
        Ok(Ok(picture)) if picture.pixels == pixels => Ok(()),
        Ok(Ok(_)) => Err("a child process decodes a picture to other pixels than it has".into()),
        Ok(Err(refused)) => Err(format!("a child process refuses a sound picture: {refused}")),
        Err(failed) => {
            Err(format!("a child process gives no picture: {}", failed.refusal(program).detail))
        }
    }
}

/// A radiograph of these pixels, in explicit VR little endian.
fn file(pixels: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    file.extend(b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0");
    file.extend(b"\x08\0\x60\0CS\x02\0CR");
    file.extend(b"\x28\0\x04\0CS\x0c\0MONOCHROME2 ");
    for (element, value) in [(0x10, SIDE), (0x11, SIDE), (0x100, 8), (0x101, 8)] {
        file.extend([0x28u16.to_le_bytes(), u16::to_le_bytes(element)].concat());
        file.extend(b"US\x02\0");
        file.extend(u16::to_le_bytes(value));
    }
    file.extend(b"\xe0\x7f\x10\0OB\0\0");
    file.extend((pixels.len() as u32).to_le_bytes());
    file.extend(pixels);
    file
}
