//! Verdicts: rows that are only added, and read in two orders.

mod add;
mod read;
mod row;
mod withdraw;

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::object::ImageId;
use lobar_core::verdict::{
    LabelKey, Labelled, NewVerdict, Terms, Verdict, VerdictError, Verdicts, WithdrawError,
    Withdrawal,
};

pub(super) use add::{FindingRow, ShownRow, standing};
pub(super) use row::{LabelledRow, VerdictRow};

use super::{Db, Driver};

/// Whether a row of `verdict` counts and is the newest of its image that does.
pub(super) const IS_NEWEST: &str = "not exists (
    select 1 from verdict_withdrawal where verdict_withdrawal.verdict = verdict.id)
  and not exists (
    select 1 from verdict later where later.image = verdict.image and later.at > verdict.at
      and not exists (select 1 from verdict_withdrawal where verdict_withdrawal.verdict = later.id))";

/// Whether readers still differ, or are still to come, on the image that is joined to a row of `verdict`: no label is
/// learnt from then.
pub(super) const IS_SETTLED: &str =
    "(coalesce(verdict.readers_needed, 1) = 1 or image.read_at is not null)";

#[async_trait]
impl<D: Driver> Verdicts for Db<D> {
    async fn add(&self, verdict: &NewVerdict, terms: &Terms) -> Result<Verdict, VerdictError> {
        let done = self.retry_on_conflict(|| add::add(self, verdict, terms)).await;
        done.map_err(|fault| fault.during("verdicts: add"))?
    }

    async fn withdraw(&self, withdrawal: &Withdrawal) -> Result<Verdict, WithdrawError> {
        let done = self.retry_on_conflict(|| withdraw::withdraw(self, withdrawal)).await;
        done.map_err(|fault| fault.during("verdicts: withdraw"))?
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
