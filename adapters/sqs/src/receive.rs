//! Receiving: long polls, more calls where one brings ten, and what comes before its time.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{
    Message, MessageSystemAttributeName as Attribute, QueueAttributeName as Count,
};
use futures::future::join_all;
use lobar_core::failure::PortError;
use lobar_core::queue::{Delivery, Depth, Settlement};
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

use super::QueueInner;
use super::batch::MOST;
use super::connection::LONGEST_POLL;
use super::error::SqsError;
use super::leases::Lease;
use super::message::{self, MessageAttributes};
use super::seconds::lease_seconds;
use super::send::Copy;

const RECEIVE: &str = "sqs queue: receive";
/// Between two looks at a queue, where SQS cannot be asked to wait.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Calls at once after the first has shown that there is more.
const MORE: usize = 8;

/// What one call brought.
struct PollResult {
    deliveries: Vec<Delivery>,
    /// As many as one call may bring: there may be more.
    full: bool,
}

impl QueueInner {
    /// Polls until there is something, `wait` is over, or nobody is `wanted` any more.
    pub(super) async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
        wanted: impl Fn() -> bool,
    ) -> Result<Vec<Delivery>, PortError> {
        self.receipts.forget_ended(Instant::now());
        let began = Instant::now();
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            let left = wait.saturating_sub(began.elapsed());
            let asked = Instant::now();
            let poll = Duration::from_secs(left.as_secs()).min(LONGEST_POLL);
            let first = self.poll(max.min(MOST), poll, lease).await;
            let first = first.map_err(|refusal| refusal.into_port(RECEIVE))?;
            if !first.deliveries.is_empty() {
                let mut deliveries = first.deliveries;
                if first.full && deliveries.len() < max {
                    self.receive_more(&mut deliveries, max, lease).await;
                }
                return Ok(deliveries);
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() || !wanted() {
                return Ok(Vec::new());
            }
            // It did not wait: too little was left for it, or it brought what was not yet due.
            if asked.elapsed() < LOOK_AGAIN {
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        }
    }

    /// More of a full queue, as long as the first messages' leases are young.
    async fn receive_more(&self, deliveries: &mut Vec<Delivery>, max: usize, lease: Duration) {
        let began = Instant::now();
        while deliveries.len() < max && began.elapsed() < lease / 8 {
            let missing = max - deliveries.len();
            let calls = missing.div_ceil(MOST).min(MORE);
            let sizes = (0..calls).map(|call| MOST.min(missing - call * MOST));
            let calls = sizes.map(|size| self.poll(size, Duration::ZERO, lease));
            let mut full = true;
            for brought in join_all(calls).await {
                match brought {
                    Ok(brought) => {
                        full &= brought.full;
                        deliveries.extend(brought.deliveries);
                    }
                    Err(refusal) => {
                        tracing::debug!(error = %refusal, "fewer messages received than asked for: a call to SQS failed; the next receive asks again");
                        full = false;
                    }
                }
            }
            if !full {
                break;
            }
        }
        self.keep_newest(deliveries);
    }

    /// A message that came twice is delivered once, under its newest receipt.
    fn keep_newest(&self, deliveries: &mut Vec<Delivery>) {
        let now = Instant::now();
        deliveries.retain(|delivery| self.receipts.get(&delivery.receipt, now).is_some());
    }

    async fn poll(
        &self,
        most: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<PollResult, SqsError> {
        let received = Instant::now();
        let clients = &self.connection.clients;
        let ask = clients
            .polling
            .receive_message()
            .queue_url(&self.connection.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(0))
            .visibility_timeout(lease_seconds(lease))
            .message_system_attribute_names(Attribute::ApproximateReceiveCount)
            .message_system_attribute_names(Attribute::SentTimestamp)
            .message_system_attribute_names(Attribute::MessageGroupId)
            .message_system_attribute_names(Attribute::ApproximateFirstReceiveTimestamp)
            .message_attribute_names(message::OURS)
            .message_attribute_names(TraceContext::HEADER);
        let answer = clients.call(ask.send()).await?;
        let full = answer.messages().len() >= most;
        let mut deliveries = Vec::with_capacity(answer.messages().len());
        let mut early = Vec::new();
        for message in answer.messages() {
            let Some((held, notes)) = self.read(message, received, lease) else { continue };
            let now = self.clock.now();
            match notes.due.filter(|due| *due > now) {
                Some(due) => {
                    let copy = Copy { due: Some(due), count: notes.count, ..Copy::of(&held) };
                    early.push((held, copy));
                }
                None => {
                    let (body, receive_count) = (held.body.clone(), held.count);
                    let (sent_at, trace) = (held.sent_at, held.trace);
                    let receipt = self.receipts.hold(held);
                    deliveries.push(Delivery { receipt, body, receive_count, sent_at, trace });
                }
            }
        }
        self.send_back(early).await;
        self.keep_newest(&mut deliveries);
        Ok(PollResult { deliveries, full })
    }

    /// `None` for a message without an id or a receipt, which SQS does not send.
    fn read(
        &self,
        message: &Message,
        received: Instant,
        lease: Duration,
    ) -> Option<(Lease, MessageAttributes)> {
        let (body, notes) = message::decode(message);
        let said = |name: Attribute| message.attributes()?.get(&name);
        let receives = said(Attribute::ApproximateReceiveCount).and_then(|n| n.parse().ok());
        let sent = said(Attribute::SentTimestamp).and_then(|millis| millis.parse::<i64>().ok());
        let sent = sent.and_then(|millis| millis.checked_mul(1_000)).map(Stamp);
        let held = Lease {
            id: message.message_id()?.to_owned(),
            handle: message.receipt_handle()?.to_owned(),
            body,
            count: notes.count.saturating_add(receives.unwrap_or(1)),
            sent_at: notes.sent_at.or(sent).unwrap_or_else(|| self.clock.now()),
            trace: notes.trace,
            group: said(Attribute::MessageGroupId).cloned(),
            received,
            deadline: received + lease.min(self.longest_lease),
        };
        Some((held, notes))
    }

    /// Messages whose delay is longer than SQS delays any go around once more. What cannot be sent
    /// back stays hidden for its lease.
    async fn send_back(&self, early: Vec<(Lease, Copy)>) {
        if early.is_empty() {
            return;
        }
        for outcome in self.replace(early, &self.connection.url).await {
            if let Err(refusal) = outcome {
                tracing::warn!(error = %refusal, "a delayed message was not sent on: it stays hidden for its lease and comes again");
            }
        }
    }

    /// Gives back what was received for somebody who is gone.
    pub(super) async fn give_back(&self, unwanted: Vec<Delivery>) {
        let release = |delivery: Delivery| (delivery.receipt, Settlement::Release);
        for outcome in self.settle(unwanted.into_iter().map(release).collect()).await {
            if let Err(error) = outcome {
                tracing::warn!(%error, "a message was not released: it stays hidden for its lease and comes again");
            }
        }
    }

    pub(super) async fn depth(&self) -> Result<Depth, PortError> {
        let clients = &self.connection.clients;
        let count = async |url: &str| {
            let ask = clients.patient.get_queue_attributes().queue_url(url);
            let ask = ask
                .attribute_names(Count::ApproximateNumberOfMessages)
                .attribute_names(Count::ApproximateNumberOfMessagesNotVisible)
                .attribute_names(Count::ApproximateNumberOfMessagesDelayed);
            let found = clients.call(ask.send()).await?;
            let of = |name: Count| found.attributes()?.get(&name)?.parse::<u64>().ok();
            Ok::<_, SqsError>((
                of(Count::ApproximateNumberOfMessages).ok_or(SqsError::Unreadable)?,
                of(Count::ApproximateNumberOfMessagesNotVisible).unwrap_or(0),
                of(Count::ApproximateNumberOfMessagesDelayed).unwrap_or(0),
            ))
        };
        let (own, dead) =
            tokio::join!(count(&self.connection.url), count(&self.connection.dead_letters));
        let failed = |refusal: SqsError| refusal.into_port("sqs queue: depth");
        let (ready, in_flight, delayed) = own.map_err(failed)?;
        let dead = match dead {
            Ok((ready, in_flight, delayed)) => ready + in_flight + delayed,
            Err(refusal) if refusal.is_transient() => return Err(failed(refusal)),
            Err(refusal) => {
                if !self.silent_dead_letters.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error = %refusal, "dead letters counted as none: the dead-letter queue may not be asked; allow sqs:GetQueueAttributes on it");
                }
                0
            }
        };
        Ok(Depth { ready, in_flight, delayed, dead, oldest: None })
    }
}
