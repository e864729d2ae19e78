//! The elements of a data set, in place (PS3.5, 7): nothing is copied, and no length is believed beyond the bytes.
//!
//! Lengths of other people's files are followed by no reader that allocates what they say. This one only moves forward
//! over a slice, so its time is linear and its memory constant whatever the bytes are.

use dicom_core::Tag;

/// Sequences within sequences that are followed; no image of the standard has more than a few.
const DEPTH: usize = 16;
const UNDEFINED: u32 = 0xffff_ffff;

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);
const PIXEL_DATA: Tag = Tag(0x7fe0, 0x0010);

/// How elements are written: with their value representation or without, and in which order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) explicit: bool,
    pub(super) big_endian: bool,
}

impl Encoding {
    pub(super) const IMPLICIT: Self = Self { explicit: false, big_endian: false };
    pub(super) const EXPLICIT: Self = Self { explicit: true, big_endian: false };
    pub(super) const BIG_ENDIAN: Self = Self { explicit: true, big_endian: true };

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// What an element holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// A value of known length.
    Bytes(&'a [u8]),
    /// What stands between the header of a sequence and its end, and how its items are written.
    Items(&'a [u8], Encoding),
    /// The items of encapsulated pixel data (PS3.5, A.4), the offset table first.
    Fragments(&'a [u8]),
}

/// An element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: Tag,
    /// Its value representation, where one is written.
    pub(super) vr: Option<[u8; 2]>,
    pub(super) value: Value<'a>,
}

/// The bytes end within an element, or are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The element whose value is not whole; `None` where not even its header is.
    pub(super) tag: Option<Tag>,
}

/// Walks over the elements of a data set. Ends with the bytes, at a delimiter, or behind the first that is broken.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
    depth: usize,
    ended: bool,
}

impl<'a> Elements<'a> {
    pub(super) fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Self { bytes, at: 0, encoding, depth: 0, ended: false }
    }

    /// Where the next element begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The tag of the next element, without reading it.
    pub(super) fn peek(&self) -> Option<Tag> {
        tag(self.bytes, self.at, self.encoding)
    }

    fn read(&mut self) -> Result<Element<'a>, Broken> {
        let Header { tag, vr, length, after } =
            header(self.bytes, self.at, self.encoding).ok_or(Broken { tag: None })?;
        let broken = Broken { tag: Some(tag) };
        if length == UNDEFINED {
            if tag == PIXEL_DATA {
                let end = fragments_end(self.bytes, after).ok_or(broken)?;
                self.at = end.after;
                return Ok(Element {
                    tag,
                    vr,
                    value: Value::Fragments(&self.bytes[after..end.at]),
                });
            }
            // PS3.5, 6.2.2: unknown, of undefined length, is a sequence in implicit VR.
            let inner = if vr == Some(*b"UN") { Encoding::IMPLICIT } else { self.encoding };
            let end = sequence_end(self.bytes, after, inner, self.depth).ok_or(broken)?;
            self.at = end.after;
            return Ok(Element { tag, vr, value: Value::Items(&self.bytes[after..end.at], inner) });
        }
        let end = after.checked_add(length as usize).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(broken)?;
        self.at = end;
        let value = &self.bytes[after..end];
        // Without a value representation a sequence is known by its tag, to whoever asks for its items.
        let value = match vr == Some(*b"SQ") {
            true => Value::Items(value, self.encoding),
            false => Value::Bytes(value),
        };
        Ok(Element { tag, vr, value })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        // Fewer bytes than a header at the end are padding.
        if self.ended || self.bytes.len().saturating_sub(self.at) < 8 {
            return None;
        }
        if matches!(self.peek(), Some(ITEM_END | SEQUENCE_END)) {
            self.ended = true;
            return None;
        }
        let read = self.read();
        self.ended = read.is_err();
        Some(read)
    }
}

struct Header {
    tag: Tag,
    vr: Option<[u8; 2]>,
    length: u32,
    /// Where its value begins.
    after: usize,
}

fn tag(bytes: &[u8], at: usize, encoding: Encoding) -> Option<Tag> {
    let [a, b, c, d] = *bytes.get(at..)?.first_chunk()?;
    Some(Tag(encoding.u16([a, b]), encoding.u16([c, d])))
}

