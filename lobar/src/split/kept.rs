//! What was measured, kept in the data folder for the next start.

use std::path::Path;

use lobar_model::engine::cores::{self, Split};
use serde::{Deserialize, Serialize};

use super::Measured;
use crate::engine::EngineChoice;
use crate::failure::Failure;
use crate::model_file;
use crate::service::memory;

const FILE: &str = "cores.json";

/// What the quickest split depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Key {
    /// As the system calls it.
    processor: String,
    cores: usize,
    /// Engines that there is memory for.
    engines: usize,
    /// SHA-256 of the weights that it was measured with.
    model: String,
    /// What was asked for: `auto`, `int8`, ….
    precision: String,
    /// Of Lobar.
    version: String,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(flatten)]
    pub(super) key: Key,
    pub(super) measured: Vec<Measured>,
    pub(super) chosen: Chosen,
}

/// The split that was chosen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Chosen {
    replicas: usize,
    threads: usize,
}

impl From<Split> for Chosen {
    fn from(Split { replicas, threads }: Split) -> Self {
        Self { replicas, threads }
    }
}

impl Key {
    /// Of this machine, and the model that is measured. Reads all of the model's file.
    pub(super) fn of(wanted: &EngineChoice) -> Result<Self, Failure> {
        Ok(Self {
            processor: processor().unwrap_or_default(),
            cores: cores::count(),
            engines: memory::for_replicas(),
            model: model_file::describe(&model_file::find(wanted.model.as_ref())?)?.sha256,
            precision: wanted.precision.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
        })
    }
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// What was chosen for `key`; nothing where it was for another, or cannot be read: then it is measured anew.
pub(super) fn read(folder: &Path, key: &Key) -> Option<Split> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()?;
    let Chosen { replicas, threads } = kept.chosen;
    (kept.key == *key && replicas > 0 && threads > 0).then_some(Split { replicas, threads })
}

/// Keeps it. A start that is cut off leaves the file of before, or none.
pub(super) fn write(folder: &Path, kept: &Kept) -> Result<(), Failure> {
    let failed =
        |e: std::io::Error| Failure::failed(format!("{}: {e}", folder.join(FILE).display()));
    let text = serde_json::to_vec_pretty(kept).map_err(Failure::failed)?;
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, &text).map_err(failed)?;
    file.persist(folder.join(FILE)).map_err(|e| failed(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_found_again_on_the_same_machine_with_the_same_model() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key {
            processor: "a processor".into(),
            cores: 8,
            engines: 8,
            model: "0".repeat(64),
            precision: "auto".into(),
            version: "1".into(),
        };
        assert_eq!(read(folder.path(), &key), None);
        let chosen = Split { replicas: 4, threads: 2 };
        let measured = vec![Measured { replicas: 4, threads: 2, images_per_second: 9.0 }];
        let kept = Kept { key: key.clone(), measured, chosen: chosen.into() };
        write(folder.path(), &kept).expect("kept");
        assert_eq!(read(folder.path(), &key), Some(chosen));
        let others = [
            Key { cores: 16, ..key.clone() },
            Key { model: "1".repeat(64), ..key.clone() },
            Key { processor: "another".into(), ..key.clone() },
            Key { precision: "bf16".into(), ..key.clone() },
        ];
        assert!(others.iter().all(|other| read(folder.path(), other).is_none()));
        std::fs::write(folder.path().join(FILE), "{").expect("written");
        assert_eq!(read(folder.path(), &key), None, "a damaged file is measured anew");
    }
}
