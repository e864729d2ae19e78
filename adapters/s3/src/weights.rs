//! The port of weights files on S3's API: a bucket, or a part of one, beside the uploads bucket.
//!
//! A put is one request, so a file is there whole or not at all; S3 takes 5 GB that way. Neither way
//! holds a file in memory.

use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, Length};
use lobar_core::failure::PortError;
use lobar_core::object_store::FetchError;
use lobar_core::weights::WeightFiles;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::download::Download;
use super::error::S3Error;
use super::{S3Options, client, folder};

const PUT: &str = "s3: put weights";
const GET: &str = "s3: get weights";
/// How long one file may take on its way in or out: 5 GB at 20 Mbit/s.
const TRANSFER: Duration = Duration::from_secs(2_000);

/// See the module's documentation.
pub struct S3Weights {
    client: Client,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    connect_timeout: Duration,
    /// Where log lines go, without those of the SDK.
    log: Dispatch,
}

impl S3Weights {
    /// Weights in the bucket of `options`, under `prefix`: empty for all of the bucket. The time for
    /// a body is this adapter's own. Asks nothing of the store yet.
    pub async fn connect(options: S3Options, prefix: &str) -> Self {
        let (client, log) = client(&options).await;
        let S3Options { bucket, connect_timeout, .. } = options;
        Self { client, bucket, prefix: folder(prefix), connect_timeout, log }
    }

    fn place(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The size of what lies under `key`; `None` when nothing does, or when nobody says so.
    async fn stored(&self, key: &str) -> Option<u64> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.place(key));
        let head = head.send().with_subscriber(self.log.clone()).await.ok()?;
        head.content_length().and_then(|length| u64::try_from(length).ok())
    }
}

#[async_trait]
impl WeightFiles for S3Weights {
    async fn put(&self, key: &str, path: &Path) -> Result<(), PortError> {
        let unreadable = |error: io::Error| PortError::permanent(PUT, error);
        let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
        if self.stored(key).await == Some(size) {
            return Ok(());
        }
        let body = ByteStream::read_from().path(path).length(Length::Exact(size)).build().await;
        let body = body.map_err(|error| PortError::permanent(PUT, error))?;
        let patient = aws_sdk_s3::config::Builder::new()
            .timeout_config(lobar_aws::timeouts(self.connect_timeout, TRANSFER));
        let put = self.client.put_object().bucket(&self.bucket).key(self.place(key)).body(body);
        let put = put.customize().config_override(patient).send();
        let done = put.with_subscriber(self.log.clone()).await;
        done.map_err(|error| S3Error::of(&error).into_port(PUT))?;
        Ok(())
    }

    async fn fetch(&self, key: &str, path: &Path, limit: u64) -> Result<(), FetchError> {
        let download = Download {
            client: &self.client,
            log: &self.log,
            what: GET,
            bucket: &self.bucket,
            key: self.place(key),
            etag: None,
            patience: TRANSFER,
        };
        Box::pin(download.to(path, limit)).await
    }
}
