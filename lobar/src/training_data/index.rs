//! What the copy of a bucket holds: one JSON line a file, appended once the file is there. The last line
//! of a name counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lobar_s3::Listed;
use serde::{Deserialize, Serialize};

/// See the module's documentation.
pub struct Index {
    path: PathBuf,
    file: File,
    known: HashMap<String, (u64, String)>,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    name: Cow<'a, str>,
    bytes: u64,
    etag: Cow<'a, str>,
}

impl Index {
    /// Opens the index at `path`, an empty one where there is none. A line cut short by a kill is passed
    /// over: its file is fetched again.
    pub fn open(path: &Path) -> io::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line<'_>>(line).ok());
        let known =
            lines.map(|line| (line.name.into_owned(), (line.bytes, line.etag.into_owned())));
        let known = known.collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { path: path.to_owned(), file, known })
    }

    /// Whether the copy has this content, as far as is known. Without an eTag nobody can tell.
    pub fn has(&self, object: &Listed) -> bool {
        let known = self.known.get(&object.name);
        !object.etag.is_empty()
            && known.is_some_and(|(bytes, etag)| (*bytes, etag) == (object.bytes, &object.etag))
    }

    /// Keeps that the copy has this content now.
    pub fn keep(&mut self, object: &Listed) -> io::Result<()> {
        self.file.write_all(line(object)?.as_bytes())?;
        self.known.insert(object.name.clone(), (object.bytes, object.etag.clone()));
        Ok(())
    }

    /// Writes the index anew, with these and nothing else.
    pub fn settle(self, objects: &[Listed]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut anew = tempfile::NamedTempFile::new_in(folder)?;
        for object in objects {
            anew.write_all(line(object)?.as_bytes())?;
        }
        anew.as_file().sync_all()?;
        anew.persist(&self.path).map_err(|failed| failed.error)?;
        Ok(())
    }
}

fn line(object: &Listed) -> io::Result<String> {
    let Listed { name, bytes, etag } = object;
    let line = Line { name: name.into(), bytes: *bytes, etag: etag.into() };
    Ok(serde_json::to_string(&line)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, etag: &str) -> Listed {
        Listed { name: name.into(), bytes: 3, etag: etag.into() }
    }

    #[test]
    fn what_was_kept_is_known_later_with_its_last_content() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("index");
        let mut index = Index::open(&path).expect("opens");
        index.keep(&listed("a", "1")).expect("kept");
        index.keep(&listed("a", "2")).expect("kept");
        index.keep(&listed("b", "")).expect("kept");
        let later = Index::open(&path).expect("opens");
        assert!(later.has(&listed("a", "2")) && !later.has(&listed("a", "1")));
        assert!(!later.has(&Listed { bytes: 4, ..listed("a", "2") }));
        assert!(!later.has(&listed("b", "")) && !later.has(&listed("c", "1")));
        later.settle(&[listed("c", "1")]).expect("settled");
        let last = Index::open(&path).expect("opens");
        assert!(last.has(&listed("c", "1")) && !last.has(&listed("a", "2")));
    }

    #[test]
    fn a_line_cut_short_spoils_neither_its_neighbours_nor_what_follows() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("index");
        Index::open(&path).expect("opens").keep(&listed("a", "1")).expect("kept");
        let text = std::fs::read(&path).expect("readable");
        std::fs::write(&path, [&text[..], &text[..9]].concat()).expect("written");
        Index::open(&path).expect("opens").keep(&listed("b", "1")).expect("kept");
        let last = Index::open(&path).expect("opens");
        assert!(last.has(&listed("a", "1")) && last.has(&listed("b", "1")));
    }
}
