//! The store side of the end: results and what is given back.
//!
//! A transient failure is waited out, since the work is done and the leases are kept; only when the
//! worker gives up, the images are given back. A write that is rejected for good is narrowed down to
//! the images that it is about. Their attempt counts and they are tried again after a pause, until the
//! claim puts them in quarantine; the others of the batch are written as if nothing had been.

use std::ops::Range;
use std::sync::Arc;

use lobar_consumer::{Cause, isolate};
use lobar_core::failure::PortError;
use lobar_core::image::State;
use lobar_core::queue::Settlement;
use lobar_core::store::{Claimed, Completion, Held, Outcome};

use tracing::Span;

use super::{Finisher, PendingSettlement, settled};
use crate::work_item::WorkItem;

/// An image to give back; without a settlement its lease is lost, and there is nothing to settle.
type Release = (WorkItem, Option<Settlement>);

/// The state in which an outcome leaves its image.
fn ending(outcome: &Outcome) -> State {
    match outcome {
        Outcome::Ready(_) => State::Ready,
        Outcome::NeedsHuman { .. } => State::NeedsHuman,
        Outcome::Failed { .. } => State::Failed,
        Outcome::Superseded => State::Superseded,
    }
}

impl Finisher {
    /// Writes results.
    pub(super) async fn complete(
        &self,
        work: Vec<(WorkItem, Outcome)>,
        pending: &mut Vec<PendingSettlement>,
    ) {
        let (items, completions): (Vec<(WorkItem, Span)>, Vec<Completion>) = work
            .into_iter()
            .map(|(mut item, outcome)| {
                let basis = std::mem::take(&mut item.basis);
                let Held { id, fence, .. } = item.held();
                let state = ending(&outcome).as_str();
                let span = tracing::info_span!(parent: &*item.message.span, "commit", state);
                // What tells of the event continues from here.
                let trace = lobar_trace::context(&span);
                ((item, span), Completion { id, fence, outcome, trace, basis })
            })
            .unzip();
        let results = isolate(completions.len(), |range| {
            let some = completions.get(range).unwrap_or_default();
            self.waiting_out(move || self.context.store.complete(some))
        })
        .await;
        let (mut stored, mut rejected, mut release) = (false, Vec::new(), Vec::new());
        for (((item, span), completion), result) in items.into_iter().zip(completions).zip(results)
        {
            if result.is_err() {
                lobar_trace::failed(&span, "the store did not take the result");
            }
            match result {
                Ok(accepted) => {
                    // An end without a result says nothing of whether results are taken.
                    stored |= accepted && matches!(completion.outcome, Outcome::Ready(_));
                    self.count(accepted, &completion.outcome, &item.claimed);
                    let trace = lobar_trace::trace_id(&span);
                    span.in_scope(|| {
                        tracing::debug!(trace, accepted, "result stored; its job is settled next")
                    });
                    pending.push(settled(item, Settlement::Done));
                }
                Err(error) if error.is_transient() => {
                    release.push((item, Some(Settlement::Release)));
                }
                Err(error) => rejected.push((item, error)),
            }
        }
        if stored {
            self.context.services.results.succeeded();
        }
        let retry = self.rejected(stored, rejected, &mut release);
        self.retry(retry, pending).await;
        self.release(release, pending).await;
    }

    fn count(&self, accepted: bool, outcome: &Outcome, claimed: &Claimed) {
        let metrics = &self.context.metrics;
        if !accepted {
            return metrics.refused.inc();
        }
        metrics.images.with_label_values(&[ending(outcome).as_str()]).inc();
        // A version that a newer one replaced kept nobody waiting.
        if *outcome != Outcome::Superseded {
            metrics.finished(claimed.lane, claimed.received_at);
        }
    }