/// The header of an element, or of an item, which has no value representation.
fn header(bytes: &[u8], at: usize, encoding: Encoding) -> Option<Header> {
    let tag = tag(bytes, at, encoding)?;
    let rest = bytes.get(at + 4..)?;
    if !encoding.explicit || tag.group() == 0xfffe {
        let length = encoding.u32(*rest.first_chunk()?);
        return Some(Header { tag, vr: None, length, after: at + 8 });
    }
    let vr: [u8; 2] = *rest.first_chunk()?;
    if is_long(vr) {
        let length = encoding.u32(*rest.get(4..)?.first_chunk()?);
        return Some(Header { tag, vr: Some(vr), length, after: at + 12 });
    }
    let length = encoding.u16(*rest.get(2..)?.first_chunk()?);
    Some(Header { tag, vr: Some(vr), length: length.into(), after: at + 8 })
}

/// Whether the length of such an element has four bytes, behind two that mean nothing (PS3.5, 7.1.2).
fn is_long(vr: [u8; 2]) -> bool {
    const LONG: [&[u8; 2]; 13] =
        [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];
    LONG.contains(&&vr)
}

struct End {
    /// Where the delimiter begins.
    at: usize,
    /// Behind it.
    after: usize,
}

/// The end of a sequence of undefined length.
fn sequence_end(bytes: &[u8], mut at: usize, encoding: Encoding, depth: usize) -> Option<End> {
    if depth >= DEPTH {
        return None;
    }
    loop {
        let item = header(bytes, at, encoding)?;
        match item.tag {
            SEQUENCE_END => return Some(End { at, after: item.after }),
            ITEM if item.length == UNDEFINED => {
                let mut elements =
                    Elements { bytes, at: item.after, encoding, depth: depth + 1, ended: false };
                if elements.by_ref().any(|element| element.is_err()) {
                    return None;
                }
                at = elements.at;
                let end = header(bytes, at, encoding)?;
                if end.tag != ITEM_END {
                    return None;
                }
                at = end.after;
            }
            ITEM => at = item.after.checked_add(item.length as usize)?,
            _ => return None,
        }
    }
}

/// The end of encapsulated pixel data. What lacks its delimiter ends with the last whole fragment: whether the picture
/// is whole, the codec finds out.
fn fragments_end(bytes: &[u8], mut at: usize) -> Option<End> {
    loop {
        // Always little endian (PS3.5, A.4).
        let Some(item) = header(bytes, at, Encoding::IMPLICIT) else {
            return Some(End { at, after: bytes.len() });
        };
        match item.tag {
            ITEM => {
                at = item.after.checked_add(item.length as usize).filter(|e| *e <= bytes.len())?
            }
            SEQUENCE_END => return Some(End { at, after: item.after }),
            _ => return Some(End { at, after: at }),
        }
    }
}

/// The items of a sequence, each as the elements in it.
pub(super) fn items<'a>(
    bytes: &'a [u8],
    encoding: Encoding,
) -> impl Iterator<Item = Elements<'a>> + use<'a> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let item = header(bytes, at, encoding).filter(|item| item.tag == ITEM)?;
        let mut elements = Elements::new(bytes, encoding);
        elements.at = item.after;
        if item.length == UNDEFINED {
            let mut walk = elements.clone();
            while walk.next().is_some_and(|element| element.is_ok()) {}
            at = header(bytes, walk.at, encoding)?.after;
        } else {
            at = item.after.checked_add(item.length as usize).filter(|end| *end <= bytes.len())?;
            elements.bytes = &bytes[..at];
        }
        Some(elements)
    })
}

/// The fragments of encapsulated pixel data, without the offset table.
#[cfg(any(test, fuzzing))]
pub(super) fn fragments<'a>(bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    parts(encapsulated(bytes).1)
}

/// The offset table of encapsulated pixel data (PS3.5, A.4), and its fragments as they lie behind it.
pub(super) fn encapsulated(bytes: &[u8]) -> (&[u8], &[u8]) {
    let table = parts(bytes).next();
    table.map_or((&[], &[]), |table| (table, &bytes[PART_HEADER + table.len()..]))
}

/// The bytes in front of a fragment: a tag and a length.
pub(super) const PART_HEADER: usize = 8;

/// What is in the items of encapsulated pixel data, one after the other.
pub(super) fn parts<'a>(bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let item = header(bytes, at, Encoding::IMPLICIT).filter(|item| item.tag == ITEM)?;
        let part = bytes.get(item.after..item.after.checked_add(item.length as usize)?)?;
        at = item.after + part.len();
        Some(part)
    })
}
