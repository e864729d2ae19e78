//! Keeping and ending leases.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use lobar_core::queue::{LeaseError, Receipt, Settlement};

use super::QueueInner;
use super::batch::{self, BatchEntry, BatchResponse, FAST_RETRY, RELAXED_RETRY, RetryPolicy};
use super::error::SqsError;
use super::leases::Lease;
use super::seconds::{lease_seconds, seconds};
use super::send::Copy;

const EXTEND: &str = "sqs queue: extend";
const SETTLE: &str = "sqs queue: settle";

/// A receipt's place in the caller's batch, and its lease.
type Placed = (usize, Lease);
/// A receipt of SQS and the seconds that its message is to be hidden.
type Hiding = (String, i32);

impl QueueInner {
    pub(super) async fn extend(
        &self,
        receipts: &[Receipt],
        lease: Duration,
    ) -> Vec<Result<(), LeaseError>> {
        let now = Instant::now();
        let mut results: Vec<_> = receipts.iter().map(|_| Err(LeaseError::Lost)).collect();
        let mut kept = Vec::new();
        let mut too_long = Vec::new();
        for (place, receipt) in receipts.iter().enumerate() {
            match self.receipts.get(receipt, now) {
                Some(held) if held.left(self.longest_lease, now) >= lease => {
                    kept.push((place, held));
                }
                Some(_) => too_long.push((receipt.clone(), Settlement::Release)),
                None => {}
            }
        }
        if !too_long.is_empty() {
            tracing::warn!(
                messages = too_long.len(),
                "leases given up: the work took longer than SQS keeps one; the messages are released"
            );
            // Their callers are told that the lease is lost, whatever becomes of this.
            self.settle(too_long).await;
        }
        let hidings = kept.iter().map(|(_, held)| (held.handle.clone(), lease_seconds(lease)));
        let extended = self.hide(hidings.collect(), FAST_RETRY).await;
        for ((place, _), extended) in kept.into_iter().zip(extended) {
            results[place] = match extended {
                Ok(()) => {
                    self.receipts.extend(&receipts[place], now + lease);
                    Ok(())
                }
                Err(SqsError::LostLease) => {
                    self.receipts.take(&receipts[place], now);
                    Err(LeaseError::Lost)
                }
                Err(refusal) => Err(refusal.into_port(EXTEND).into()),
            };
        }
        results
    }

    pub(super) async fn settle(
        &self,
        settlements: Vec<(Receipt, Settlement)>,
    ) -> Vec<Result<(), LeaseError>> {
        let now = Instant::now();
        let mut results: Vec<_> = settlements.iter().map(|_| Err(LeaseError::Lost)).collect();
        let (mut done, mut retried) = (Vec::new(), Vec::new());
        let (mut released, mut dead) = (Vec::new(), Vec::new());
        let mut receipts = Vec::with_capacity(settlements.len());
        for (place, (receipt, settlement)) in settlements.into_iter().enumerate() {
            let held = self.receipts.take(&receipt, now);
            receipts.push(receipt);
            let Some(held) = held else { continue };
            match settlement {
                Settlement::Done => done.push((place, held)),
                Settlement::Retry { after } => {
                    let most = held.left(self.longest_lease, now).as_secs().max(1);
                    retried.push(((place, held), seconds(after, (1, most))));
                }
                Settlement::Release => released.push((place, held)),
                Settlement::Dead { reason } => dead.push(((place, held), reason)),
            }
        }
        let (done, retried, released, dead) = tokio::join!(
            self.settle_done(done),
            self.settle_retried(retried),
            self.settle_released(released),
            self.settle_dead(dead),
        );
        for ((place, held), outcome) in done.into_iter().chain(retried).chain(released).chain(dead)
        {
            results[place] = match outcome {
                Ok(()) => Ok(()),
                Err(SqsError::LostLease) => Err(LeaseError::Lost),
                Err(refusal) => {
                    self.receipts.restore(&receipts[place], held);
                    Err(refusal.into_port(SETTLE).into())
                }
            };
        }
        results
    }

    async fn settle_done(&self, done: Vec<Placed>) -> Vec<(Placed, Result<(), SqsError>)> {
        let handles = done.iter().map(|(_, held)| held.handle.clone()).collect();
        let deleted = self.delete(handles).await;
        done.into_iter().zip(deleted).collect()
    }

