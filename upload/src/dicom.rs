//! What of a file tells that it is DICOM: its first bytes, or its name.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use lobar_core::junk::{JunkNames, is_no_image};

/// Bytes that are looked at: the preamble and the beginning of the file meta information.
const HEAD: u64 = 512;
/// Media Storage SOP Class UID (0002,0002) of a Media Storage Directory (PS3.10, 8.6), as a file has it.
const DIRECTORY: &[u8] = b"\x02\0\x02\0UI\x14\x001.2.840.10008.1.3.10";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// DICOM: `DICM` behind a preamble of 128 bytes, or a name that ends in `.dcm` or `.dicom`.
    Dicom,
    /// A DICOMDIR, under whatever name: it tells which files belong to a file-set, and is no image.
    Directory,
    /// No image by name and content, as ingest puts aside: nobody means it as an X-ray.
    Junk,
    /// Anything else.
    Other,
}

impl Kind {
    /// Looks at a file. One that cannot be read is told of when it is uploaded.
    pub(crate) fn of(path: &Path) -> Self {
        let mut head = Vec::new();
        // Not a pipe, which would be waited for without end.
        if path.is_file() {
            let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
            let _ = read;
        }
        Self::told_by(&head, path)
    }

    fn told_by(head: &[u8], path: &Path) -> Self {
        let begins = head.get(128..132) == Some(b"DICM");
        let is_directory = || head[132..].windows(DIRECTORY.len()).any(|part| part == DIRECTORY);
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ends = ending.is_some_and(|ending| {
            ending.eq_ignore_ascii_case("dcm") || ending.eq_ignore_ascii_case("dicom")
        });
        let is_named_junk = || JunkNames::default().include(&path.to_string_lossy());
        match begins {
            true if is_directory() => Kind::Directory,
            true => Kind::Dicom,
            false if ends => Kind::Dicom,
            false if is_named_junk() && is_no_image(head) => Kind::Junk,
            false => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_first_bytes_or_by_its_name() {
        let dicom = [&[0; 128], b"DICM\x02\0\0\0UL\x04\0\x01\0\0\0".as_slice()].concat();
        let directory = [&dicom, DIRECTORY].concat();
        for (head, name, kind) in [
            (&dicom[..], "IM000001", Kind::Dicom),
            (&dicom, "1.jpg", Kind::Dicom),
            (b"", "1.DCM", Kind::Dicom),
            (b"\xff\xd8", "a.dicom", Kind::Dicom),
            (b"\xff\xd8", "a.jpg", Kind::Other),
            (b"", "dcm", Kind::Other),
            (b"read me", "ward/1.TXT", Kind::Junk),
            (b"\xff\xd8", "ward/1.txt", Kind::Other),
            (&dicom, "1.txt", Kind::Dicom),
            (&directory, "DICOMDIR", Kind::Directory),
            (&directory, "x", Kind::Directory),
            (b"DICM", "DICOMDIR", Kind::Other),
        ] {
            assert_eq!(Kind::told_by(head, Path::new(name)), kind, "{name}");
        }
    }
}
