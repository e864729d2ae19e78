//! The files that a DICOMDIR names (PS3.10, 8; PS3.3, F).
//!
//! A DICOMDIR is explicit little endian always. It is read from front to back without regard to how its records hang
//! together: each record that stands for a file has Referenced File ID (0004,1500), and nothing else of it is asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest that is read, in bytes: about 100,000 images.
const BYTES_MAX: u64 = 64 << 20;
const FILE_ID: [u8; 4] = [4, 0, 0, 0x15];
const UNDEFINED: u32 = u32::MAX;

/// The files that a DICOMDIR names, each once, in their order, and what is wrong with those that cannot be taken.
pub(crate) fn files(directory: &Path) -> (Vec<PathBuf>, Vec<String>) {
    let shown = directory.display();
    let read = || -> Result<(Vec<u8>, PathBuf), String> {
        let size = fs::metadata(directory).map_err(|error| error.to_string())?.len();
        if size > BYTES_MAX {
            return Err(format!("it has more than {BYTES_MAX} bytes"));
        }
        let bytes = fs::read(directory).map_err(|error| error.to_string())?;
        let folder = directory.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        Ok((bytes, folder.to_owned()))
    };
    let (bytes, folder) = match read() {
        Ok(read) => read,
        Err(why) => return (Vec::new(), vec![format!("{shown}: {why}")]),
    };
    let (ids, whole) = ids(&bytes);
    let (mut files, mut problems, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    if !whole {
        problems.push(format!("{shown}: it is damaged; what it names before the damage is taken"));
    }
    for id in ids.into_iter().filter(|id| known.insert(id.clone())) {
        match find(&folder, &id) {
            Ok(file) => files.push(file),
            Err(why) => problems.push(format!("{shown}: {}: {why}", id.join("/"))),
        }
    }
    (files, problems)
}

/// The file of an id, which is the names of folders and of the file. It must lie below the DICOMDIR's folder, links
/// followed. Names are in capitals there, and on some file systems in small letters.
fn find(folder: &Path, id: &[String]) -> Result<PathBuf, &'static str> {
    const OUTSIDE: &str = "it is outside the folder of the DICOMDIR";
    let mut path = folder.to_owned();
    for name in id {
        if ["", ".", ".."].contains(&name.as_str()) || name.contains(['/', '\0']) {
            return Err(OUTSIDE);
        }
        path = child(&path, name).ok_or("there is no such file")?;
    }
    let (real, root) = (fs::canonicalize(&path), fs::canonicalize(folder));
    match (real, root) {
        (Ok(real), Ok(root)) if !real.starts_with(&root) => Err(OUTSIDE),
        (Ok(real), Ok(_)) if real.is_file() => Ok(path),
        _ => Err("it is not a file"),
    }
}

fn child(folder: &Path, name: &str) -> Option<PathBuf> {
    let exact = folder.join(name);
    if exact.exists() {
        return Some(exact);
    }
    let mut entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let same = |known: &str| known.eq_ignore_ascii_case(name);
    entries.find(|entry| entry.file_name().to_str().is_some_and(same)).map(|entry| entry.path())
}

/// Every Referenced File ID, and whether the file could be read to its end.
fn ids(bytes: &[u8]) -> (Vec<Vec<String>>, bool) {
    let mut ids = Vec::new();
    let mut rest = bytes.get(132..).unwrap_or_default();
    while !rest.is_empty() {
        match element(rest) {
            Some((id, behind)) => {
                ids.extend(id);
                rest = behind;
            }
            None => return (ids, false),
        }
    }
    (ids, !bytes.is_empty())
}

