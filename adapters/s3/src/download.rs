//! One object, written to a file: whole or not at all, and never held in memory.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use lobar_core::failure::PortError;
use lobar_core::object_store::FetchError;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::error::{BodyError, S3Error};
use super::{BODY_ATTEMPTS, BODY_PAUSES, quoted};

/// See the module's documentation.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    /// Where log lines go, without those of the SDK.
    pub(super) log: &'a Dispatch,
    /// The operation, as its errors name it.
    pub(super) what: &'static str,
    pub(super) bucket: &'a str,
    pub(super) key: String,
    /// The content that is wanted; whatever is there when `None`.
    pub(super) etag: Option<&'a str>,
    /// How long one try may take.
    pub(super) patience: Duration,
}

impl Download<'_> {
    /// Writes the object to `path`, at most `limit` bytes of it, in place of what is there. The folder is
    /// made where it is missing.
    pub(super) async fn to(&self, path: &Path, limit: u64) -> Result<(), FetchError> {
        let unwritable = |error: io::Error| PortError::permanent(self.what, error);
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        for attempt in 1.. {
            // Beside its place, and removed unless it gets there, however this ends.
            let folder = folder.clone();
            let make = move || {
                std::fs::create_dir_all(&folder)?;
                tempfile::Builder::new().prefix(".part-").tempfile_in(&folder)
            };
            let beside = self.blocking(make).await?;
            let file = beside.reopen().map_err(unwritable)?;
            let read = tokio::time::timeout(self.patience, self.read(file, limit)).await;
            match read
                .unwrap_or_else(|_| Err(PortError::transient(self.what, BodyError::TooSlow).into()))
            {
                Ok(()) => {
                    let path = path.to_owned();
                    let persist = move || beside.persist(path).map_err(|failed| failed.error);
                    self.blocking(persist).await?;
                    return Ok(());
                }
                // The SDK has tried again already unless the answer had begun.
                Err(FetchError::Port(error))
                    if attempt < BODY_ATTEMPTS && BodyError::off(&error) =>
                {
                    tokio::time::sleep(BODY_PAUSES.delay(attempt - 1, rand::random())).await;
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn open(&self) -> Result<GetObjectOutput, FetchError> {
        let get = self.client.get_object().bucket(self.bucket).key(&self.key);
        let get = get.set_if_match(self.etag.map(quoted));
        let answer = get.send().with_subscriber(self.log.clone()).await;
        answer.map_err(|error| S3Error::of(&error).into_fetch(self.what, false))
    }

    /// Writes the object to `file`, from its beginning.
    async fn read(&self, mut file: File, limit: u64) -> Result<(), FetchError> {
        let output = self.open().await?;
        let announced = output.content_length().and_then(|length| u64::try_from(length).ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(FetchError::TooLarge { limit });
        }
        let mut body = output.body;
        let mut written = 0_u64;
        loop {
            // The error's own text may name the URL: only that it broke off is passed on.
            let next = body.try_next().with_subscriber(self.log.clone()).await;
            let next = next.map_err(|_| PortError::transient(self.what, BodyError::BrokeOff))?;
            let Some(chunk) = next else { break };
            written += chunk.len() as u64;
            if written > limit {
                return Err(FetchError::TooLarge { limit });
            }
            file = self.blocking(move || file.write_all(&chunk).map(|()| file)).await?;
        }
        if announced.is_some_and(|length| length != written) {
            return Err(PortError::transient(self.what, BodyError::Short).into());
        }
        self.blocking(move || file.sync_all()).await?;
        Ok(())
    }

    /// Work on files, away from the threads that answer. A full disk may have room again.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|ended| PortError::transient(self.what, ended))?;
        done.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                PortError::transient(self.what, error)
            }
            _ => PortError::permanent(self.what, error),
        })
    }
}
