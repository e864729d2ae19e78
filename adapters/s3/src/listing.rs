//! A bucket, or a part of one, read as a folder of files: what lies there, and each of them as it was
//! listed. For commands that work on many objects at once; roles see objects by their port.

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use lobar_core::failure::PortError;
use lobar_core::object_store::FetchError;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::download::Download;
use super::error::S3Error;
use super::{S3Options, client, folder};

const LIST: &str = "s3: list";
const GET: &str = "s3: get";

/// See the module's documentation.
pub struct S3Folder {
    client: Client,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    body_timeout: Duration,
    /// Where log lines go, without those of the SDK.
    log: Dispatch,
}

/// An object as it was listed.
#[derive(Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key below the folder's prefix. Somebody else's text, and personal data.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its eTag without quotes; empty where the store gives none.
    pub etag: String,
}

impl S3Folder {
    /// What lies in the bucket of `options`, under `prefix`: empty for all of the bucket. Asks nothing of
    /// the store yet.
    pub async fn connect(options: S3Options, prefix: &str) -> Self {
        let (client, log) = client(&options).await;
        let S3Options { bucket, body_timeout, .. } = options;
        Self { client, bucket, prefix: folder(prefix), body_timeout, log }
    }

    /// Everything that lies there, at any depth, in the order of keys. It takes a request for each 1,000.
    ///
    /// # Errors
    /// The store cannot be asked, or its pages make no end.
    pub async fn list(&self) -> Result<Vec<Listed>, PortError> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let prefix = Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty());
            let list = self.client.list_objects_v2().bucket(&self.bucket).set_prefix(prefix);
            let list = list.set_continuation_token(after.clone()).send();
            let page = list.with_subscriber(self.log.clone()).await;
            let page = page.map_err(|error| S3Error::of(&error).into_port(LIST))?;
            for object in page.contents() {
                let name = object.key().and_then(|key| key.strip_prefix(self.prefix.as_str()));
                let bytes = object.size().and_then(|bytes| u64::try_from(bytes).ok());
                let (Some(name), Some(bytes)) = (name, bytes) else { continue };
                let etag = object.e_tag().unwrap_or_default().trim_matches('"').to_owned();
                found.push(Listed { name: name.to_owned(), bytes, etag });
            }
            if !page.is_truncated().unwrap_or(false) {
                return Ok(found);
            }
            let next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() || next == after {
                return Err(S3Error::Unreadable.into_port(LIST));
            }
            after = next;
        }
    }

    /// Writes an object to `path` as it was listed, in place of what is there. Another content by now is
    /// [`FetchError::Gone`].
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, listed: &Listed, path: &Path) -> Result<(), FetchError> {
        let download = Download {
            client: &self.client,
            log: &self.log,
            what: GET,
            bucket: &self.bucket,
            key: format!("{}{}", self.prefix, listed.name),
            etag: Some(listed.etag.as_str()).filter(|etag| !etag.is_empty()),
            patience: self.body_timeout,
        };
        Box::pin(download.to(path, listed.bytes)).await
    }
}
