//! How many models a test split has been shown to.
//!
//! A test split answers honestly once. Whoever looks at it after every change and keeps the best has chosen by it,
//! and its figures are too good. So each look is noted in a file beside the images, `test-looks.jsonl`, and a
//! model's card says the how manieth it was. Looks on other copies of the data are not known here.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name within the data folder.
pub const FILE: &str = "test-looks.jsonl";

/// One look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// When, RFC 3339.
    pub at: String,
    /// Digest of the images and labels that were shown, see [`crate::dataset::digest`].
    pub data_sha256: String,
    /// The model's version. Looking again with the same model is no further look.
    pub model: String,
}

/// Notes a look in the data folder, and says how many models have been shown these images by now.
///
/// # Errors
/// The file cannot be read or written.
pub fn note(folder: &Path, data_sha256: &str, model: &str) -> std::io::Result<u64> {
    let path = folder.join(FILE);
    let known = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    // A line that cannot be read was cut by a kill, and is no look that anybody saw the end of.
    let mut models: BTreeSet<String> = known
        .lines()
        .filter_map(|line| serde_json::from_str::<Look>(line).ok())
        .filter(|look| look.data_sha256 == data_sha256)
        .map(|look| look.model)
        .collect();
    if models.insert(model.to_owned()) {
        let look = Look {
            at: crate::date::now(),
            data_sha256: data_sha256.to_owned(),
            model: model.to_owned(),
        };
        let cut = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
        let line = format!("{cut}{}\n", serde_json::to_string(&look)?);
        OpenOptions::new().create(true).append(true).open(&path)?.write_all(line.as_bytes())?;
    }
    Ok(models.len() as u64)
}

/// The same where a folder that cannot be written must not end a run: the look is then not counted, and the log
/// says so.
#[must_use]
pub fn note_or_warn(folder: &Path, data_sha256: &str, model: &str) -> Option<u64> {
    note(folder, data_sha256, model)
        .inspect_err(|error| {
            tracing::warn!(%error, "this look at the test split is not counted: the data folder cannot be written");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_is_one_look_at_the_same_images_however_often_it_looks() {
        let folder = tempfile::tempdir().unwrap();
        let look = |data: &str, model: &str| note(folder.path(), data, model).unwrap();
        assert_eq!(look("a", "one"), 1);
        assert_eq!(look("a", "two"), 2);
        assert_eq!(look("a", "one"), 2);
        assert_eq!(look("b", "one"), 1);
    }

    #[test]
    fn a_line_that_was_cut_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        note(folder.path(), "a", "one").unwrap();
        let path = folder.path().join(FILE);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"at\":\"2026");
        std::fs::write(&path, text).unwrap();
        assert_eq!(note(folder.path(), "a", "two").unwrap(), 2);
        assert_eq!(note(folder.path(), "a", "three").unwrap(), 3);
    }
}
