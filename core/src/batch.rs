//! Port of batches: files that were uploaded together, and what became of each.
//!
//! Whoever uploads gives a batch its id, a UUID, and says it of every file: to the API, or as metadata of the object
//! (`x-amz-meta-batch`). An uploading route and ingest both add what they see; either may be first, and again. The counts are
//! not kept but read from the images, so that no change of an image can leave them behind.
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - A batch comes about with its first file and belongs to the site of that.
//! - A file of another site is not added to a batch.
//! - Who uploaded is kept where it is told after the first file.
//! - A file is on its way until its image is admitted and counted by the image's state from then on.
//! - A file that is added again is counted once.
//! - A file whose image was there before is told of as a duplicate.
//! - A file that was put aside is counted as such until it becomes an image after all.
//! - Flags and reasons are counted.
//! - An image whose state cannot be read is counted among those that need a human.
//! - An erased image is counted as erased in each of its batches.
//! - Batches are listed newest first in pages, those of the asked sites only, and none is missed or shown twice.
//! - Lists and the worklist can be narrowed to a batch, and their totals with them.
//! - What failed of a batch is queued again as if new, and nothing else is.
//! - A batch is deleted with results that are as old as the last file that was added to it.
//! - Everything survives closing and opening.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{SiteName, Sites};
use crate::failure::PortError;
use crate::image::{Reason, State};
use crate::object::{ImageId, ObjectVersion};
use crate::time::Stamp;

/// The name under which the metadata of an object says of which batch it is, without `x-amz-meta-`.
pub const METADATA: &str = "batch";

/// What a batch is known by: made by whoever uploads, and opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub Uuid);

impl BatchId {
    /// The id in a text; `None` where it is no UUID.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who uploaded a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploader {
    /// The id of the account or token.
    pub id: Uuid,
    /// What records call them.
    pub name: String,
}

/// What is said of some files: of which batch they are, and where they were put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMention {
    /// Of which batch.
    pub batch: BatchId,
    /// The site of the files; `None` is an unknown one.
    pub site: Option<SiteName>,
    /// Who uploaded them, where that is known.
    pub by: Option<Uploader>,
}

/// What a file is added as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// An image, admitted already or on its way.
    Image,
    /// By name and content no image ([`junk`](crate::junk)): nobody is shown it.
    PutAside,
}

/// What became of the files of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Images in each state; states without images are missing.
    pub by_state: BTreeMap<State, u64>,
    /// Images that are [`Ready`](State::Ready) and flagged.
    pub flagged: u64,
    /// Of those that need a human and those that failed: how many for which reason.
    pub reasons: BTreeMap<(State, Reason), u64>,
    /// Files in the bucket of which no image was admitted yet.
    pub arriving: u64,
    /// Images that were erased since.
    pub erased: u64,
    /// Files that were put aside as no images.
    pub put_aside: u64,
    /// Of all files: those whose image was there before they were uploaded in this batch.
    pub duplicates: u64,
}

impl BatchCounts {
    /// All files.
    pub fn files(&self) -> u64 {
        self.by_state.values().sum::<u64>() + self.arriving + self.erased + self.put_aside
    }
}

/// One batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which.
    pub id: BatchId,
    /// Where its files were put; `None` is an unknown site.
    pub site: Option<SiteName>,
    /// Who uploaded it; `None` where only the bucket told of its files.
    pub by: Option<Uploader>,
    /// When its first file was added.
    pub opened_at: Stamp,
    /// When a file was added last.
    pub last_at: Stamp,
    /// What became of its files.
    pub counts: BatchCounts,
}

/// Where a page of batches ends: by when they were opened, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchKey {
    /// When the last batch of the page was opened.
    pub opened_at: Stamp,
    /// Its id.
    pub id: BatchId,
}

/// One page of batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPage {
    /// Newest first.
    pub items: Vec<Batch>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<BatchKey>,
    /// How many batches there are at the sites in all.
    pub total: u64,
}

/// See the module's documentation.
#[async_trait]
pub trait Batches: Send + Sync {
    /// Adds files to a batch, and makes the batch where it is the first to tell of it. Answers whether they are in it:
    /// not where the batch belongs to another site. To be called before the images are admitted: what is there already is a
    /// duplicate.
    async fn add(
        &self,
        to: &BatchMention,
        files: &[ImageId],
        added: Added,
    ) -> Result<bool, PortError>;

    /// One batch, whatever its site is.
    async fn batch(&self, id: BatchId) -> Result<Option<Batch>, PortError>;

    /// A page of batches of these sites after `after`, newest first.
    async fn batches(
        &self,
        sites: &Sites,
        after: Option<BatchKey>,
        limit: usize,
    ) -> Result<BatchPage, PortError>;

    /// Queues up to `limit` failed images of a batch again, those whose ids come after `after`, in the order of their ids;
    /// answers their objects. Each needs a job again.
    async fn retry(
        &self,
        id: BatchId,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_is_the_id_of_a_batch() {
        let id = Uuid::from_u128(7);
        assert_eq!(BatchId::parse(&format!(" {id} ")), Some(BatchId(id)));
        for text in ["", "monday", "7"] {
            assert_eq!(BatchId::parse(text), None, "{text:?}");
        }
    }
}
