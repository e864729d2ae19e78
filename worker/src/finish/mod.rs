//! The end of every image's way: the store first, then the signal, then the queue.
//!
//! One task takes all that has ended since it last looked, so that a batch is one transaction, and a
//! slow store makes the transactions larger rather than more.
//!
//! [`store`] writes outcomes and says which message is due for which settlement; [`settle`] settles.

mod settle;
mod store;

use std::sync::Arc;

use lobar_core::queue::Settlement;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::ticket::{End, Finished, Held, InWork, Ticket};

/// Most that one transaction finishes.
const MOST: usize = 256;

pub(crate) struct Finisher {
    context: Arc<Context>,
}

/// A message whose store side is written, with its settlement. The roll is left after settling.
struct Due {
    held: Held,
    settlement: Settlement,
    _in_work: Option<InWork>,
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
        let mut batch = Vec::with_capacity(MOST);
        loop {
            tokio::select! {
                biased;
                count = finished.recv_many(&mut batch, MOST) => {
                    if count == 0 {
                        return;
                    }
                    self.finish(std::mem::take(&mut batch)).await;
                }
                () = complete.cancelled(), if !finished.is_closed() => finished.close(),
            }
        }
    }

    async fn finish(&self, batch: Vec<Finished>) {
        let mut due = Vec::with_capacity(batch.len());
        let mut complete = Vec::new();
        let mut retry = Vec::new();
        let mut release = Vec::new();
        for one in batch {
            match one {
                Finished::Message(held, settlement) => {
                    due.push(Due { held, settlement, _in_work: None });
                }
                Finished::Image(ticket, End::Complete(outcome)) => complete.push((ticket, outcome)),
                Finished::Image(ticket, End::Retry) => retry.push(ticket),
                Finished::Image(ticket, End::Release(settlement)) => {
                    release.push((ticket, Some(settlement)));
                }
                Finished::Image(ticket, End::Lost) => release.push((ticket, None)),
            }
        }
        let changed = !(complete.is_empty() && retry.is_empty() && release.is_empty());
        self.complete(complete, &mut due).await;
        self.retry(retry, &mut due).await;
        self.release(release, &mut due).await;
        if changed {
            self.context.publish().await;
        }
        self.settle(due).await;
    }
}

/// The image's turn ends here, its place on the roll after the settlement.
fn settled(ticket: Ticket, settlement: Settlement) -> Due {
    let Ticket { held, in_work, .. } = ticket;
    Due { held, settlement, _in_work: Some(in_work) }
}
