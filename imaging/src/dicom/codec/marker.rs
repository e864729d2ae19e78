//! What a compressed frame is, by its own markers.

use super::super::transfer_syntax::Codec;

/// A compressed stream that says itself what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// ISO 10918-1 by cosine transform: baseline, extended, progressive.
    Dct,
    /// ISO 10918-1, process 14.
    Lossless,
    JpegLs,
    Jpeg2000,
}

impl Stream {
    pub(super) fn codec(self) -> Codec {
        match self {
            Stream::Dct | Stream::Lossless => Codec::Jpeg,
            Stream::JpegLs => Codec::JpegLs,
            Stream::Jpeg2000 => Codec::Jpeg2000,
        }
    }
}

/// Tells a stream by how it begins.
pub(super) fn stream(bytes: &[u8]) -> Option<Stream> {
    if bytes.starts_with(&[0xff, 0x4f, 0xff, 0x51]) || bytes.starts_with(b"\0\0\0\x0cjP  ") {
        return Some(Stream::Jpeg2000);
    }
    Some(match frame(bytes)?.marker {
        0xc3 => Stream::Lossless,
        0xf7 => Stream::JpegLs,
        // Others than the first three are refused there by name.
        _ => Stream::Dct,
    })
}

/// The frame header of a JPEG (ITU-T T.81, B.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) marker: u8,
    pub(super) precision: u8,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The first frame header of a JPEG or JPEG-LS stream.
pub(super) fn frame(bytes: &[u8]) -> Option<Frame> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    loop {
        let rest = bytes.get(at..)?;
        let &[0xff, marker] = rest.first_chunk()? else { return None };
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xf7 => {
                let &[_, _, _, _, precision, y1, y0, x1, x0] = rest.first_chunk()?;
                return Some(Frame {
                    marker,
                    precision,
                    width: u16::from_be_bytes([x1, x0]).into(),
                    height: u16::from_be_bytes([y1, y0]).into(),
                });
            }
            // A scan before any frame.
            0xda => return None,
            _ => {
                let &[_, _, high, low] = rest.first_chunk()?;
                at += 2 + usize::from(u16::from_be_bytes([high, low]).max(2));
            }
        }
    }
}
