//! Files that nobody could mean as an X-ray: what systems leave in folders (`Thumbs.db`, `.DS_Store`), and texts beside
//! pictures. A file is one of them by its name **and** by its content, so that no picture is ever taken for one, whatever
//! it is called.

use std::fmt;
use std::str::FromStr;

use crate::study::Pattern;

/// Names of such files unless an operator says otherwise.
const USUAL: &str = "Thumbs.db,ehthumbs.db,desktop.ini,autorun.inf,.DS_Store,._*,.directory,*.txt,*.log,*.md,*.ini,*.inf,\
*.csv,*.xml,*.htm,*.html,*.css,*.js,*.url,*.lnk,*.exe,*.dll";
/// The word for no name at all.
const OFF: &str = "off";
/// Largest file that is looked into, in bytes. What systems leave in folders is smaller; a larger file goes the way of images.
pub const LARGEST: u64 = 2 << 20;
/// Longest list that is taken, in names: each one is compared with the key of every object.
const MOST: usize = 200;

/// Names of files that may be junk: patterns with `*` and `?`, without regard to the case of letters A to Z.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JunkNames(Vec<String>);

/// What is wrong with a list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JunkNamesError {
    /// A name without a letter, a digit or a dot is everything's, or nothing's.
    #[error(
        "each is a file's name in which `*` stands for any characters and `?` for one, such as `Thumbs.db` or `*.txt`; not `*` alone, and without `/`"
    )]
    Name,
    /// There are too many.
    #[error("there are more than {MOST} names")]
    TooMany,
}

impl Default for JunkNames {
    fn default() -> Self {
        Self(USUAL.split(',').map(str::to_ascii_lowercase).collect())
    }
}

impl JunkNames {
    /// Nothing is taken for junk.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether the file's name, which is what follows the last `/` or `\`, is in the list.
    pub fn include(&self, path: &str) -> bool {
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
        !name.is_empty()
            && self.0.iter().any(|pattern| Pattern::new(pattern.as_str()).matches(&name))
    }

    /// Whether a whole file is no image by its name, which is what follows the last `/` or `\`, and by its content.
    pub fn match_file(&self, path: &str, bytes: &[u8]) -> bool {
        self.include(path) && bytes.len() as u64 <= LARGEST && is_no_image(bytes)
    }
}

impl FromStr for JunkNames {
    type Err = JunkNamesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == OFF {
            return Ok(Self::none());
        }
        let names: Vec<String> =
            text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        if names.len() > MOST {
            return Err(JunkNamesError::TooMany);
        }
        let says_something =
            |name: &String| name.contains(|c: char| c.is_alphanumeric() || c == '.');
        let is_name =
            |name: &String| says_something(name) && !name.contains(['/', '\\']) && name != "*.*";
        if names.iter().all(is_name) { Ok(Self(names)) } else { Err(JunkNamesError::Name) }
    }
}

impl fmt::Display for JunkNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str(OFF) } else { f.write_str(&self.0.join(",")) }
    }
}

/// How images, archives that may hold some, and other formats of pictures begin.
const PICTURES: [&[u8]; 17] = [
    b"\xFF\xD8",             // JPEG, JPEG-LS
    b"\x89PNG",              // PNG
    b"\x00\x00\x00\x0CjP  ", // JPEG 2000, a file
    b"\xFF\x4F\xFF\x51",     // JPEG 2000, a codestream
    b"\xFF\x0A",             // JPEG XL, a codestream
    b"\x00\x00\x00\x0CJXL ", // JPEG XL, a file
    b"GIF8",                 // GIF
    b"BM",                   // BMP
    b"II*\x00",              // TIFF
    b"MM\x00*",              // TIFF
    b"RIFF",                 // WebP
    b"\x1F\x8B",             // gzip
    b"PK\x03\x04",           // ZIP
    b"\x02\x00\x00\x00",     // DICOM's file meta information without its preamble
    b"\x08\x00",             // a DICOM data set, little-endian
    b"\x00\x08\x00",         // the same, big-endian
    b"%PDF",                 // a report, or a scan
];
/// Where a DICOM file says that it is one, and how (PS3.10, 7.1).
const DICOM: (usize, &[u8]) = (128, b"DICM");
/// Where a file of the ISO base media format (HEIF, AVIF) says so.
const MEDIA: (usize, &[u8]) = (4, b"ftyp");

