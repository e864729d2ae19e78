//! Port of the audit record: who saw and did what, and what the network said of every image. Entries are only added, and
//! each has the hash of the one before it, so that a changed, removed or inserted one is found ([`verify()`]).
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - What is appended is read as it was recorded.
//! - The first entry continues nothing and has the number one.
//! - Entries are numbered in the order of commit, without gaps, and make one chain.
//! - Concurrent writers keep one chain, also with workers that complete images.
//! - An entry cannot be changed, and none can be removed.
//! - A changed entry is found.
//! - A removed entry is found.
//! - An inserted entry is found.
//! - An end that was cut off is found by a checkpoint.
//! - Pages are in order of number, and no entry is missed or shown twice.
//! - Pages are narrowed by action, image, site, actor and time.
//! - An answered image is recorded with its input, its model and its score.
//! - An image that is not assessed is recorded with its reason.
//! - A completion that is refused is not recorded.
//! - What is older is pruned from the oldest on, and the rest is still a chain.
//! - What was pruned is told from what was taken away.
//! - The newest entry is never pruned.
//! - Everything survives closing and opening.

mod action;
mod canonical;
mod digest;
mod entry;
mod verify;

use async_trait::async_trait;
use uuid::Uuid;

pub use action::Action;
pub use canonical::hash;
pub use digest::Digest;
pub use entry::{Actor, ActorKind, Entry, NewEntry};
pub use verify::{Begin, Broken, Checkpoint, Verified, Verifier, verify};

use crate::access::SiteName;
use crate::failure::PortError;
use crate::object::ImageId;
use crate::time::Stamp;

/// Which entries; all of them by default. By action, image and actor they are found by an index; by site and time, by
/// reading on from where the page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this action.
    pub action: Option<Action>,
    /// Only about this image.
    pub image: Option<ImageId>,
    /// Only at this site.
    pub site: Option<SiteName>,
    /// Only by this account or token.
    pub actor: Option<Uuid>,
    /// Only at this time or later.
    pub since: Option<Stamp>,
    /// Only before this time.
    pub until: Option<Stamp>,
}

/// Where a page begins, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Numbers above this one, the lowest first; 0 is the beginning.
    After(u64),
    /// Numbers below this one, the highest first.
    Before(u64),
}

impl Cursor {
    /// From the newest entry back.
    pub const NEWEST: Self = Self::Before(u64::MAX);
}

/// See the module's documentation. What is old is deleted by
/// [`Store::prune`](crate::store::Store::prune) of [`Retained::Audit`](crate::store::Retained::Audit).
#[async_trait]
pub trait Audit: Send + Sync {
    /// Records entries, all of them or none, in this order. One whose answer was lost may be recorded: who does it again
    /// may record it twice.
    async fn append(&self, entries: &[NewEntry]) -> Result<(), PortError>;

    /// Up to `limit` entries from `cursor` on.
    async fn page(
        &self,
        filter: &Filter,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Vec<Entry>, PortError>;

    /// The newest entry; [`Checkpoint::START`] when there is none.
    async fn newest(&self) -> Result<Checkpoint, PortError>;
}
