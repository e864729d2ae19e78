//! Films that are given as out of scope: adults where a model knows children, other parts of the body.

use std::path::{Path, PathBuf};

use lobar_core::engine::NetworkInput;
use lobar_imaging::{check_contrast, check_shape_and_colour, is_picture_ending};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::dataset::{DatasetError, decoded};

/// Films that are given as out of scope, in two halves that share no patient as far as names tell.
#[derive(Clone, Debug, Default)]
pub struct Outliers {
    /// For the head to learn from.
    pub fitting: Vec<Outlier>,
    /// To measure on.
    pub measuring: Vec<Outlier>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Outlier {
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// 224 × 224 grey levels.
    pub pixels: Vec<u8>,
    /// Whether the rules before the network refuse it anyway.
    pub refused: bool,
}

/// Why films cannot be used as out of scope.
#[derive(Debug, thiserror::Error)]
pub enum OutliersError {
    /// A file or folder that cannot be read, or is no picture.
    #[error(transparent)]
    File(#[from] DatasetError),
    /// Nothing to learn from, or nothing to measure on.
    #[error(
        "{path} holds too few films: {fitting} to fit to and {measuring} to measure on; name a folder with dozens of \
         JPEG, PNG or DICOM files of other patients, in folders of any depth", path = path.display()
    )]
    TooFew {
        /// The folder.
        path: PathBuf,
        /// Films of the one half.
        fitting: usize,
        /// Films of the other half.
        measuring: usize,
    },
}

impl Outliers {
    /// Reads every picture below `folder`. By a rule that knows no chance, half of them are to fit to: the
    /// same files make the same halves, wherever they lie and whatever lies beside them.
    ///
    /// # Errors
    /// See [`OutliersError`].
    pub fn read(folder: &Path) -> Result<Self, OutliersError> {
        let films: Vec<(bool, Outlier)> =
            files(folder)?.par_iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        let (fitting, measuring): (Vec<_>, Vec<_>) = films.into_iter().partition(|(fit, _)| *fit);
        let films = |half: Vec<(bool, Outlier)>| half.into_iter().map(|(_, film)| film).collect();
        let read = Self { fitting: films(fitting), measuring: films(measuring) };
        if read.fitting.is_empty() || read.measuring.is_empty() {
            let (fitting, measuring) = (read.fitting.len(), read.measuring.len());
            return Err(OutliersError::TooFew { path: folder.to_owned(), fitting, measuring });
        }
        Ok(read)
    }

    /// SHA-256 over the digests of the films to fit to; none where there are none.
    pub(super) fn digest(&self) -> Option<String> {
        let mut all: Vec<&str> = self.fitting.iter().map(|film| film.sha256.as_str()).collect();
        all.sort_unstable();
        (!all.is_empty()).then(|| hex::encode(Sha256::digest(all.join("\n"))))
    }
}

impl Outlier {
    /// As the network reads it, unless the rules refuse it.
    pub(super) fn input(&self) -> Option<NetworkInput> {
        NetworkInput::new(self.pixels.clone()).filter(|_| !self.refused)
    }
}

/// Pictures in `folder` and below it, in the order of their paths.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|error| DatasetError::Read {
            path: error.path().unwrap_or(folder).to_owned(),
            source: error.into(),
        })?;
        let ending = entry.path().extension().and_then(|ending| ending.to_str());
        if entry.file_type().is_file() && ending.is_some_and(is_picture_ending) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<(bool, Outlier), DatasetError> {
    let content = std::fs::read(path)
        .map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
    let decoded = decoded(&content)
        .map_err(|e| DatasetError::Decode { path: path.to_owned(), reason: e.to_string() })?;
    let refused = check_shape_and_colour(&decoded.radiograph).is_err()
        || check_contrast(&decoded.input).is_err();
    let sha256 = Sha256::digest(&content);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let film =
        Outlier { sha256: hex::encode(sha256), pixels: decoded.input.pixels().to_vec(), refused };
    Ok((is_to_fit(&name, sha256.as_slice()), film))
}

/// Whether a film is one to fit to. A name that begins with a number tells the patient by it, as in NIH
/// ChestX-ray14 (`00010531_003.png`), and all films of one patient are in one half. Of other names the
/// file's content decides.
fn is_to_fit(name: &str, sha256: &[u8]) -> bool {
    let number: String = name.chars().take_while(char::is_ascii_digit).collect();
    let patient = Sha256::digest(&number);
    let decides = if number.is_empty() { sha256 } else { patient.as_slice() };
    decides.first().is_some_and(|byte| byte.is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_of_one_patient_are_in_one_half_and_the_halves_are_of_about_one_size() {
        let halves: Vec<bool> =
            (0..400).map(|patient| is_to_fit(&format!("{patient:08}_000.png"), &[0])).collect();
        for (patient, half) in halves.iter().enumerate() {
            assert_eq!(is_to_fit(&format!("{patient:08}_017.png"), &[1]), *half);
        }
        let fitting = halves.iter().filter(|half| **half).count();
        assert!((160..240).contains(&fitting), "{fitting}");
        assert_ne!(is_to_fit("scan.png", &[0]), is_to_fit("scan.png", &[1]));
    }

    #[test]
    fn a_folder_without_films_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
        let refused = Outliers::read(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("0 to fit to and 0 to measure on"), "{refused}");
        assert!(matches!(
            Outliers::read(&folder.path().join("absent")),
            Err(OutliersError::File(DatasetError::Read { .. }))
        ));
        std::fs::write(folder.path().join("broken.png"), "no picture").unwrap();
        assert!(matches!(
            Outliers::read(folder.path()),
            Err(OutliersError::File(DatasetError::Decode { .. }))
        ));
    }
}