/// Whether what a file holds is nothing that could be an image, by how it begins. An empty file is none.
pub fn is_no_image(bytes: &[u8]) -> bool {
    let at = |(place, word): (usize, &[u8])| {
        bytes.get(place..).is_some_and(|rest| rest.starts_with(word))
    };
    !at(DICOM) && !at(MEDIA) && !PICTURES.iter().any(|begin| bytes.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systems_leave_behind_is_in_the_list_and_pictures_are_not() {
        let usual = JunkNames::default();
        for name in [
            "incoming/north/THUMBS.DB",
            "a/b\\Desktop.ini",
            ".DS_Store",
            "x/._1.jpg",
            "read me.TXT",
        ] {
            assert!(usual.include(name), "{name}");
        }
        for name in ["1.jpg", "thumbs.db.jpg", "txt", "a.txt/1", "IM0001", "", "a/"] {
            assert!(!usual.include(name), "{name}");
        }
        assert!(!JunkNames::none().include("Thumbs.db"));
    }

    #[test]
    fn a_list_reads_back_and_what_would_name_everything_is_refused() {
        for text in ["off", "thumbs.db,*.txt", "._*"] {
            assert_eq!(
                text.parse::<JunkNames>().map(|names| names.to_string()).as_deref(),
                Ok(text)
            );
        }
        let usual = JunkNames::default();
        assert_eq!(usual.to_string().parse(), Ok(usual));
        for bad in ["", "*", "*,a.txt", "**", "?", "*.*", "a/b", "a,,b"] {
            assert_eq!(bad.parse::<JunkNames>(), Err(JunkNamesError::Name), "{bad:?}");
        }
        assert_eq!("a,".repeat(300).parse::<JunkNames>(), Err(JunkNamesError::TooMany));
    }

    #[test]
    fn nothing_that_begins_like_a_picture_is_taken_for_none() {
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM\x02\0\0\0");
        for image in [
            &b"\xFF\xD8\xFF\xE0"[..],
            b"\x89PNG\r\n\x1a\n",
            b"\x08\x00\x05\x00CS",
            b"\x02\x00\x00\x00UL",
            b"\x00\x00\x00\x1cftypheic",
            b"II*\x00",
            &dicom,
        ] {
            assert!(!is_no_image(image), "{image:?}");
        }
        for other in [
            &b""[..],
            b"Dear colleague",
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", // Thumbs.db
            b"\x00\x00\x00\x01Bud1",             // .DS_Store
            b"\x00\x05\x16\x07\x00\x02",         // AppleDouble
            b"\xEF\xBB\xBF[.ShellClassInfo]",
            b"\xFF\xFE[\0.\0",
        ] {
            assert!(is_no_image(other), "{other:?}");
        }
    }

    #[test]
    fn a_file_is_junk_by_its_name_and_its_content_and_only_where_it_is_small() {
        let usual = JunkNames::default();
        assert!(usual.match_file("incoming/north/Thumbs.db", b"\xD0\xCF\x11\xE0"));
        assert!(
            !usual.match_file("incoming/north/notes.txt", b"\xFF\xD8\xFF"),
            "a picture by that name"
        );
        assert!(!usual.match_file("incoming/north/1.jpg", b"Dear colleague"));
        let long = vec![b'a'; LARGEST as usize + 1];
        assert!(usual.match_file("notes.txt", &long[1..]) && !usual.match_file("notes.txt", &long));
    }
}
