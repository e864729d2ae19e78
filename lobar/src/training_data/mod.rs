//! Labelled images for training and evaluation: a folder, or what lies in a bucket, copied to a folder
//! of this machine.
//!
//! The copy is kept between commands: what the bucket still holds with the same size and eTag is not
//! fetched again, and what left it is removed. Only objects laid out as a data set is are taken, whatever
//! else lies there. They show patients, so the copy is for the user alone, and no key is named in an
//! error.

mod index;
mod layout;
mod mirror;
mod place;

use std::path::{Path, PathBuf};

use lobar_model::dataset::{Partition, Split, partition, read};
use lobar_s3::S3Folder;

use crate::failure::{Failure, chain};
use crate::service::roles;
use crate::settings::{EndpointUrl, Given, Settings};
use crate::{block_on, cli};
use place::{Bucket, Place};

/// Labelled images on this machine.
pub struct Brought {
    /// `{train,val,test}/{NORMAL,PNEUMONIA}` and perhaps `manifest.csv` in it or beside it.
    pub folder: PathBuf,
    /// What to call them.
    pub name: String,
}

/// The images that the arguments name, fetched where they lie elsewhere.
pub fn bring(args: &cli::TrainingData) -> Result<Brought, Failure> {
    block_on(async {
        let given = Given { s3_endpoint: args.s3_endpoint.clone(), ..Given::default() };
        let settings = || Settings::load(given, args.config.clone());
        bring_from(&args.data, args.data_cache.clone(), settings).await
    })
}

/// The images at `data`, with the endpoint and the credentials of `settings` where they lie in a bucket.
pub async fn bring_from(
    data: &Path,
    cache: Option<PathBuf>,
    settings: impl FnOnce() -> Result<Settings, Failure>,
) -> Result<Brought, Failure> {
    match Place::of(data)? {
        Place::Folder(folder) => {
            let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
            Ok(Brought { name: name.into_owned(), folder })
        }
        Place::Bucket(bucket) => fetch(bucket, cache, &settings()?).await,
    }
}

/// The images of these splits as training cuts them, so that validation is what it was there.
pub fn parts(args: &cli::TrainingData, splits: &[Split], seed: u64) -> Result<Partition, Failure> {
    let Brought { folder, .. } = bring(args)?;
    let samples = read(&folder, splits).map_err(|e| Failure::failed(chain(&e)))?;
    partition(&folder, samples, seed).map_err(|e| Failure::failed(chain(&e)))
}

async fn fetch(
    bucket: Bucket,
    cache: Option<PathBuf>,
    settings: &Settings,
) -> Result<Brought, Failure> {
    let cache = cache.or_else(cache_folder).ok_or_else(|| {
        Failure::usage("there is no cache folder: name a folder for the images with --data-cache")
    })?;
    let home =
        cache.join(bucket.folder_name(settings.s3_endpoint.as_ref().map(EndpointUrl::as_str)));
    // Not the embedded endpoint unless it is named: a training machine is seldom the one that serves.
    let options = roles::s3_options(settings, &bucket.bucket, None);
    let source = S3Folder::connect(options, &bucket.prefix).await;
    let folder = Box::pin(mirror::mirror(&source, &home, &bucket)).await?;
    Ok(Brought { folder, name: bucket.to_string() })
}

/// Below `$XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory Specification).
#[allow(clippy::disallowed_methods)] // the user's folders are no settings of ours
fn cache_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = named.filter(|path| path.is_absolute()).or_else(home)?;
    Some(cache.join("lobar/training-data"))
}
