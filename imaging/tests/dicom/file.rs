//! Makes DICOM files, right and wrong ones: so by bytes, and not by a writer that would mend them.
#![allow(dead_code, reason = "each suite uses a part")]

use lobar_core::image::Reason;
use lobar_imaging::{Limits, Radiograph, Rejection, decode, prepare};

/// How elements are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    Implicit,
    Explicit,
    BigEndian,
}

pub(crate) type Tag = (u16, u16);

/// A value: bytes for the representation `vr`.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Items(Vec<Vec<(Tag, [u8; 2], Value)>>),
    /// Encapsulated: each fragment, behind an empty offset table.
    Fragments(Vec<Vec<u8>>),
}

/// A file in the making.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) writing: Writing,
    pub(crate) transfer_syntax: Option<String>,
    pub(crate) preamble: bool,
    pub(crate) group_length: bool,
    elements: Vec<(Tag, [u8; 2], Value)>,
}

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const PIXELS: Tag = (0x7fe0, 0x0010);

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

impl File {
    /// A frontal chest CR of `width × height` pixels in `stored` of 16 bits (8 of 8), MONOCHROME2.
    pub(crate) fn chest(width: u16, height: u16, stored: u16, samples: &[u16]) -> Self {
        let mut file = Self {
            writing: Writing::Explicit,
            transfer_syntax: Some(EXPLICIT.into()),
            preamble: true,
            group_length: true,
            elements: Vec::new(),
        };
        let bytes = match stored {
            ..=8 => Value::Bytes(samples.iter().map(|sample| *sample as u8).collect()),
            _ => Value::Shorts(samples.to_vec()),
        };
        file.set((0x0008, 0x0016), b"UI", text("1.2.840.10008.5.1.4.1.1.1"))
            .set((0x0008, 0x0018), b"UI", text("1.2.3.4"))
            .set((0x0008, 0x0060), b"CS", text("CR"))
            .set((0x0018, 0x0015), b"CS", text("CHEST"))
            .set((0x0018, 0x5101), b"CS", text("PA"))
            .short((0x0028, 0x0002), 1)
            .set((0x0028, 0x0004), b"CS", text("MONOCHROME2"))
            .short((0x0028, 0x0010), height)
            .short((0x0028, 0x0011), width)
            .short((0x0028, 0x0100), if stored <= 8 { 8 } else { 16 })
            .short((0x0028, 0x0101), stored)
            .short((0x0028, 0x0102), stored - 1)
            .short((0x0028, 0x0103), 0)
            .set(PIXELS, if stored <= 8 { b"OB" } else { b"OW" }, bytes);
        file
    }

    /// A row of samples: as high as one, and as wide as there are samples.
    pub(crate) fn row(stored: u16, samples: &[u16]) -> Self {
        Self::chest(samples.len() as u16, 1, stored, samples)
    }

    pub(crate) fn set(&mut self, tag: Tag, vr: &[u8; 2], value: Value) -> &mut Self {
        self.remove(tag);
        self.elements.push((tag, *vr, value));
        self.elements.sort_by_key(|element| element.0);
        self
    }

    pub(crate) fn short(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.set(tag, b"US", Value::Shorts(vec![value]))
    }

    pub(crate) fn text(&mut self, tag: Tag, vr: &[u8; 2], value: &str) -> &mut Self {
        self.set(tag, vr, text(value))
    }

    pub(crate) fn window(&mut self, center: &str, width: &str) -> &mut Self {
        self.text((0x0028, 0x1050), b"DS", center).text((0x0028, 0x1051), b"DS", width)
    }

    pub(crate) fn remove(&mut self, tag: Tag) -> &mut Self {
        self.elements.retain(|element| element.0 != tag);
        self
    }

    /// The data set, as it is written.
    pub(crate) fn data_set(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.elements.iter().for_each(|element| write(&mut out, element, self.writing));
        out
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.preamble {
            out.resize(128, 0);
            out.extend(b"DICM");
        }
        if let Some(syntax) = &self.transfer_syntax {
            let mut meta = Vec::new();
            write(&mut meta, &((2, 0x10), *b"UI", text(syntax)), Writing::Explicit);
            if self.group_length {
                let length = Value::Bytes((meta.len() as u32).to_le_bytes().to_vec());
                write(&mut out, &((2, 0), *b"UL", length), Writing::Explicit);
            }
            out.extend(meta);
        }
        out.extend(self.data_set());
        out
    }

    pub(crate) fn decode(&self) -> Result<Radiograph, Rejection> {
        decode(&self.bytes(), &Limits::default())
    }

    /// The picture's pixels.
    #[track_caller]
    pub(crate) fn grey(&self) -> Vec<u8> {
        self.decode().unwrap().pixels
    }

    /// The refusal, which names no value that could be personal.
    #[track_caller]
    pub(crate) fn refused(&self) -> (Reason, String) {
        let refused = self.decode().unwrap_err();
        assert!(!refused.detail.contains("SECRET"), "{refused}");
        (refused.reason, refused.detail)
    }
}

impl File {
    /// Whether its attributes keep it from the network; what is too small comes after.
    pub(crate) fn passes(&self) -> bool {
        prepare(&self.bytes(), &Limits::default()).unwrap_err().reason == Reason::TooSmall
    }

    /// The refusal by its attributes, which names no value that could be personal.
    #[track_caller]
    pub(crate) fn kept_out(&self) -> (Reason, String) {
        let refused = prepare(&self.bytes(), &Limits::default()).unwrap_err();
        assert!(!refused.detail.contains("SECRET"), "{refused}");
        (refused.reason, refused.detail)
    }
}

fn write(out: &mut Vec<u8>, (tag, vr, value): &(Tag, [u8; 2], Value), writing: Writing) {
    let big = writing == Writing::BigEndian;
    let short = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut undefined = false;
    let mut bytes = match value {
        Value::Text(text) => text.as_bytes().to_vec(),
        Value::Bytes(bytes) => bytes.clone(),
        Value::Shorts(values) => values.iter().flat_map(|value| short(*value)).collect(),
        Value::Items(items) => {
            let mut out = Vec::new();
            for item in items {
                let mut content = Vec::new();
                item.iter().for_each(|element| write(&mut content, element, writing));
                out.extend(short(0xfffe));
                out.extend(short(0xe000));
                out.extend(long(content.len() as u32));
                out.extend(content);
            }
            out
        }
        Value::Fragments(fragments) => {
            undefined = true;
            let mut out = vec![0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0];
            for fragment in fragments {
                out.extend([0xfe, 0xff, 0, 0xe0]);
                out.extend((fragment.len() as u32).to_le_bytes());
                out.extend(fragment);
            }
            out.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
            out
        }
    };
    if bytes.len() % 2 == 1 {
        bytes.push(if vr == b"UI" || vr == b"OB" { 0 } else { b' ' });
    }
    out.extend(short(tag.0));
    out.extend(short(tag.1));
    let length = if undefined { u32::MAX } else { bytes.len() as u32 };
    let is_long = matches!(vr, b"OB" | b"OW" | b"SQ" | b"UN" | b"UT");
    match (writing, is_long) {
        (Writing::Implicit, _) => out.extend(long(length)),
        (_, true) => {
            out.extend(vr);
            out.extend([0, 0]);
            out.extend(long(length));
        }
        (_, false) => {
            out.extend(vr);
            out.extend(short(length as u16));
        }
    }
    out.extend(bytes);
}
