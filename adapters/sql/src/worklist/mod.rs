//! The worklist: a page of what waits, who has read an image, and claims of readers.

mod claims;
mod mark;
mod page;
mod readership;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::exposure::Reader;
use lobar_core::failure::PortError;
use lobar_core::object::ImageId;
use lobar_core::store::Filter;
use lobar_core::worklist::{Claimed, Claiming, Place, Readership, Urgency, Worklist, WorklistPage};

pub(super) use claims::ReadingClaimRow;
pub(super) use mark::mark;
pub(super) use page::WaitingRow;
pub(super) use readership::{LookRow, ReadingRow};

use super::{Db, Driver};

#[async_trait]
impl<D: Driver> Worklist for Db<D> {
    async fn to_read(
        &self,
        filter: &Filter,
        urgency: &Urgency,
        reader: Option<&str>,
        after: Option<Place>,
        limit: usize,
    ) -> Result<WorklistPage, PortError> {
        let read = page::page(self, (filter, reader), urgency, after, limit).await;
        read.map_err(|fault| fault.during("worklist: waiting"))
    }

    async fn readership(
        &self,
        images: &[ImageId],
    ) -> Result<BTreeMap<ImageId, Readership>, PortError> {
        let read = readership::of(self, images).await;
        read.map_err(|fault| fault.during("worklist: readership"))
    }

    async fn claim_reading(
        &self,
        image: ImageId,
        reader: &Reader,
        claiming: Claiming,
        lease: Duration,
    ) -> Result<Option<Claimed>, PortError> {
        let claim = || claims::claim(self, image, reader, claiming, lease);
        let done = self.retry_on_conflict(claim).await;
        done.map_err(|fault| fault.during("worklist: claim"))
    }

    async fn release_reading(&self, image: ImageId, reader: &Reader) -> Result<bool, PortError> {
        let done = self.retry_on_conflict(|| claims::release(self, image, reader)).await;
        done.map_err(|fault| fault.during("worklist: release"))
    }
}
