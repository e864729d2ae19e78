//! Port of the response cache: rendered responses about images, kept for minutes. Never the source
//! of truth: what it lost or refuses to store is read from the store again.
//!
//! An entry carries the position after the last event that its writer had read before it read
//! the store, so it reflects every change up to that position. The follower invalidates a changed
//! image with the event's position; a slow writer cannot put back what it read before the
//! change. Contract:
//!
//! - What is put is got with its position and its tag by everyone.
//! - What was never put is not got.
//! - A newer put replaces an older one.
//! - An older put does not replace a newer one.
//! - A forgotten image is not got.
//! - A put that does not know the change is refused.
//! - A put that knows the change is accepted.
//! - Forgetting a change that an entry knows keeps the entry.
//! - Each of many images is forgotten up to its own change.
//! - Forgetting an older change afterwards takes nothing back.
//! - Entries expire by themselves.
//! - What was forgotten may be put again after a while.
//! - Of concurrent puts and changes nothing outdated remains.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::failure::PortError;
use crate::object::ImageId;
use crate::position::Position;

/// A rendered answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Every change up to here is in it.
    pub position: Position,
    /// What tells this body from every other: the ETag without its quotes.
    pub tag: String,
    /// The body.
    pub body: Bytes,
}

/// See the module's documentation. Every call answers within a fraction of a second, with an error
/// when the service is away.
#[async_trait]
pub trait Cache: Send + Sync {
    /// The entry of an image, unless it is forgotten or expired.
    async fn get(&self, image: ImageId) -> Result<Option<Entry>, PortError>;

    /// Keeps an entry for `keep`. Answers whether it was accepted: refused means that a change was
    /// forgotten, or an entry put, that is newer than `entry.position`.
    async fn put(&self, image: ImageId, entry: &Entry, keep: Duration) -> Result<bool, PortError>;

    /// Drops the entries that do not know these changes, and refuses such puts for `keep`.
    async fn forget(
        &self,
        changes: &[(ImageId, Position)],
        keep: Duration,
    ) -> Result<(), PortError>;
}
