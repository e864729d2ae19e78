//! The folder that retraining works in.
//!
//! | | |
//! |---|---|
//! | `lock` | held while a command works here |
//! | `labelled/` | the exported images, brought up to date by each command |
//! | `run/` | the run under way: what it learns and begins with, fixed when it began, and its training |
//! | `runs/VERSION/` | the finished ones, without the images that they learned |
//! | `learned.json` | the labels that the last candidate learned |

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use lobar_core::failure::chain;
use lobar_model::weights::Weights;
use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::labelled::{replace, unwritable};

/// Labels by image, as folders name them.
pub(crate) type Labels = BTreeMap<String, String>;

/// What a run was begun with.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RunInputs {
    /// Version of the model that was active; none where none ever was, and the shipped weights were taken.
    pub(crate) active: Option<String>,
    /// Of the labels, those that the candidate before had not learned.
    pub(crate) new: usize,
    /// What is learned beside the base.
    pub(crate) labels: Labels,
}

/// See the module's documentation.
pub struct RetrainFolder {
    path: PathBuf,
    /// Locked until it is dropped, or the process ends in any way.
    _lock: File,
}

/// A run's folder.
pub(crate) struct Run {
    path: PathBuf,
}

impl RetrainFolder {
    /// Opens the folder, which is made if it is not there, for one command at a time.
    pub fn open(path: &Path) -> Result<Self, LabError> {
        std::fs::create_dir_all(path).map_err(unwritable(path))?;
        let file = path.join("lock");
        let lock = File::create(&file).map_err(unwritable(&file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(LabError::failed(format!(
                "another `lobar retrain` is at work in {}; this one did nothing",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unwritable(&file)(error)),
        }
    }

    /// Where the exported images are.
    pub(crate) fn labelled(&self) -> PathBuf {
        self.path.join("labelled")
    }

    /// The run under way, if there is one.
    pub(crate) fn run(&self) -> Result<Option<Run>, LabError> {
        let run = Run { path: self.path.join("run") };
        match run.path.try_exists() {
            Ok(there) => Ok(there.then_some(run)),
            Err(error) => Err(unwritable(&run.path)(error)),
        }
    }

    /// The labels that the last candidate of this folder learned.
    pub(crate) fn learned(&self) -> Result<Labels, LabError> {
        let path = self.path.join("learned.json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| LabError::failed(format!("{}: {e}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Labels::new()),
            Err(error) => Err(unwritable(&path)(error)),
        }
    }

    /// An empty folder in which a run is prepared. What a kill left of an earlier one is removed.
    pub(crate) fn draft(&self) -> Result<Run, LabError> {
        let path = self.path.join("run.partial");
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(unwritable(&path))?;
        }
        std::fs::create_dir(&path).map_err(unwritable(&path))?;
        Ok(Run { path })
    }

    /// Makes a draft the run under way.
    pub(crate) fn begin(&self, draft: Run, begun: &RunInputs) -> Result<Run, LabError> {
        let file = draft.begun_file();
        let text = serde_json::to_vec_pretty(begun).map_err(LabError::failed)?;
        replace(&file, &text).map_err(unwritable(&file))?;
        let run = Run { path: self.path.join("run") };
        std::fs::rename(&draft.path, &run.path).map_err(unwritable(&run.path))?;
        Ok(run)
    }

    /// Keeps a run whose model, the file `model`, is registered; says where.
    pub(crate) fn finish(&self, run: &Run, model: &Path) -> Result<PathBuf, LabError> {
        let learned = self.path.join("learned.json");
        let text = serde_json::to_vec(&run.begun()?.labels).map_err(LabError::failed)?;
        replace(&learned, &text).map_err(unwritable(&learned))?;
        // The images stay in one place only, where those that are removed go.
        if run.data().exists() {
            std::fs::remove_dir_all(run.data()).map_err(unwritable(&run.data()))?;
        }
        let version = version_of(model)?;
        let (runs, kept) = (self.path.join("runs"), self.path.join("runs").join(version));
        std::fs::create_dir_all(&runs).map_err(unwritable(&runs))?;
        std::fs::rename(&run.path, &kept).map_err(unwritable(&kept))?;
        for needless in ["active.safetensors", "training/checkpoint.safetensors"] {
            let _ = std::fs::remove_file(kept.join(needless));
        }
        Ok(kept)
    }
}

impl Run {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it learns beside the base: a folder as an export writes it.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The weights of the model that was active when it began.
    pub(crate) fn active(&self) -> PathBuf {
        self.path.join("active.safetensors")
    }

    /// Where it trains.
    pub(crate) fn training(&self) -> PathBuf {
        self.path.join("training")
    }

    /// What it was begun with.
    pub(crate) fn begun(&self) -> Result<RunInputs, LabError> {
        let file = self.begun_file();
        let bytes = std::fs::read(&file).map_err(unwritable(&file))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| LabError::failed(format!("{}: {e}", file.display())))
    }

    fn begun_file(&self) -> PathBuf {
        self.path.join("begun.json")
    }
}

/// The version of a weights file that may be served.
fn version_of(model: &Path) -> Result<String, LabError> {
    let weights = Weights::open(model).map_err(|e| LabError::failed(chain(&e)))?;
    let (card, _) = weights.approve().map_err(|e| LabError::failed(chain(&e)))?;
    Ok(card.version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_at_a_time_works_in_a_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = RetrainFolder::open(dir.path()).expect("opens");
        let second = RetrainFolder::open(dir.path()).err().expect("refused");
        assert!(
            matches!(second, LabError::Failed(_)) && second.to_string().contains("another"),
            "{second}"
        );
        drop(first);
        assert!(RetrainFolder::open(dir.path()).is_ok());
    }

    #[test]
    fn a_run_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = RetrainFolder::open(dir.path()).expect("opens");
        assert!(place.run().expect("asked").is_none());
        // Killed while it was prepared.
        let draft = place.draft().expect("made");
        std::fs::write(draft.active(), b"half").expect("written");
        assert!(place.run().expect("asked").is_none());
        let draft = place.draft().expect("made anew");
        assert!(!draft.active().exists());
        let labels = Labels::from([("1".to_owned(), "NORMAL".to_owned())]);
        let begun = RunInputs { active: Some("7".into()), new: 1, labels: labels.clone() };
        place.begin(draft, &begun).expect("begun");
        let run = place.run().expect("asked").expect("there");
        assert_eq!(run.begun().expect("readable").labels, labels);
        assert!(place.learned().expect("readable").is_empty(), "until it is registered");
    }
}