/// One element: the file id, if it is one, and what comes behind. Sequences and items are gone into.
fn element(bytes: &[u8]) -> Option<(Option<Vec<String>>, &[u8])> {
    let head = bytes.first_chunk::<8>()?;
    if head[..2] == [0xfe, 0xff] {
        return Some((None, &bytes[8..]));
    }
    let (length, value) = match &head[4..6] {
        b"SQ" => return Some((None, bytes.get(12..)?)),
        b"OB" | b"OW" | b"OD" | b"OF" | b"OL" | b"OV" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT"
        | b"UV" => (u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?), bytes.get(12..)?),
        vr if vr.iter().all(u8::is_ascii_uppercase) => {
            (u32::from(u16::from_le_bytes([head[6], head[7]])), &bytes[8..])
        }
        _ => return None,
    };
    if length == UNDEFINED {
        return match &head[4..6] {
            // A private sequence: gone into as the others.
            b"UN" => Some((None, value)),
            _ => Some((None, behind_fragments(value)?)),
        };
    }
    let (value, behind) = value.split_at_checked(length as usize)?;
    let id = (head[..4] == FILE_ID).then(|| {
        let text = String::from_utf8_lossy(value);
        text.trim_end_matches([' ', '\0']).split('\\').map(|name| name.trim().to_owned()).collect()
    });
    // A record that stands for no file may have the attribute without a value.
    Some((id.filter(|id: &Vec<String>| id.iter().any(|name| !name.is_empty())), behind))
}

/// What comes behind the fragments of a compressed icon.
fn behind_fragments(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let head = bytes.first_chunk::<8>()?;
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match head[..4] {
            [0xfe, 0xff, 0x00, 0xe0] => bytes = bytes.get(8..)?.get(length..)?,
            [0xfe, 0xff, 0xdd, 0xe0] => return Some(&bytes[8..]),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A DICOMDIR of records with these file ids, with an icon in each.
    fn directory(ids: &[&str]) -> Vec<u8> {
        let mut bytes = [&[0; 128], b"DICM".as_slice()].concat();
        bytes.extend(b"\x04\0\x20\x12SQ\0\0\xff\xff\xff\xff");
        for id in ids {
            bytes.extend(b"\xfe\xff\x00\xe0\xff\xff\xff\xff");
            let padded = format!("{id}{}", if id.len() % 2 == 1 { " " } else { "" });
            bytes.extend(b"\x04\0\x00\x15CS");
            bytes.extend((padded.len() as u16).to_le_bytes());
            bytes.extend(padded.as_bytes());
            bytes.extend(b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\x02\0\0\0\x04\0");
            bytes.extend(b"\xfe\xff\xdd\xe0\0\0\0\0\xfe\xff\x0d\xe0\0\0\0\0");
        }
        bytes.extend(b"\xfe\xff\xdd\xe0\0\0\0\0");
        bytes
    }

    fn folder(ids: &[&str], names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, name).expect("written");
        }
        fs::write(folder.path().join("DICOMDIR"), directory(ids)).expect("written");
        folder
    }

    #[test]
    fn each_id_is_looked_up_once_whatever_the_case_of_its_name() {
        let ids = ["IMAGES\\IM1", "images\\im1", "IMAGES\\IM1", "", "IM2"];
        let here = folder(&ids[..], &["images/im1", "IM2"]);
        let (files, problems) = files(&here.path().join("DICOMDIR"));
        let names: Vec<_> =
            files.iter().filter_map(|file| file.strip_prefix(here.path()).ok()).collect();
        assert_eq!(names, [Path::new("images/im1"), Path::new("images/im1"), Path::new("IM2")]);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn what_lies_outside_or_is_missing_is_told_of_and_not_taken() {
        let ids = ["..\\X", "/etc\\passwd", "LINK\\passwd", "IM9", "A\\.\\IM1"];
        let here = folder(&ids, &["A/IM1"]);
        std::os::unix::fs::symlink("/etc", here.path().join("LINK")).expect("a link");
        let (files, problems) = files(&here.path().join("DICOMDIR"));
        assert!(files.is_empty(), "{files:?}");
        assert_eq!(
            problems.iter().filter(|why| why.contains("outside")).count(),
            4,
            "{problems:?}"
        );
        assert!(problems.iter().any(|why| why.contains("IM9") && why.contains("no such file")));
    }

    #[test]
    fn one_that_is_cut_short_says_so_and_never_panics() {
        let whole = directory(&["IMAGES\\IM1", "IMAGES\\IM2"]);
        assert_eq!(ids(&whole).0.len(), 2);
        for end in 132..whole.len() {
            let (found, _) = ids(&whole[..end]);
            assert!(found.len() <= 2);
        }
        assert!(!ids(&whole[..whole.len() - 3]).1);
    }
}
