//! What has been uploaded, kept across runs: one JSON line a file, appended when its PUT answered.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use lobar_core::object::ImageId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::File;
use crate::error::UploadError;

/// The journal of one target (address, site, lane).
pub(crate) struct Journal {
    path: PathBuf,
    /// Whom the files are said to show: the same file of somebody else is another.
    identity: Option<String>,
    done: Mutex<(std::fs::File, HashMap<String, ImageId>)>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    file: String,
    id: ImageId,
}

impl Journal {
    /// Opens the journal of `target` in the user's state folder. A line cut short by a kill is
    /// passed over: its file is uploaded again. `identity` is whom this run's files are said to show, `None` where nothing is
    /// said.
    pub(crate) fn open(target: &str, identity: Option<String>) -> Result<Self, UploadError> {
        let folder = state_folder().join("uploads");
        Self::open_in(&folder, target, identity).map_err(|e| {
            UploadError::failed(format!("upload journal in {}: {e}", folder.display()))
        })
    }

    fn open_in(
        folder: &std::path::Path,
        target: &str,
        identity: Option<String>,
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.jsonl", &digest(target)[..16]));
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let done = lines.map(|line| (line.file, line.id)).collect();
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { path, identity, done: Mutex::new((file, done)) })
    }

    /// The image that `file`, as it is now, became.
    pub(crate) fn find(&self, file: &File) -> Option<ImageId> {
        self.lock().1.get(&self.key(file)).copied()
    }

    /// Keeps that `file` became `id`.
    pub(crate) fn keep(&self, file: &File, id: ImageId) -> Result<(), UploadError> {
        let key = self.key(file);
        let mut done = self.lock();
        let mut line = serde_json::json!(Line { file: key.clone(), id }).to_string();
        line.push('\n');
        done.0
            .write_all(line.as_bytes())
            .map_err(|e| UploadError::failed(format!("{}: {e}", self.path.display())))?;
        done.1.insert(key, id);
        Ok(())
    }

    /// A file as it is: another size or time makes it another file. Digested: names are personal.
    fn key(&self, file: &File) -> String {
        let path = std::fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
        let mut text =
            format!("{}\0{}\0{}\0{}", path.display(), file.name, file.size, file.modified);
        if let Some(identity) = &self.identity {
            text.push('\0');
            text.push_str(identity);
        }
        digest(&text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (std::fs::File, HashMap<String, ImageId>)> {
        // A panic between the two writes leaves a journal that is still true.
        self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// `$XDG_STATE_HOME/lobar` or `~/.local/state/lobar` (XDG Base Directory Specification).
#[allow(clippy::disallowed_methods)] // the user's folders are no settings of ours
fn state_folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    state.unwrap_or_else(std::env::temp_dir).join("lobar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64) -> File {
        File { path: "a.jpg".into(), name: "a.jpg".into(), size, modified: 1, dicom: false }
    }

    #[test]
    fn what_was_kept_is_found_by_a_later_run_unless_the_file_changed() {
        let dir = tempfile::tempdir().expect("a folder");
        let id = ImageId(uuid::Uuid::from_u128(1));
        Journal::open_in(dir.path(), "t", None).expect("opens").keep(&file(3), id).expect("kept");
        let later = Journal::open_in(dir.path(), "t", None).expect("opens");
        assert_eq!(later.find(&file(3)), Some(id));
        assert_eq!(later.find(&file(4)), None);
        let other = Journal::open_in(dir.path(), "another target", None).expect("opens");
        assert_eq!(other.find(&file(3)), None);
    }

    #[test]
    fn the_same_file_of_another_patient_is_another() {
        let dir = tempfile::tempdir().expect("a folder");
        let of = |whom: Option<&str>| {
            Journal::open_in(dir.path(), "t", whom.map(str::to_owned)).expect("opens")
        };
        let id = ImageId(uuid::Uuid::from_u128(1));
        of(Some("7")).keep(&file(3), id).expect("kept");
        assert_eq!(of(Some("7")).find(&file(3)), Some(id));
        assert_eq!(of(Some("8")).find(&file(3)), None);
        assert_eq!(of(None).find(&file(3)), None);
    }

    #[test]
    fn a_line_cut_short_spoils_neither_its_neighbours_nor_what_follows() {
        let dir = tempfile::tempdir().expect("a folder");
        let id = ImageId(uuid::Uuid::from_u128(1));
        let journal = Journal::open_in(dir.path(), "t", None).expect("opens");
        journal.keep(&file(1), id).expect("kept");
        let text = std::fs::read(&journal.path).expect("readable");
        std::fs::write(&journal.path, [&text[..], &text[..20]].concat()).expect("written");
        let later = Journal::open_in(dir.path(), "t", None).expect("opens");
        later.keep(&file(2), id).expect("kept");
        let last = Journal::open_in(dir.path(), "t", None).expect("opens");
        assert_eq!((last.find(&file(1)), last.find(&file(2))), (Some(id), Some(id)));
    }
}
