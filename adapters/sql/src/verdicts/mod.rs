//! Verdicts: rows that are only added, and read in two orders.

mod add;
mod read;
mod row;

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::object::ImageId;
use lobar_core::verdict::{LabelKey, Labelled, NewVerdict, Verdict, VerdictError, Verdicts};

pub(super) use add::{FindingRow, ShownRow, standing};
pub(super) use row::{LabelledRow, VerdictRow};

use super::{Db, Driver};

#[async_trait]
impl<D: Driver> Verdicts for Db<D> {
    async fn add(&self, verdict: &NewVerdict) -> Result<Verdict, VerdictError> {
        let done = self.retry_on_conflict(|| add::add(self, verdict)).await;
        done.map_err(|fault| fault.during("verdicts: add"))?
    }

    async fn of(&self, image: ImageId) -> Result<Vec<Verdict>, PortError> {
        read::of(self, image).await.map_err(|fault| fault.during("verdicts: of an image"))
    }

    async fn labelled(
        &self,
        after: Option<LabelKey>,
        limit: usize,
    ) -> Result<Vec<Labelled>, PortError> {
        let page = read::labelled(self, after, limit).await;
        page.map_err(|fault| fault.during("verdicts: labelled images"))
    }

    async fn unseen(&self) -> Result<u64, PortError> {
        read::unseen(self).await.map_err(|fault| fault.during("verdicts: labels without a picture"))
    }
}
