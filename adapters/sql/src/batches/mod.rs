//! Batches: files that were uploaded together, counted by what became of their images.

mod add;
mod count;
mod list;
mod prune;
mod retry;

use async_trait::async_trait;
use lobar_core::access::Sites;
use lobar_core::batch::{Added, Batch, BatchId, BatchKey, BatchMention, BatchPage, Batches};
use lobar_core::failure::PortError;
use lobar_core::object::{ImageId, ObjectVersion};

pub(super) use count::CountRow;
pub(super) use list::BatchRow;
pub(super) use prune::prune;
pub(super) use retry::FailedRow;

use super::{Db, Driver};

#[async_trait]
impl<D: Driver> Batches for Db<D> {
    async fn add(
        &self,
        to: &BatchMention,
        files: &[ImageId],
        added: Added,
    ) -> Result<bool, PortError> {
        let done = self.retry_on_conflict(|| add::add(self, to, files, added)).await;
        done.map_err(|fault| fault.during("batches: add"))
    }

    async fn batch(&self, id: BatchId) -> Result<Option<Batch>, PortError> {
        list::one(self, id).await.map_err(|fault| fault.during("batches: batch"))
    }

    async fn batches(
        &self,
        sites: &Sites,
        after: Option<BatchKey>,
        limit: usize,
    ) -> Result<BatchPage, PortError> {
        let page = list::page(self, sites, after, limit).await;
        page.map_err(|fault| fault.during("batches: batches"))
    }

    async fn retry(
        &self,
        id: BatchId,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError> {
        let queued = self.retry_on_conflict(|| retry::retry(self, id, after, limit)).await;
        queued.map_err(|fault| fault.during("batches: retry"))
    }
}
