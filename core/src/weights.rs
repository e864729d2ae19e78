//! Port of the weights store: the weights files of registered models, in a bucket of their own.

use std::path::Path;

use async_trait::async_trait;

use crate::failure::PortError;
use crate::object_store::FetchError;

/// See the module's documentation. A key is `VERSION/SHA256.safetensors`: the same key always holds the
/// same bytes.
#[async_trait]
pub trait WeightFiles: Send + Sync {
    /// Stores the file at `path` under `key`. Storing the same again changes nothing.
    async fn put(&self, key: &str, path: &Path) -> Result<(), PortError>;

    /// Writes the file of `key` to `path`, at most `limit` bytes. Whoever asks checks the SHA-256.
    async fn fetch(&self, key: &str, path: &Path, limit: u64) -> Result<(), FetchError>;
}
