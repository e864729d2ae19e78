//! The port of weights files on S3's API: a bucket, or a part of one, beside the uploads bucket.
//!
//! A put is one request, so a file is there whole or not at all; S3 takes 5 GB that way. Neither way
//! holds a file in memory.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, Length};
use lobar_core::failure::PortError;
use lobar_core::objects::FetchError;
use lobar_core::weights::WeightFiles;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::refusal::{Broken, Refusal};
use super::{BODY_ATTEMPTS, BODY_PAUSE, S3Options, client};
use crate::aws;

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
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let S3Options { bucket, connect_timeout, .. } = options;
        Self { client, bucket, prefix, connect_timeout, log }
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

    async fn open(&self, key: &str) -> Result<GetObjectOutput, FetchError> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.place(key));
        let answer = get.send().with_subscriber(self.log.clone()).await;
        answer.map_err(|error| Refusal::of(&error).into_fetch(GET, false))
    }

    /// Writes what lies under `key` to `file`, from its beginning.
    async fn read(&self, key: &str, mut file: File, limit: u64) -> Result<(), FetchError> {
        let output = self.open(key).await?;
        let announced = output.content_length().and_then(|length| u64::try_from(length).ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(FetchError::TooLarge { limit });
        }
        let mut body = output.body;
        let mut written = 0_u64;
        loop {
            // The error's own text may name the URL: only that it broke off is passed on.
            let next = body.try_next().with_subscriber(self.log.clone()).await;
            let next = next.map_err(|_| PortError::transient(GET, Broken::BrokeOff))?;
            let Some(chunk) = next else { break };
            written += chunk.len() as u64;
            if written > limit {
                return Err(FetchError::TooLarge { limit });
            }
            file = blocking(move || file.write_all(&chunk).map(|()| file)).await?;
        }
        if announced.is_some_and(|length| length != written) {
            return Err(PortError::transient(GET, Broken::Short).into());
        }
        blocking(move || file.sync_all()).await?;
        Ok(())
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
            .timeout_config(aws::timeouts(self.connect_timeout, TRANSFER));
        let put = self.client.put_object().bucket(&self.bucket).key(self.place(key)).body(body);
        let put = put.customize().config_override(patient).send();
        let done = put.with_subscriber(self.log.clone()).await;
        done.map_err(|error| Refusal::of(&error).into_port(PUT))?;
        Ok(())
    }

    async fn fetch(&self, key: &str, path: &Path, limit: u64) -> Result<(), FetchError> {
        let unwritable = |error: io::Error| PortError::permanent(GET, error);
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let mut pause = BODY_PAUSE;
        for attempt in 1.. {
            // Beside its place, and removed unless it gets there, however this ends.
            let folder = folder.clone();
            let make = move || {
                std::fs::create_dir_all(&folder)?;
                tempfile::Builder::new().prefix(".weights-").tempfile_in(&folder)
            };
            let beside = blocking(make).await?;
            let file = beside.reopen().map_err(unwritable)?;
            let read = tokio::time::timeout(TRANSFER, self.read(key, file, limit)).await;
            match read.unwrap_or_else(|_| Err(PortError::transient(GET, Broken::TooSlow).into())) {
                Ok(()) => {
                    let path = path.to_owned();
                    blocking(move || beside.persist(path).map_err(|failed| failed.error)).await?;
                    return Ok(());
                }
                // The SDK has tried again already unless the answer had begun.
                Err(FetchError::Port(error)) if attempt < BODY_ATTEMPTS && Broken::off(&error) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }
}

/// Work on files, away from the threads that answer. A full disk may have room again.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PortError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|ended| PortError::transient(GET, ended))?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            PortError::transient(GET, error)
        }
        _ => PortError::permanent(GET, error),
    })
}
