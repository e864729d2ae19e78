//! Which files there are to upload.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use walkdir::WalkDir;

use crate::dicom::Kind;
use crate::dicomdir;

/// A file on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it is called under the site: its path below the folder that was named.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Nanoseconds since the epoch of its last change.
    pub(crate) modified: u128,
    /// Whether it is DICOM.
    pub(crate) dicom: bool,
}

/// What a walk came back with.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order of their names.
    pub(crate) files: Vec<File>,
    /// What could not be read, a sentence each.
    pub(crate) problems: Vec<String>,
    /// How many files are no images by name and content, and were left out.
    pub(crate) junk: usize,
}

/// Files as named, and every file below named folders; hidden ones below folders are left out. In the place of a DICOMDIR
/// stand the files that it names. What is found in more than one way is there once.
pub(crate) fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut known = HashSet::new();
    for path in paths {
        let walk = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.path())) {
            match entry.map_err(|e| e.to_string()) {
                Ok(entry) if !entry.file_type().is_file() => {}
                Ok(entry) => found.add(path, entry.path(), &mut known),
                Err(problem) => found.problems.push(problem),
            }
        }
    }
    found
}

impl Found {
    fn add(&mut self, root: &Path, path: &Path, known: &mut HashSet<PathBuf>) {
        let kind = Kind::of(path);
        if kind == Kind::Directory {
            let (files, problems) = dicomdir::files(path);
            self.problems.extend(problems);
            let folder = path.parent().unwrap_or(Path::new(""));
            // Below the folder that was named, or else below its own.
            let root = if path == root { folder } else { root };
            for file in files {
                if Kind::of(&file) != Kind::Directory {
                    self.add(root, &file, known);
                }
            }
            return;
        }
        if kind == Kind::Junk {
            self.junk += 1;
            return;
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if !known.insert(real) {
            return;
        }
        match describe(root, path, kind) {
            Ok(file) => self.files.push(file),
            Err(problem) => self.problems.push(problem),
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn describe(root: &Path, path: &Path, kind: Kind) -> Result<File, String> {
    let data = path.metadata().map_err(|e| format!("{}: {e}", path.display()))?;
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    let name = below.unwrap_or(Path::new(path.file_name().unwrap_or_default()));
    let parts: Option<Vec<&str>> = name.iter().map(|part| part.to_str()).collect();
    let parts = parts.ok_or_else(|| format!("{}: the name is not UTF-8", path.display()))?;
    let modified = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(File {
        path: path.to_owned(),
        name: parts.join("/"),
        size: data.len(),
        modified: modified.map_or(0, |since| since.as_nanos()),
        dicom: kind == Kind::Dicom,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_and_hidden_files_left_out() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join("ward/.cache")).expect("a folder");
        for name in [
            "ward/b.jpg",
            "ward/a.jpg",
            "ward/Thumbs.db",
            "ward/.DS_Store",
            "ward/.cache/x",
            "top.png",
        ] {
            std::fs::write(dir.path().join(name), name).expect("a file");
        }
        let found = find(&[dir.path().to_owned()]);
        let names: Vec<_> = found.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["top.png", "ward/a.jpg", "ward/b.jpg"]);
        assert_eq!(found.junk, 1);
        assert!(found.problems.is_empty());
    }

    #[test]
    fn a_named_file_keeps_its_own_name_and_a_missing_one_is_reported() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join(".hidden.jpg");
        std::fs::write(&file, "x").expect("a file");
        let found = find(&[file, dir.path().join("missing.jpg")]);
        assert_eq!(found.files[0].name, ".hidden.jpg");
        assert!(found.problems[0].contains("missing.jpg"));
    }

    #[test]
    fn a_nameless_dicom_file_is_known_as_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let dicom = [&[0; 128], b"DICM".as_slice()].concat();
        std::fs::write(dir.path().join("IM000001"), dicom).expect("a file");
        std::fs::write(dir.path().join("a.jpg"), "x").expect("a file");
        let found = find(&[dir.path().to_owned()]);
        let kinds: Vec<_> =
            found.files.iter().map(|file| (file.name.as_str(), file.dicom)).collect();
        assert_eq!(kinds, [("IM000001", true), ("a.jpg", false)]);
    }

    #[test]
    fn what_is_named_twice_is_there_once() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.jpg"), "x").expect("a file");
        let found = find(&[dir.path().join("a.jpg"), dir.path().to_owned(), dir.path().to_owned()]);
        assert_eq!(found.files.len(), 1);
    }
}
