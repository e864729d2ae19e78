//! What of data sets is read here: which instance one is, and what a request for storage commitment asks. Elements are
//! walked, without a value being kept that is not wanted, whatever lengths they claim and however deep they lie.

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use lobar_core::commitment::SopReference;
use lobar_core::study::Uid;

use crate::tables::Encoding;

/// How much of a deflated data set is inflated to find its UIDs, in bytes.
const INFLATED: u64 = 256 << 10;
/// How deep sequences may lie in one another.
const DEPTH: usize = 16;

const SOP_CLASS: (u16, u16) = (0x0008, 0x0016);
const SOP_INSTANCE: (u16, u16) = (0x0008, 0x0018);
const REFERENCED_CLASS: (u16, u16) = (0x0008, 0x1150);
const REFERENCED_INSTANCE: (u16, u16) = (0x0008, 0x1155);
const TRANSACTION: (u16, u16) = (0x0008, 0x1195);
const REFERENCED_SEQUENCE: (u16, u16) = (0x0008, 0x1199);
const ITEM: (u16, u16) = (0xfffe, 0xe000);
const ITEM_END: (u16, u16) = (0xfffe, 0xe00d);
const SEQUENCE_END: (u16, u16) = (0xfffe, 0xe0dd);
const UNDEFINED: u32 = u32::MAX;

/// SOP Class UID (0008,0016) and SOP Instance UID (0008,0018).
pub(crate) struct Identity {
    /// The class.
    pub(crate) class: Option<Uid>,
    /// The instance.
    pub(crate) instance: Uid,
}

/// The identity of a data set. `None` where it cannot be read that far, or has no SOP Instance UID.
pub(crate) fn identify(bytes: &[u8], encoding: Encoding) -> Option<Identity> {
    if encoding != Encoding::Deflated {
        return Walk { rest: bytes, encoding }.identity();
    }
    let mut inflated = Vec::new();
    // What follows what was cut off is not needed.
    let _ = DeflateDecoder::new(bytes).take(INFLATED).read_to_end(&mut inflated);
    Walk { rest: &inflated, encoding }.identity()
}

/// What a peer asks (PS3.4, table J.3-1): Transaction UID and Referenced SOP Sequence.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) transaction: Uid,
    pub(crate) references: Vec<SopReference>,
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is none, or names nothing.
    Malformed,
    /// It names more instances than may be asked about.
    TooMany,
}

