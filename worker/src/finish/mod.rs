//! Finisher: commits what ended (store first, then signal, then queue settlement).
//!
//! One task takes all that has ended since it last looked, so that a batch is one transaction, and a
//! slow store makes the transactions larger rather than more. How often it looks: see [`crate::pace`].
//!
//! [`store`] writes outcomes and says which message is due for which settlement; [`settle`] settles.

mod settle;
mod store;

use std::sync::Arc;

use lobar_core::queue::Settlement;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::pace::Pace;
use crate::work_item::{End, Finished, InFlightGuard, LeasedMessage, WorkItem};

/// Most that one transaction finishes.
const MAX_TRANSACTION: usize = 256;

pub(crate) struct Finisher {
    context: Arc<Context>,
}

/// A message whose store side is written, with its settlement. The roll is left after settling.
struct PendingSettlement {
    message: LeasedMessage,
    settlement: Settlement,
    _in_flight_guard: Option<InFlightGuard>,
}

impl Finisher {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Works until `complete` is cancelled and everything that came in is finished.
    pub(crate) async fn run(
        self,
        mut finished: mpsc::Receiver<Finished>,
        complete: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(MAX_TRANSACTION);
        let mut pace = Pace::default();
        loop {
            let due = pace.wait(batch.iter().map(Finished::lane)).filter(|_| !batch.is_empty());
            if due.is_none() && !batch.is_empty() {
                self.finish(std::mem::take(&mut batch)).await;
                pace.ended();
                continue;
            }
            let waited = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let room = MAX_TRANSACTION.saturating_sub(batch.len()).max(1);
            tokio::select! {
                biased;
                count = finished.recv_many(&mut batch, room) => {
                    if count == 0 && batch.is_empty() {
                        return;
                    } else if count == 0 {
                        return self.finish(batch).await;
                    }
                }
                () = complete.cancelled(), if !finished.is_closed() => finished.close(),
                () = waited => {}
            }
        }
    }

    async fn finish(&self, batch: Vec<Finished>) {
        let mut pending = Vec::with_capacity(batch.len());
        let mut complete = Vec::new();
        let mut retry = Vec::new();
        let mut release = Vec::new();
        for one in batch {
            match one {
                Finished::Message(message, settlement) => {
                    pending.push(PendingSettlement { message, settlement, _in_flight_guard: None });
                }
                Finished::Image(item, End::Complete(outcome)) => complete.push((item, outcome)),
                Finished::Image(item, End::Retry) => retry.push(item),
                Finished::Image(item, End::Release(settlement)) => {
                    release.push((item, Some(settlement)));
                }
                Finished::Image(item, End::Lost) => release.push((item, None)),
            }
        }
        let changed = !(complete.is_empty() && retry.is_empty() && release.is_empty());
        self.complete(complete, &mut pending).await;
        self.retry(retry, &mut pending).await;
        self.release(release, &mut pending).await;
        if changed {
            self.context.publish().await;
        }
        self.settle(pending).await;
    }
}

/// The image's turn ends here, its place on the roll after the settlement.
fn settled(item: WorkItem, settlement: Settlement) -> PendingSettlement {
    let WorkItem { message, in_flight_guard, .. } = item;
    PendingSettlement { message, settlement, _in_flight_guard: Some(in_flight_guard) }
}
