//! What a file is, by its first bytes. Names and extensions lie and are never looked at.

use lobar_core::image::Reason;

use crate::Rejection;

/// A kind of file that can be told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Read: ISO 10918-1.
    Jpeg,
    /// Read: ISO 15948.
    Png,
    /// Read: DICOM (PS3.10), with its preamble or as a bare data set.
    Dicom,
    /// Another image format, by name. Recognised, not read.
    OtherImage(&'static str),
    /// Something that is not an image, by name.
    NotImage(&'static str),
}

impl Format {
    /// Those that are read.
    pub const READ: [Format; 3] = [Format::Jpeg, Format::Png, Format::Dicom];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Dicom => "DICOM",
            Format::OtherImage(name) | Format::NotImage(name) => name,
        }
    }

    /// What the names of its files end with, in lower case without the dot; none where it is not read.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Format::Jpeg => &["jpeg", "jpg"],
            Format::Png => &["png"],
            Format::Dicom => &["dcm", "dicom"],
            Format::OtherImage(_) | Format::NotImage(_) => &[],
        }
    }
}

/// Whether files whose names end so, in any case, are to be pictures that are read. It tells a data set's
/// pictures from the files beside them; what a file is, its bytes say.
pub fn is_picture_ending(ending: &str) -> bool {
    let ending = ending.to_ascii_lowercase();
    Format::READ.iter().any(|format| format.endings().contains(&ending.as_str()))
}

/// Prefixes of the formats that are named in a refusal.
const PREFIXES: [(&[u8], Format); 16] = [
    (b"\xff\xd8\xff", Format::Jpeg),
    (b"\x89PNG\r\n\x1a\n", Format::Png),
    (b"GIF8", Format::OtherImage("GIF")),
    (b"II*\0", Format::OtherImage("TIFF")),
    (b"MM\0*", Format::OtherImage("TIFF")),
    (b"II+\0", Format::OtherImage("BigTIFF")),
    (b"BM", Format::OtherImage("BMP")),
    (b"\0\0\0\x0cjP  ", Format::OtherImage("JPEG 2000")),
    (b"\xff\x4f\xff\x51", Format::OtherImage("JPEG 2000")),
    (b"\xff\x0a", Format::OtherImage("JPEG XL")),
    (b"\0\0\0\x0cJXL ", Format::OtherImage("JPEG XL")),
    (b"%PDF", Format::NotImage("PDF")),
    (b"PK\x03\x04", Format::NotImage("ZIP")),
    (b"\x1f\x8b", Format::NotImage("gzip")),
    (b"7z\xbc\xaf\x27\x1c", Format::NotImage("7-Zip")),
    (b"Rar!", Format::NotImage("RAR")),
];

/// Tells the format of a file, or `None` when its bytes say nothing.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    if bytes.get(128..132) == Some(b"DICM") || bytes.starts_with(b"DICM") {
        return Some(Format::Dicom);
    }
    if let Some((_, format)) = PREFIXES.iter().find(|(prefix, _)| bytes.starts_with(prefix)) {
        return Some(*format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(Format::OtherImage("WebP"));
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(match bytes.get(8..12) {
            Some(b"avif" | b"avis") => Format::OtherImage("AVIF"),
            Some(b"heic" | b"heix" | b"mif1" | b"msf1" | b"hevc") => Format::OtherImage("HEIC"),
            _ => Format::NotImage("MP4 video"),
        });
    }
    if is_bare_data_set(bytes) {
        return Some(Format::Dicom);
    }
    is_text(bytes).then_some(Format::NotImage("text"))
}

/// A DICOM data set without preamble starts with a low element of group 0002 or 0008 (PS3.5 section 7.1), followed by a
/// value representation or a small length; one of no bytes by another element of its group. Big endian has a value
/// representation always.
fn is_bare_data_set(bytes: &[u8]) -> bool {
    let Some(&[g1, g2, e1, e2, a, b, c, d]) = bytes.first_chunk() else { return false };
    let explicit = a.is_ascii_uppercase() && b.is_ascii_uppercase();
    let empty = (a, b) == (0, 0) && bytes.get(8..10) != Some(&[g1, g2]);
    let implicit = [c, d] == [0, 0] && !empty;
    match [g1, g2, e1, e2] {
        [0x02 | 0x08, 0, ..=0x18, 0] => explicit || implicit,
        [0, 0x08, 0, ..=0x18] => explicit,
        _ => false,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    // A multi-byte character may be cut at the end of the head.
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none(),
    };
    let control = |b: &u8| b.is_ascii_control() && !b"\t\n\r\x0c\x1b".contains(b);
    !head.is_empty() && valid && !head.iter().any(control)
}

/// The refusal of a format that is not read.
pub(crate) fn refuse(format: Option<Format>) -> Rejection {
    let read = listed();
    match format {
        Some(Format::OtherImage(name)) => {
            Rejection::unsupported(format!("A {name} file; {read} are read."))
        }
        Some(Format::NotImage(name)) => {
            Rejection::new(Reason::NotAnImage, format!("A {name} file; {read} are read."))
        }
        _ => {
            Rejection::new(Reason::NotAnImage, format!("An unknown kind of file; {read} are read."))
        }
    }
}

/// The formats that are read: `JPEG, PNG and DICOM`.
fn listed() -> String {
    let [first @ .., last] = Format::READ.map(Format::name);
    format!("{} and {last}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM\x02\0\0\0UL\x04\0");
        let cases: [(&[u8], Option<Format>); 16] = [
            (b"\xff\xd8\xff\xe0", Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0\0", Some(Format::Png)),
            (&dicom, Some(Format::Dicom)),
            (b"\x08\0\0\0\x04\0\0\0\x1e\x01\0\0", Some(Format::Dicom)),
            (b"\x08\0\x05\0CS\x0a\0ISO_IR 100", Some(Format::Dicom)),
            (b"\x02\0\0\0UL\x04\0\0\0\0\0", Some(Format::Dicom)),
            (b"\x08\0\x05\0\0\0\0\0\x08\0\x16\0", Some(Format::Dicom)),
            (b"\x08\0\x05\0\0\0\0\0\0\0\0\0", None),
            (b"\0\x08\0\x05CS\0\x0aISO_IR 100", Some(Format::Dicom)),
            (b"GIF89a", Some(Format::OtherImage("GIF"))),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some(Format::OtherImage("WebP"))),
            (b"\0\0\0\x18ftypheic", Some(Format::OtherImage("HEIC"))),
            (b"%PDF-1.7", Some(Format::NotImage("PDF"))),
            ("name;räumt\n".as_bytes(), Some(Format::NotImage("text"))),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(sniff(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_format() {
        assert_eq!(refuse(Some(Format::OtherImage("TIFF"))).reason, Reason::UnsupportedFormat);
        assert_eq!(refuse(Some(Format::NotImage("PDF"))).reason, Reason::NotAnImage);
        assert_eq!(refuse(None).reason, Reason::NotAnImage);
    }
    #[test]
    fn what_is_read_has_a_name_and_endings_and_a_refusal_names_it() {
        for format in Format::READ {
            assert!(refuse(None).detail.contains(format.name()), "{format:?}");
            assert!(!format.endings().is_empty(), "{format:?}");
            assert!(format.endings().iter().all(|ending| is_picture_ending(ending)));
        }
        assert!(is_picture_ending("PNG") && !is_picture_ending("csv") && !is_picture_ending(""));
        assert_eq!(refuse(None).detail, "An unknown kind of file; JPEG, PNG and DICOM are read.");
    }
}
