//! Labelled images for training and evaluation: a folder, or what lies in a bucket, copied to a folder
//! of this machine.
//!
//! The copy is kept between commands: what the bucket still holds with the same size and eTag is not
//! fetched again, and what left it is removed. Only objects laid out as a data set is are taken, whatever
//! else lies there. They show patients, so the copy is for the user alone, and no key is named in an
//! error.

mod index;
mod layout;
mod location;
mod mirror;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lobar_core::failure::{PortError, chain};
use lobar_core::object_store::FetchError;

use crate::dataset::{Partition, Split, partition, read};
use crate::error::LabError;

pub use location::{Bucket, DataLocation};

/// Labelled images on this machine.
#[derive(Clone, Debug)]
pub struct LocalData {
    /// `{train,val,test}/{NORMAL,PNEUMONIA}` and perhaps `manifest.csv` in it or beside it.
    pub folder: PathBuf,
    /// What to call them.
    pub name: String,
}

/// An object of a bucket, as it was listed.
#[derive(Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key below the prefix. Somebody else's text, and personal data.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its eTag without quotes; empty where the store gives none.
    pub etag: String,
}

/// A bucket, or a part of one, that can be listed and read: what lies there is copied to this machine.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// All objects.
    async fn list(&self) -> Result<Vec<Listed>, PortError>;

    /// Writes an object to `path`, whole or not at all: the very content that was listed.
    async fn fetch(&self, listed: &Listed, path: &Path) -> Result<(), FetchError>;
}

impl LocalData {
    /// The images in a folder of this machine.
    #[must_use]
    pub fn folder(folder: PathBuf) -> Self {
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        Self { folder, name }
    }

    /// Copies what lies in `bucket`, which `source` reads, below `cache`, or the user's cache folder. Each
    /// `endpoint` has copies of its own.
    ///
    /// # Errors
    /// When the bucket cannot be listed or read, holds no data set, or the copy cannot be written.
    pub async fn copy(
        bucket: &Bucket,
        source: &dyn ImageSource,
        endpoint: Option<&str>,
        cache: Option<PathBuf>,
    ) -> Result<Self, LabError> {
        let cache = cache.or_else(cache_folder).ok_or_else(|| {
            LabError::usage(
                "there is no cache folder: name a folder for the images with --data-cache",
            )
        })?;
        let home = cache.join(bucket.folder_name(endpoint));
        let folder = Box::pin(mirror::mirror(source, &home, bucket)).await?;
        Ok(Self { folder, name: bucket.to_string() })
    }

    /// The images of these splits as training cuts them, so that validation is what it was there.
    ///
    /// # Errors
    /// When the folder holds no data set.
    pub fn parts(&self, splits: &[Split], seed: u64) -> Result<Partition, LabError> {
        let samples = read(&self.folder, splits).map_err(|e| LabError::failed(chain(&e)))?;
        partition(&self.folder, samples, seed).map_err(|e| LabError::failed(chain(&e)))
    }
}

/// Below `$XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory Specification).
#[allow(clippy::disallowed_methods)] // the user's folders are no settings of ours
fn cache_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = named.filter(|path| path.is_absolute()).or_else(home)?;
    Some(cache.join("lobar/training-data"))
}
