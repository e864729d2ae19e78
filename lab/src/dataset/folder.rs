//! Reads a data folder into memory.

use std::path::{Path, PathBuf};

use lobar_core::engine::NetworkInput;
use lobar_imaging::{Limits, Radiograph, Rejection, is_picture_ending};
use lobar_model::preprocessing::SIDE;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{DatasetError, Manifest, Sample, identify};

/// A folder of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// `train/`
    Train,
    /// `val/`
    Val,
    /// `test/`
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// Name of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// The label of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Class {
    /// Labelled as free of pneumonia.
    Normal,
    /// Labelled as pneumonia.
    Pneumonia,
}

impl Class {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Normal, Self::Pneumonia];

    /// Name of its folder.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Pneumonia => "PNEUMONIA",
        }
    }
}

/// What a pneumonia is caused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Etiology {
    /// Bacteria.
    Bacterial,
    /// Virus.
    Viral,
}

impl Etiology {
    /// The word that file names and manifests use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bacterial => "bacteria",
            Self::Viral => "virus",
        }
    }

    /// The cause of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Bacterial, Self::Viral].into_iter().find(|subtype| subtype.name() == word)
    }
}

/// Reads, decodes and identifies every picture of the splits asked for, sorted by split and name.
/// A `manifest.csv` in the folder, or beside it, adds what the file names do not tell.
///
/// # Errors
/// See [`DatasetError`]; a picture that cannot be decoded or has no patient stops the reading,
/// because a figure measured on what remains would be about other data than the card says.
pub fn read(folder: &Path, splits: &[Split]) -> Result<Vec<Sample>, DatasetError> {
    let manifest = manifest_of(folder)?;
    files(folder, splits)?
        .into_par_iter()
        .map(|(split, class, path)| sample(split, class, &path, &manifest, |_| None))
        .collect()
}

/// Every picture file of the splits asked for, sorted by split, class and name.
pub(crate) fn files(
    folder: &Path,
    splits: &[Split],
) -> Result<Vec<(Split, Class, PathBuf)>, DatasetError> {
    let mut files = Vec::new();
    for &split in splits {
        for class in Class::ALL {
            let at = folder.join(split.name()).join(class.folder());
            files.extend(pictures(&at)?.into_iter().map(|path| (split, class, path)));
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(DatasetError::Empty { path: folder.to_owned(), what: "pictures" });
    }
    Ok(files)
}

/// The manifest in the folder, or else beside it, or else an empty one.
pub(crate) fn manifest_of(folder: &Path) -> Result<Manifest, DatasetError> {
    let beside = folder.parent().map(|parent| parent.join("manifest.csv"));
    for path in [Some(folder.join("manifest.csv")), beside].into_iter().flatten() {
        if path.is_file() {
            return Manifest::read(&path);
        }
    }
    Ok(Manifest::default())
}

/// Files of one class; a class folder that does not exist has none.
pub(super) fn pictures(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let failed = |source| DatasetError::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let extension =
            path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if is_picture_ending(extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// One picture. `else_patient` says of a file of this SHA-256 who is shown where neither its name nor the manifest does.
pub(super) fn sample(
    split: Split,
    class: Class,
    path: &Path,
    manifest: &Manifest,
    else_patient: impl Fn(&str) -> Option<String>,
) -> Result<Sample, DatasetError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = std::fs::read(path)
        .map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let row = manifest.row(split.name(), &name);
    let identity = identify(&name);
    let subtype =
        row.and_then(|row| row.subtype).or(identity.as_ref().and_then(|identity| identity.subtype));
    // A name that follows the data set's pattern tells more than the manifest, whose person numbers
    // repeat between bacterial and viral pictures.
    let patient = identity
        .map(|identity| identity.patient)
        .or_else(|| row.map(|row| row.patient.clone()))
        .or_else(|| else_patient(&sha256))
        .ok_or_else(|| DatasetError::NoPatient { path: path.to_owned() })?;
    let decoded = decoded(&bytes)
        .map_err(|e| DatasetError::Decode { path: path.to_owned(), reason: e.to_string() })?;
    Ok(Sample {
        patient,
        subtype: subtype.filter(|_| class == Class::Pneumonia),
        original_size: row.and_then(|row| row.original_size).or(decoded.size()),
        sha256,
        pixels: decoded.input.pixels().to_vec(),
        name,
        split,
        class,
    })
}

/// A file as the network gets it.
pub(crate) struct Decoded {
    /// As it is in the file.
    pub(crate) radiograph: Radiograph,
    /// 224×224 grey levels.
    pub(crate) input: NetworkInput,
}

impl Decoded {
    /// The file's own width and height, unless it has the network's size already: then it is somebody's
    /// copy, and tells nothing of the original.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        let size = (self.radiograph.width, self.radiograph.height);
        (size != (SIDE as u32, SIDE as u32)).then_some(size)
    }
}

/// By the steps of serving but for the gate: what is labelled is taken for a chest X-ray.
pub(crate) fn decoded(bytes: &[u8]) -> Result<Decoded, Rejection> {
    let radiograph = lobar_imaging::decode(bytes, &Limits::default())?;
    let input = lobar_imaging::network_input(&radiograph)?;
    Ok(Decoded { radiograph, input })
}