    /// Decides on images whose result is rejected for good; answers those whose attempt counts.
    fn rejected(
        &self,
        stored: bool,
        rejected: Vec<(WorkItem, Arc<PortError>)>,
        release: &mut Vec<Release>,
    ) -> Vec<WorkItem> {
        if rejected.is_empty() {
            self.context.rejected_results.note(stored, []);
            return Vec::new();
        }
        self.context.metrics.rejected("complete", rejected.len());
        let images = rejected.iter().map(|(item, _)| item.claimed.id);
        let cause = self.context.rejected_results.note(stored, images);
        let mut retry = Vec::new();
        for (item, error) in rejected {
            let (image, attempt) = (item.claimed.id, item.claimed.attempt);
            match cause {
                Cause::Item => {
                    let of = self.context.settings.max_attempts;
                    tracing::error!(%image, attempt, of, %error, "the store rejected a result; the image is tried again, and goes to quarantine after its last attempt");
                    retry.push(item);
                }
                Cause::Service => {
                    tracing::error!(%image, %error, "the store rejects every result; the image is given back uncounted and tried again");
                    self.context.services.results.failed(&error);
                    let after = self.context.later(item.message.receive_count);
                    release.push((item, Some(Settlement::Retry { after })));
                }
            }
        }
        retry
    }

    /// Gives images back, their attempt counted.
    pub(super) async fn retry(&self, items: Vec<WorkItem>, pending: &mut Vec<PendingSettlement>) {
        let held: Vec<Held> = items.iter().map(WorkItem::held).collect();
        let returned = isolate(held.len(), |range| {
            let some = held.get(range.clone()).unwrap_or_default();
            self.each(range, move || self.context.store.retry(some))
        });
        self.report("retried", &held, returned.await);
        for item in items {
            let tries = item.claimed.attempt.saturating_sub(1);
            let after = self.context.settings.backoff.delay(tries, rand::random());
            pending.push(settled(item, Settlement::Retry { after }));
        }
    }

    /// Gives images back, their attempt uncounted.
    pub(super) async fn release(&self, items: Vec<Release>, pending: &mut Vec<PendingSettlement>) {
        let held: Vec<Held> = items.iter().map(|(item, _)| item.held()).collect();
        let returned = isolate(held.len(), |range| {
            let some = held.get(range.clone()).unwrap_or_default();
            self.each(range, move || self.context.store.release(some))
        });
        self.report("released", &held, returned.await);
        for (item, settlement) in items {
            pending.extend(settlement.map(|settlement| settled(item, settlement)));
        }
    }

    /// An image that could not be given back is not stuck: its message comes again, and whoever claims
    /// it takes it over.
    fn report(&self, how: &'static str, held: &[Held], results: Vec<Result<(), Arc<PortError>>>) {
        let counter = self.context.metrics.returned.with_label_values(&[how]);
        counter.inc_by(held.len().try_into().unwrap_or(u64::MAX));
        for (one, result) in held.iter().zip(results) {
            let Err(error) = result else { continue };
            let image = one.id;
            if !error.is_transient() {
                self.context.metrics.rejected(how, 1);
            }
            tracing::error!(%image, %error, how, "an image could not be given back in the store; the next claim takes it over");
        }
    }

    /// A write that answers for all its images at once.
    async fn each<F>(
        &self,
        range: Range<usize>,
        write: impl Fn() -> F,
    ) -> Result<Vec<()>, PortError>
    where
        F: Future<Output = Result<(), PortError>>,
    {
        self.waiting_out(write).await.map(|()| vec![(); range.len()])
    }

    /// Asks the store until it answers, or rejects for good; when the worker has given up, once.
    async fn waiting_out<T, F>(&self, ask: impl Fn() -> F) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>>,
    {
        loop {
            let error = match ask().await {
                Ok(answer) => {
                    self.context.services.store.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                return Err(error);
            }
            self.context.services.store.failed(&error);
            if self.context.give_up.is_cancelled() {
                return Err(error);
            }
            let pause = self.context.services.store.pause();
            let pause = pause.unwrap_or(self.context.settings.backoff.first);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.give_up.cancelled() => {}
            }
        }
    }
}