/// The content of a request for storage commitment of at most `most` instances.
pub(crate) fn asked(bytes: &[u8], encoding: Encoding, most: usize) -> Result<Asked, Unread> {
    let mut walk = Walk { rest: bytes, encoding };
    let (mut transaction, mut references) = (None, Vec::new());
    while !walk.rest.is_empty() {
        let header = walk.header().ok_or(Unread::Malformed)?;
        match header.tag {
            TRANSACTION => transaction = walk.uid(header.length).ok_or(Unread::Malformed)?,
            REFERENCED_SEQUENCE => references = walk.references(header.length, most)?,
            _ => walk.skip(header.length, 0).ok_or(Unread::Malformed)?,
        }
    }
    match transaction {
        Some(transaction) if !references.is_empty() => Ok(Asked { transaction, references }),
        _ => Err(Unread::Malformed),
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    encoding: Encoding,
}

struct Header {
    tag: (u16, u16),
    length: u32,
}

impl<'a> Walk<'a> {
    fn identity(mut self) -> Option<Identity> {
        let mut class = None;
        let mut last = (0, 0);
        loop {
            let header = self.header()?;
            // In ascending order (PS3.5, 7.1): what goes back is no data set, or one in another transfer syntax.
            if header.tag <= last || header.tag > SOP_INSTANCE {
                return None;
            }
            last = header.tag;
            match header.tag {
                SOP_CLASS => class = self.uid(header.length)?,
                SOP_INSTANCE => {
                    let instance = self.uid(header.length)??;
                    return Some(Identity { class, instance });
                }
                _ => self.skip(header.length, 0)?,
            }
        }
    }

    /// What a value of `length` is walked by, and whether a delimiter ends it.
    fn within(&mut self, length: u32) -> Option<(Walk<'a>, bool)> {
        let encoding = self.encoding;
        if length == UNDEFINED {
            return Some((Walk { rest: self.rest, encoding }, true));
        }
        Some((Walk { rest: self.take(usize::try_from(length).ok()?)?, encoding }, false))
    }

    fn references(&mut self, length: u32, most: usize) -> Result<Vec<SopReference>, Unread> {
        let (mut items, has_end) = self.within(length).ok_or(Unread::Malformed)?;
        let mut found = Vec::new();
        while has_end || !items.rest.is_empty() {
            let header = items.header().ok_or(Unread::Malformed)?;
            match header.tag {
                SEQUENCE_END if has_end => break,
                ITEM if found.len() == most => return Err(Unread::TooMany),
                ITEM => found.push(items.reference(header.length).ok_or(Unread::Malformed)?),
                _ => return Err(Unread::Malformed),
            }
        }
        if has_end {
            self.rest = items.rest;
        }
        Ok(found)
    }

    fn reference(&mut self, length: u32) -> Option<SopReference> {
        let (mut item, has_end) = self.within(length)?;
        let (mut class, mut instance) = (None, None);
        while has_end || !item.rest.is_empty() {
            let header = item.header()?;
            match header.tag {
                ITEM_END if has_end => break,
                REFERENCED_CLASS => class = item.uid(header.length)?,
                REFERENCED_INSTANCE => instance = item.uid(header.length)?,
                _ => item.skip(header.length, 0)?,
            }
        }
        if has_end {
            self.rest = item.rest;
        }
        Some(SopReference { class: class?, instance: instance? })
    }

    fn header(&mut self) -> Option<Header> {
        let tag = (self.u16()?, self.u16()?);
        let is_explicit = self.encoding != Encoding::Implicit && tag.0 != 0xfffe;
        if !is_explicit {
            return Some(Header { tag, length: self.u32()? });
        }
        let vr = self.take(2)?;
        let length = match vr {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN"
            | b"UR" | b"UT" | b"UV" => {
                self.take(2)?;
                self.u32()?
            }
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => u32::from(self.u16()?),
            _ => return None,
        };
        Some(Header { tag, length })
    }

    /// Passes a value; one of undefined length is a sequence.
    fn skip(&mut self, length: u32, depth: usize) -> Option<()> {
        if length != UNDEFINED {
            return self.take(usize::try_from(length).ok()?).map(drop);
        }
        if depth == DEPTH {
            return None;
        }
        loop {
            let header = self.header()?;
            match header.tag {
                SEQUENCE_END => return Some(()),
                ITEM if header.length == UNDEFINED => self.skip_item(depth + 1)?,
                ITEM => self.skip(header.length, depth)?,
                _ => return None,
            }
        }
    }

    fn skip_item(&mut self, depth: usize) -> Option<()> {
        loop {
            let header = self.header()?;
            if header.tag == ITEM_END {
                return Some(());
            }
            self.skip(header.length, depth)?;
        }
    }

    /// A value that should be a UID: the inner `None` where it is none.
    #[allow(clippy::option_option, reason = "cut off, or no UID")]
    fn uid(&mut self, length: u32) -> Option<Option<Uid>> {
        let value = self.take(usize::try_from(length).ok()?)?;
        Some(std::str::from_utf8(value).ok().and_then(Uid::parse))
    }

    fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(match self.encoding {
            Encoding::BigEndian => u16::from_be_bytes(*bytes),
            _ => u16::from_le_bytes(*bytes),
        })
    }

    fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(match self.encoding {
            Encoding::BigEndian => u32::from_be_bytes(*bytes),
            _ => u32::from_le_bytes(*bytes),
        })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// A data set of a character set, a sequence of undefined length, class and instance.
    pub(crate) fn data_set(encoding: Encoding, class: &str, instance: &str) -> Vec<u8> {
        let mut set = Vec::new();
        let big = encoding == Encoding::BigEndian;
        let two = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let four = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut put = |tag: (u16, u16), vr: &[u8; 2], value: &[u8], undefined: bool| {
            set.extend(two(tag.0));
            set.extend(two(tag.1));
            let mut value = value.to_vec();
            if value.len() % 2 == 1 {
                value.push(0);
            }
            let length = if undefined { UNDEFINED } else { value.len() as u32 };
            match (encoding, vr, tag.0) {
                (Encoding::Implicit, ..) | (_, _, 0xfffe) => set.extend(four(length)),
                (_, b"SQ", _) => {
                    set.extend(vr);
                    set.extend([0, 0]);
                    set.extend(four(length));
                }
                _ => {
                    set.extend(vr);
                    set.extend(two(length as u16));
                }
            }
            set.extend(value);
        };
        put((8, 5), b"CS", b"ISO_IR 100", false);
        put((8, 6), b"SQ", b"", true);
        put(ITEM, b"  ", b"", true);
        put((8, 0x0100), b"SH", b"en", false);
        put(ITEM_END, b"  ", b"", false);
        put(SEQUENCE_END, b"  ", b"", false);
        put(SOP_CLASS, b"UI", class.as_bytes(), false);
        put(SOP_INSTANCE, b"UI", instance.as_bytes(), false);
        if encoding != Encoding::Deflated {
            return set;
        }
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(&set).expect("memory");
        deflated.finish().expect("memory")
    }

    const ALL: [Encoding; 4] =
        [Encoding::Implicit, Encoding::Explicit, Encoding::BigEndian, Encoding::Deflated];

    #[test]
    fn class_and_instance_are_found_in_every_encoding() {
        for encoding in ALL {
            let set = data_set(encoding, "1.2.3", "1.2.3.4");
            let found = identify(&set, encoding).expect("found");
            assert_eq!(found.instance.as_str(), "1.2.3.4");
            assert_eq!(found.class.as_ref().map(Uid::as_str), Some("1.2.3"));
        }
    }

    #[test]
    fn a_data_set_that_was_cut_is_not_read() {
        for encoding in [Encoding::Implicit, Encoding::Explicit, Encoding::BigEndian] {
            let set = data_set(encoding, "1.2.3", "1.2.3.4");
            for end in 0..set.len() {
                assert!(identify(&set[..end], encoding).is_none(), "{encoding:?} {end}");
            }
        }
    }

    #[test]
    fn another_encoding_than_was_agreed_is_not_read() {
        let set = data_set(Encoding::Implicit, "1.2.3", "1.2.3.4");
        assert!(identify(&set, Encoding::Explicit).is_none());
        assert!(identify(&set, Encoding::BigEndian).is_none());
        assert!(identify(&data_set(Encoding::Explicit, "1", "1.2"), Encoding::Implicit).is_none());
    }

    #[test]
    fn sequences_in_sequences_have_an_end() {
        let deep =
            [8, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]
                .repeat(10_000);
        assert!(identify(&deep, Encoding::Implicit).is_none());
        let asked = asked(&deep.repeat(8), Encoding::Implicit, 10).expect_err("none");
        assert_eq!(asked, Unread::Malformed);
    }

    #[test]
    fn a_value_that_claims_four_gibibytes_takes_none() {
        let claim = [8, 0, 5, 0, b'O', b'B', 0, 0, 0xfe, 0xff, 0xff, 0xff];
        let error = asked(&claim, Encoding::Explicit, 10).expect_err("none");
        assert_eq!(error, Unread::Malformed);
    }
}
