//! The labelled images that a command names: a folder, or what lies in a bucket, copied to this machine.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::object_store::FetchError;
use lobar_lab::dataset::{Partition, Split};
use lobar_lab::training_data::{DataLocation, ImageSource, Listed, LocalData};
use lobar_s3::S3Folder;

use crate::failure::Failure;
use crate::service::roles;
use crate::settings::{EndpointUrl, PartialSettings, Settings};
use crate::{block_on, cli};

/// The images that the arguments name, fetched where they lie elsewhere.
pub fn bring(args: &cli::TrainingData) -> Result<LocalData, Failure> {
    block_on(async {
        let given =
            PartialSettings { s3_endpoint: args.s3_endpoint.clone(), ..PartialSettings::default() };
        let settings = || Settings::load(given, args.config.clone());
        bring_from(&args.data, args.data_cache.clone(), settings).await
    })
}

/// The images at `data`, with the endpoint and the credentials of `settings` where they lie in a bucket.
pub async fn bring_from(
    data: &Path,
    cache: Option<PathBuf>,
    settings: impl FnOnce() -> Result<Settings, Failure>,
) -> Result<LocalData, Failure> {
    let bucket = match DataLocation::of(data)? {
        DataLocation::Folder(folder) => return Ok(LocalData::folder(folder)),
        DataLocation::Bucket(bucket) => bucket,
    };
    let settings = settings()?;
    // Not the embedded endpoint unless it is named: a training machine is seldom the one that serves.
    let options = roles::s3_options(&settings, &bucket.bucket, None)?;
    let source = InS3(S3Folder::connect(options, &bucket.prefix).await);
    let endpoint = settings.s3_endpoint.as_ref().map(EndpointUrl::as_str);
    Ok(LocalData::copy(&bucket, &source, endpoint, cache).await?)
}

/// The images of these splits as training cuts them, so that validation is what it was there.
pub fn parts(args: &cli::TrainingData, splits: &[Split], seed: u64) -> Result<Partition, Failure> {
    Ok(bring(args)?.parts(splits, seed)?)
}

/// A bucket over S3's API.
struct InS3(S3Folder);

#[async_trait]
impl ImageSource for InS3 {
    async fn list(&self) -> Result<Vec<Listed>, PortError> {
        let listed = self.0.list().await?.into_iter();
        Ok(listed
            .map(|lobar_s3::Listed { name, bytes, etag }| Listed { name, bytes, etag })
            .collect())
    }

    async fn fetch(&self, listed: &Listed, path: &Path) -> Result<(), FetchError> {
        let Listed { name, bytes, etag } = listed.clone();
        self.0.fetch(&lobar_s3::Listed { name, bytes, etag }, path).await
    }
}
