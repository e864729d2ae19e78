//! The queue side of the end: settlements.

use lobar_core::image::{Lane, Lanes};
use lobar_core::queue::LeaseError;

use super::{Finisher, PendingSettlement};

/// Tries of a settlement; after that the message comes again and is found finished.
const TRIES: u32 = 3;

impl Finisher {
    pub(super) async fn settle(&self, pending: Vec<PendingSettlement>) {
        let mut lanes: Lanes<Vec<PendingSettlement>> = Lanes::default();
        for one in pending {
            one.message.lease.settling();
            lanes.of_mut(one.message.lane).push(one);
        }
        for lane in Lane::ALL {
            self.settle_lane(lane, std::mem::take(lanes.of_mut(lane))).await;
        }
    }

    async fn settle_lane(&self, lane: Lane, mut pending: Vec<PendingSettlement>) {
        for attempt in 0..TRIES {
            if pending.is_empty() {
                return;
            }
            let items = pending
                .iter()
                .map(|one| (one.message.lease.receipt.clone(), one.settlement.clone()));
            let results = self.context.jobs.of(lane).settle(items.collect()).await;
            let mut away = None;
            let mut results = results.into_iter();
            // What is settled, or lost, is over; a lost one will be found finished by its holder.
            // Rejected for good, it comes again when its lease has lapsed.
            pending.retain(|_| match results.next() {
                Some(Err(LeaseError::Port(error))) if error.is_transient() => {
                    away = Some(error);
                    true
                }
                Some(Err(LeaseError::Port(error))) => {
                    let lane = lane.as_str();
                    tracing::error!(lane, %error, "a settlement was rejected; the job comes again when its lease has lapsed");
                    self.context.metrics.rejected("settle", 1);
                    false
                }
                Some(Ok(()) | Err(LeaseError::Lost)) | None => false,
            });
            let Some(error) = away else { return };
            self.context.services.jobs.of(lane).failed(&error);
            let pause = self.context.settings.backoff.delay(attempt, rand::random());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.give_up.cancelled() => {}
            }
        }
        let (lane, messages) = (lane.as_str(), pending.len());
        tracing::warn!(
            lane,
            messages,
            "jobs not settled; they come again when their leases have lapsed"
        );
    }
}
