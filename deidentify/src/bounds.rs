//! Whether the lengths in a data set are such that it can be read: the reader makes room for what an element says it has
//! before it looks whether that is there, and takes many times their bytes for small elements and for texts of many values.

use std::cell::Cell;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// Deepest nesting of sequences. Images of the table's kinds need 3.
const DEPTH_MAX: usize = 32;
/// Bytes that a data set may have beside values of bytes (pixels, overlays): images have some ten thousand.
const ATTRIBUTES_MAX: usize = 4 << 20;
/// What an element or item costs of those beside its value, as it is kept in memory.
const ELEMENT: usize = 64;
/// A length that is not told: the end is marked (PS3.5, 7.5).
const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// Whether every element of a data set ends within it, and its attributes are of a size that images have.
pub(crate) fn fits(bytes: &[u8], explicit: bool, big_endian: bool) -> bool {
    let left = Cell::new(ATTRIBUTES_MAX);
    let walk = Walk { bytes, explicit, big_endian, left: &left };
    walk.elements(0, bytes.len(), 0) == Some(bytes.len())
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    bytes: &'a [u8],
    explicit: bool,
    big_endian: bool,
    /// Bytes that are left of [`ATTRIBUTES_MAX`].
    left: &'a Cell<usize>,
}

/// One element's header, or an item's.
struct Header {
    tag: Tag,
    vr: Option<VR>,
    length: u32,
    /// Where the value begins.
    value: usize,
}

impl Walk<'_> {
    /// The end of elements from `at`: `end`, or behind the delimiter of an item.
    fn elements(self, mut at: usize, end: usize, depth: usize) -> Option<usize> {
        while at < end {
            let header = self.header(at, end)?;
            if header.tag == ITEM_END {
                return (depth > 0 && header.length == 0).then_some(header.value);
            }
            at = self.value(&header, end, depth)?;
        }
        Some(at)
    }

    fn value(self, header: &Header, end: usize, depth: usize) -> Option<usize> {
        let is_sequence = match header.vr {
            Some(vr) => vr == VR::SQ,
            None => StandardDataDictionary
                .by_tag(header.tag)
                .is_some_and(|entry| entry.vr().exact() == Some(VR::SQ)),
        };
        if header.length != UNDEFINED {
            let behind = header.value.checked_add(header.length as usize)?;
            if behind > end {
                return None;
            }
            let vr = header.vr.or_else(|| {
                StandardDataDictionary.by_tag(header.tag).and_then(|entry| entry.vr().exact())
            });
            // Pixels are of one of two kinds, and what is of none known is bytes.
            let is_bytes = vr.is_none_or(|vr| {
                matches!(vr, VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN)
            });
            if !is_sequence && !is_bytes {
                // Each of several values is kept by itself.
                let value = self.bytes.get(header.value..behind)?;
                let further = value.iter().filter(|byte| **byte == b'\\').count();
                self.spend(value.len().checked_add(further.checked_mul(ELEMENT)?)?)?;
            }
            return match is_sequence {
                true => self.items(header.value, behind, depth + 1).filter(|at| *at == behind),
                false => Some(behind),
            };
        }
        if header.tag == tags::PIXEL_DATA {
            return self.fragments(header.value, end);
        }
        // Of an unknown kind it is a sequence written implicitly (PS3.5, 6.2.2, note 2).
        let explicit = self.explicit && header.vr != Some(VR::UN);
        Self { explicit, ..self }.items(header.value, end, depth + 1)
    }

    /// The end of a sequence's items: `end`, or behind the delimiter.
    fn items(self, mut at: usize, end: usize, depth: usize) -> Option<usize> {
        if depth > DEPTH_MAX {
            return None;
        }
        while at < end {
            let item = self.header(at, end)?;
            match item.tag {
                SEQUENCE_END => return (item.length == 0).then_some(item.value),
                ITEM if item.length == UNDEFINED => at = self.elements(item.value, end, depth)?,
                ITEM => {
                    let behind = item.value.checked_add(item.length as usize)?;
                    let inner = (behind <= end).then_some(behind)?;
                    at = self.elements(item.value, inner, depth).filter(|at| *at == behind)?;
                }
                _ => return None,
            }
        }
        Some(at)
    }

    fn fragments(self, mut at: usize, end: usize) -> Option<usize> {
        loop {
            let item = self.header(at, end)?;
            match item.tag {
                SEQUENCE_END => return Some(item.value),
                ITEM => {
                    at = item.value.checked_add(item.length as usize).filter(|at| *at <= end)?
                }
                _ => return None,
            }
        }
    }

    fn spend(self, bytes: usize) -> Option<()> {
        self.left.set(self.left.get().checked_sub(bytes)?);
        Some(())
    }

    fn header(self, at: usize, end: usize) -> Option<Header> {
        self.spend(ELEMENT)?;
        let head = self.bytes.get(at..end)?;
        let tag = Tag(self.u16(head, 0)?, self.u16(head, 2)?);
        if !self.explicit || tag.group() == 0xfffe {
            return Some(Header { tag, vr: None, length: self.u32(head, 4)?, value: at + 8 });
        }
        let vr = VR::from_binary([*head.get(4)?, *head.get(5)?])?;
        let is_long = matches!(
            vr,
            VR::OB
                | VR::OD
                | VR::OF
                | VR::OL
                | VR::OV
                | VR::OW
                | VR::SQ
                | VR::SV
                | VR::UC
                | VR::UN
                | VR::UR
                | VR::UT
                | VR::UV
        );
        let (length, value) = match is_long {
            true => (self.u32(head, 8)?, at + 12),
            false => (u32::from(self.u16(head, 6)?), at + 8),
        };
        Some(Header { tag, vr: Some(vr), length, value })
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_end_is_found_at_every_depth() {
        let ends = |length: u8| {
            let mut bytes =
                b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff\
                \x08\x00\x50\x11UI\x02\x001\0\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
                    .to_vec();
            bytes[26] = length;
            fits(&bytes, true, false)
        };
        assert!(ends(2) && !ends(1) && !ends(200));
        assert!(!fits(b"\x10\x00\x10\x00UT\0\0\xfe\xff\xff\xffDoe", true, false));
        assert!(!fits(b"\x10\x00\x10\x00\xfe\xff\xff\xffDoe", false, false));
        assert!(fits(b"\x10\x00\x10\x00\x04\x00\x00\x00Doe ", false, false));
    }

    #[test]
    fn nesting_has_an_end() {
        let deep =
            b"\x08\x00\x40\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff".repeat(100_000);
        assert!(!fits(&deep, false, false));
    }
    #[test]
    fn attributes_larger_than_those_of_any_image_do_not_fit_however_they_are_cut() {
        // Patient Comments.
        let comments = |count: usize, length: u16| {
            let head = [&b"\x10\0\0\x40LT"[..], &length.to_le_bytes()].concat();
            [head, vec![b'x'; length.into()]].concat().repeat(count)
        };
        assert!(fits(&comments(60, 60_000), true, false));
        assert!(!fits(&comments(80, 60_000), true, false));
        assert!(!fits(&comments(70_000, 0), true, false));
        // Other Patient Names.
        let names = [&b"\x10\0\x01\x10PN\xfe\xff"[..], &b"a\\".repeat(0x7fff)].concat();
        assert!(fits(&names, true, false) && !fits(&names.repeat(2), true, false));
        // Bytes may be many.
        let length = 5_u32 << 20;
        let pixels = [&b"\xe0\x7f\x10\0OW\0\0"[..], &length.to_le_bytes()].concat();
        assert!(fits(&[pixels, vec![0; 5 << 20]].concat(), true, false));
    }
}
