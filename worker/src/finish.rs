//! The end of every image's way: the store first, then the signal, then the queue.
//!
//! One task takes all that has ended since it last looked, so that a batch is one transaction, and a
//! slow store makes the transactions larger rather than more.

use std::sync::Arc;

use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes};
use lobar_core::object::ImageId;
use lobar_core::queue::{LeaseError, Settlement};
use lobar_core::store::{Completion, Fence, Outcome};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::ticket::{End, Finished, Held, InWork, Ticket};

/// Most that one transaction finishes.
const MOST: usize = 256;
/// Tries of a settlement; after that the message comes again and is found finished.
const SETTLE_TRIES: u32 = 3;

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
        if changed && let Err(error) = self.context.signal.publish().await {
            tracing::debug!(%error, "the signal was not published; pages follow by polling");
        }
        self.settle(due).await;
    }

    /// Writes results. While the store is away this waits, since the work is done and the leases are
    /// kept; only when the worker gives up, they are given back.
    async fn complete(&self, work: Vec<(Ticket, Outcome)>, due: &mut Vec<Due>) {
        if work.is_empty() {
            return;
        }
        let (tickets, completions): (Vec<Ticket>, Vec<Completion>) = work
            .into_iter()
            .map(|(ticket, outcome)| {
                let (id, fence) = ticket.work();
                (ticket, Completion { id, fence, outcome })
            })
            .unzip();
        let results = self.write(&completions).await;
        let mut unwritten = Vec::new();
        for ((ticket, completion), result) in tickets.into_iter().zip(completions).zip(results) {
            match result {
                Written::Accepted => {
                    let state = match completion.outcome {
                        Outcome::Ready(_) => "ready",
                        Outcome::NeedsHuman { .. } => "needs_human",
                        Outcome::Superseded => "superseded",
                    };
                    self.context.metrics.images.with_label_values(&[state]).inc();
                    due.push(settled(ticket, Settlement::Done));
                }
                Written::Refused => {
                    self.context.metrics.refused.inc();
                    due.push(settled(ticket, Settlement::Done));
                }
                Written::Not => unwritten.push((ticket, Some(Settlement::Release))),
            }
        }
        self.release(unwritten, due).await;
    }

    async fn write(&self, completions: &[Completion]) -> Vec<Written> {
        let error = match self.until_given_up(|| self.context.store.complete(completions)).await {
            Ok(accepted) => return accepted.into_iter().map(Written::of).collect(),
            Err(error) => error,
        };
        tracing::error!(%error, results = completions.len(), "results were not written");
        let mut written = Vec::with_capacity(completions.len());
        for one in completions {
            // One of them is refused for good: the others must not suffer for it.
            let alone = match error.is_transient() {
                true => Err(()),
                false => self.context.store.complete(std::slice::from_ref(one)).await.map_err(drop),
            };
            let alone = alone.ok().and_then(|accepted| accepted.first().copied());
            written.push(alone.map_or(Written::Not, Written::of));
        }
        written
    }

    async fn retry(&self, tickets: Vec<Ticket>, due: &mut Vec<Due>) {
        if tickets.is_empty() {
            return;
        }
        let work: Vec<(ImageId, Fence)> = tickets.iter().map(Ticket::work).collect();
        let tried = self.until_given_up(|| self.context.store.retry(&work)).await;
        self.report("retried", work.len(), tried);
        for ticket in tickets {
            let tries = ticket.claimed.attempt.saturating_sub(1);
            let after = self.context.settings.backoff.delay(tries, rand::random());
            due.push(settled(ticket, Settlement::Retry { after }));
        }
    }

    /// Without a settlement the lease is lost, and there is nothing to settle.
    async fn release(&self, work: Vec<(Ticket, Option<Settlement>)>, due: &mut Vec<Due>) {
        if work.is_empty() {
            return;
        }
        let released: Vec<(ImageId, Fence)> =
            work.iter().map(|(ticket, _)| ticket.work()).collect();
        let tried = self.until_given_up(|| self.context.store.release(&released)).await;
        self.report("released", released.len(), tried);
        for (ticket, settlement) in work {
            due.extend(settlement.map(|settlement| settled(ticket, settlement)));
        }
    }

    fn report(&self, how: &str, images: usize, result: Result<(), PortError>) {
        let counter = self.context.metrics.returned.with_label_values(&[how]);
        counter.inc_by(images.try_into().unwrap_or(u64::MAX));
        if let Err(error) = result {
            tracing::error!(%error, images, how, "images could not be given back; they will be taken over");
        }
    }

    /// Asks the store until it answers; when the worker has given up, once.
    async fn until_given_up<T, F>(&self, ask: impl Fn() -> F) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>>,
    {
        loop {
            let error = match ask().await {
                Ok(answer) => {
                    self.context.circuits.store.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            self.context.circuits.store.failed(&error);
            if !error.is_transient() || self.context.give_up.is_cancelled() {
                return Err(error);
            }
            let backoff = self.context.settings.backoff;
            let pause = self.context.circuits.pause(backoff).unwrap_or(backoff.first);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.give_up.cancelled() => {}
            }
        }
    }

    async fn settle(&self, due: Vec<Due>) {
        let mut lanes: Lanes<Vec<Due>> = Lanes::default();
        for one in due {
            one.held.lease.settling();
            lanes.of_mut(one.held.lane).push(one);
        }
        for lane in Lane::ALL {
            self.settle_lane(lane, std::mem::take(lanes.of_mut(lane))).await;
        }
    }

    async fn settle_lane(&self, lane: Lane, mut due: Vec<Due>) {
        for attempt in 0..SETTLE_TRIES {
            if due.is_empty() {
                return;
            }
            let items =
                due.iter().map(|one| (one.held.lease.receipt.clone(), one.settlement.clone()));
            let results = self.context.jobs.of(lane).settle(items.collect()).await;
            let mut failed = None;
            let mut results = results.into_iter();
            // What is settled, or lost, is over; a lost one will be found finished by its holder.
            due.retain(|_| match results.next() {
                Some(Err(LeaseError::Port(error))) => {
                    failed = Some(error);
                    true
                }
                Some(Ok(()) | Err(LeaseError::Lost)) | None => false,
            });
            let Some(error) = failed else { return };
            self.context.circuits.jobs.failed(&error);
            let pause = self.context.settings.backoff.delay(attempt, rand::random());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.give_up.cancelled() => {}
            }
        }
        tracing::warn!(messages = due.len(), "messages were not settled; they will come again");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Accepted,
    Refused,
    Not,
}

impl Written {
    fn of(accepted: bool) -> Self {
        if accepted { Written::Accepted } else { Written::Refused }
    }
}

/// The image's turn ends here, its place on the roll after the settlement.
fn settled(ticket: Ticket, settlement: Settlement) -> Due {
    let Ticket { held, in_work, .. } = ticket;
    Due { held, settlement, _in_work: Some(in_work) }
}
