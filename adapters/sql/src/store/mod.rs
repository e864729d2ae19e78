//! The store. One file a group of verbs; each verb is one transaction.

mod admit;
mod changes;
mod count;
mod erase;
mod events;
mod identity;
mod inference;
mod of_patient;
mod overview;
mod page;
mod plan;
mod probe;
mod prune;
mod remove;
mod resend;
mod restore;
mod row;
mod sweep;
mod twins;
mod work;

use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::{SiteName, Sites};
use lobar_core::event::{Event, Seq};
use lobar_core::failure::PortError;
use lobar_core::image::{Image, Lane, NewImage, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::position::Position;
use lobar_core::store::{
    Admission, Claim, Completion, Filter, Held, Overview, Page, PageKey, Quarantined, Resumed,
    Retained, Store,
};
use lobar_core::time::Stamp;
use uuid::Uuid;

pub(super) use admit::{StoredRow, queue_again};
pub(super) use changes::{Changes, Kind};
pub(super) use erase::{ErasedRow, ObjectRow, TombstoneRow};
pub(super) use events::EventRow;
pub(super) use of_patient::{is_meant, of_those};
pub(super) use page::{COLUMNS, images};
pub(super) use row::{ImageRow, flagged, state};
use work::Attempt;
pub(super) use work::ClaimRow;

use super::{BATCH, Db, Driver};

#[async_trait]
impl<D: Driver> Store for Db<D> {
    async fn admit(&self, images: &[NewImage]) -> Result<Vec<Admission>, PortError> {
        let done = self.retry_on_conflict(|| admit::admit(self, images)).await;
        done.map_err(|fault| fault.during("store: admit"))
    }

    async fn remove(&self, object: &ObjectVersion) -> Result<Vec<ImageId>, PortError> {
        let done = self.retry_on_conflict(|| remove::remove(self, object)).await;
        done.map_err(|fault| fault.during("store: remove"))
    }

    async fn restore(
        &self,
        object: &ObjectVersion,
        unchanged_since: Stamp,
    ) -> Result<bool, PortError> {
        let done = self.retry_on_conflict(|| restore::restore(self, object, unchanged_since)).await;
        done.map_err(|fault| fault.during("store: restore"))
    }

    async fn claim(&self, ids: &[ImageId], max_attempts: u32) -> Result<Vec<Claim>, PortError> {
        let done = self.retry_on_conflict(|| work::claim(self, ids, max_attempts)).await;
        done.map_err(|fault| fault.during("store: claim"))
    }

    async fn complete(&self, completions: &[Completion]) -> Result<Vec<bool>, PortError> {
        let done = self.retry_on_conflict(|| work::complete(self, completions)).await;
        done.map_err(|fault| fault.during("store: complete"))
    }

    async fn count_attempts(&self, held: &[Held]) -> Result<Vec<bool>, PortError> {
        let counted = self.retry_on_conflict(|| work::count_attempts(self, held)).await;
        counted.map_err(|fault| fault.during("store: count attempts"))
    }

    async fn release(&self, held: &[Held]) -> Result<(), PortError> {
        let done = self.retry_on_conflict(|| work::give_back(self, held, Attempt::Uncounted)).await;
        done.map_err(|fault| fault.during("store: release"))
    }

    async fn retry(&self, held: &[Held]) -> Result<(), PortError> {
        let done = self.retry_on_conflict(|| work::give_back(self, held, Attempt::Counted)).await;
        done.map_err(|fault| fault.during("store: retry"))
    }

    async fn sweep(
        &self,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<(ImageId, Lane)>, PortError> {
        sweep::sweep(self, older_than, limit).await.map_err(|fault| fault.during("store: sweep"))
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, PortError> {
        page::image(self, id).await.map_err(|fault| fault.during("store: image"))
    }

    async fn states(&self, ids: &[ImageId]) -> Result<Vec<Option<State>>, PortError> {
        page::states(self, ids).await.map_err(|fault| fault.during("store: states"))
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<PageKey>,
        limit: usize,
    ) -> Result<Page, PortError> {
        page::list(self, filter, after, limit).await.map_err(|fault| fault.during("store: list"))
    }

    async fn events(&self, after: Seq, limit: usize) -> Result<Vec<Event>, PortError> {
        events::after(self, after, limit).await.map_err(|fault| fault.during("store: events"))
    }

    async fn image_events(&self, id: ImageId, limit: usize) -> Result<Vec<Event>, PortError> {
        events::of(self, id, limit).await.map_err(|fault| fault.during("store: image events"))
    }

    async fn resume(&self, position: Position, limit: usize) -> Result<Resumed, PortError> {
        events::resume(self, position, limit).await.map_err(|fault| fault.during("store: resume"))
    }

    async fn newest_position(&self) -> Result<Position, PortError> {
        events::newest(self).await.map_err(|fault| fault.during("store: newest position"))
    }

    async fn overview(&self) -> Result<Overview, PortError> {
        overview::overview(self).await.map_err(|fault| fault.during("store: overview"))
    }

    async fn prune(
        &self,
        what: Retained,
        older_than: Duration,
        limit: usize,
    ) -> Result<usize, PortError> {
        let done = self.retry_on_conflict(|| prune::prune(self, what, older_than, limit)).await;
        done.map_err(|fault| fault.during("store: prune"))
    }

    async fn quarantine(&self, message: &Quarantined) -> Result<(), PortError> {
        overview::quarantine(self, message).await.map_err(|fault| fault.during("store: quarantine"))
    }

    async fn check(&self) -> Result<(), PortError> {
        probe::check(self).await.map_err(|fault| fault.during("store: check"))
    }

    async fn note_probe(&self, probe: Uuid) -> Result<(), PortError> {
        probe::note(self, probe).await.map_err(|fault| fault.during("store: note probe"))
    }

    async fn take_probe(&self, probe: Uuid) -> Result<bool, PortError> {
        probe::take(self, probe).await.map_err(|fault| fault.during("store: take probe"))
    }

    async fn hold_resend(
        &self,
        image: ImageId,
        lease: Duration,
    ) -> Result<Option<Stamp>, PortError> {
        let held = resend::hold(self, image, lease).await;
        held.map_err(|fault| fault.during("store: hold a resend"))
    }

    async fn release_resend(&self, image: ImageId, held: Stamp) -> Result<(), PortError> {
        let released = resend::release(self, image, held).await;
        released.map_err(|fault| fault.during("store: release a resend"))
    }
}

/// The sites of each statement, where there may be more than one takes. An empty batch, which is the only one then, is
/// all sites.
pub(super) fn site_batches(sites: &Sites) -> Vec<Vec<&str>> {
    match sites {
        Sites::All => vec![Vec::new()],
        Sites::Only(sites) => {
            let names: Vec<&str> = sites.iter().map(SiteName::as_str).collect();
            names.chunks(BATCH).map(<[_]>::to_vec).collect()
        }
    }
}

/// A count of rows as SQL takes it.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