    async fn settle_retried(
        &self,
        retried: Vec<(Placed, i32)>,
    ) -> Vec<(Placed, Result<(), SqsError>)> {
        let hidings = retried.iter().map(|((_, held), after)| (held.handle.clone(), *after));
        let hidden = self.hide(hidings.collect(), RELAXED_RETRY).await;
        retried.into_iter().map(|(placed, _)| placed).zip(hidden).collect()
    }

    /// Sends each message anew. Where that is not allowed, it is made visible, which counts.
    async fn settle_released(&self, released: Vec<Placed>) -> Vec<(Placed, Result<(), SqsError>)> {
        let mut outcomes: Vec<Result<(), SqsError>> = Vec::new();
        if !self.counting_releases.load(Ordering::Relaxed) {
            let copies = released.iter().map(|(_, held)| (held.clone(), Copy::of(held)));
            outcomes = self.replace(copies.collect(), &self.connection.url).await;
            if outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(SqsError::is_denied))
                && !self.counting_releases.swap(true, Ordering::Relaxed)
            {
                tracing::warn!(
                    "releases count as receives: messages may not be sent to this queue; allow \
                     sqs:SendMessage on it"
                );
            }
        }
        outcomes.resize_with(released.len(), || Err(SqsError::Unanswered));
        if self.counting_releases.load(Ordering::Relaxed) {
            let left: Vec<usize> =
                (0..outcomes.len()).filter(|place| outcomes[*place].is_err()).collect();
            let hidings = left.iter().map(|place| (released[*place].1.handle.clone(), 0));
            let hidden = self.hide(hidings.collect(), RELAXED_RETRY).await;
            for (place, hidden) in left.into_iter().zip(hidden) {
                outcomes[place] = hidden;
            }
        }
        released.into_iter().zip(outcomes).collect()
    }

    async fn settle_dead(
        &self,
        dead: Vec<(Placed, String)>,
    ) -> Vec<(Placed, Result<(), SqsError>)> {
        let copies = dead.iter().map(|((_, held), reason)| {
            (held.clone(), Copy { reason: Some(reason.clone()), ..Copy::of(held) })
        });
        let outcomes = self.replace(copies.collect(), &self.connection.dead_letters).await;
        dead.into_iter().map(|(placed, _)| placed).zip(outcomes).collect()
    }

    /// Deletes messages. One that is gone already is deleted: whoever did it held a later lease.
    pub(super) async fn delete(&self, handles: Vec<String>) -> Vec<Result<(), SqsError>> {
        let room = (usize::MAX, (|_| 0) as fn(&String) -> usize);
        let deleted =
            batch::each(handles, room, RELAXED_RETRY, |call| self.delete_call(call)).await;
        let gone = |outcome: Result<(), SqsError>| match outcome {
            Err(refusal) if refusal.is_unknown_receipt() => Ok(()),
            outcome => outcome.map_err(SqsError::about_receipt),
        };
        deleted.into_iter().map(gone).collect()
    }

    async fn delete_call(
        &self,
        entries: Vec<BatchEntry<String>>,
    ) -> Result<BatchResponse, SqsError> {
        let entries = entries.into_iter().map(|(id, handle)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle);
            entry.build().map_err(|_| SqsError::Unbuildable)
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let clients = &self.connection.clients;
        let ask = clients.patient.delete_message_batch().queue_url(&self.connection.url);
        let answer = clients.call(ask.set_entries(Some(entries)).send()).await?;
        Ok(BatchResponse::new(answer.successful().iter().map(|one| one.id()), answer.failed()))
    }

    /// Hides messages for as many seconds from now.
    async fn hide(&self, hidings: Vec<Hiding>, patience: RetryPolicy) -> Vec<Result<(), SqsError>> {
        let room = (usize::MAX, (|_| 0) as fn(&Hiding) -> usize);
        let hidden = batch::each(hidings, room, patience, |call| self.hide_call(call)).await;
        hidden.into_iter().map(|outcome| outcome.map_err(SqsError::about_receipt)).collect()
    }

    async fn hide_call(&self, entries: Vec<BatchEntry<Hiding>>) -> Result<BatchResponse, SqsError> {
        let entries = entries.into_iter().map(|(id, (handle, seconds))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(id)
                .receipt_handle(handle)
                .visibility_timeout(seconds)
                .build()
                .map_err(|_| SqsError::Unbuildable)
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let clients = &self.connection.clients;
        let ask = clients.eager.change_message_visibility_batch();
        let ask = ask.queue_url(&self.connection.url).set_entries(Some(entries));
        let answer = clients.call(ask.send()).await?;
        Ok(BatchResponse::new(answer.successful().iter().map(|one| one.id()), answer.failed()))
    }
}
