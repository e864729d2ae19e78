//! Sending: new messages, and copies of received ones.

use std::time::Duration;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use bytes::Bytes;
use lobar_core::failure::PortError;
use lobar_core::queue::Outgoing;
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

use super::QueueInner;
use super::batch::{self, BatchEntry, BatchResponse, RELAXED_RETRY};
use super::error::SqsError;
use super::leases::Lease;
use super::message::{self, EncodedMessage, MessageAttributes};
use super::seconds::seconds;

const SEND: &str = "sqs queue: send";
/// The longest that SQS delays a message. A longer delay is told in an attribute, and a receive sends
/// the message around once more.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// A received message about to be sent anew in its own place.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) body: Bytes,
    /// Receives that count, those of the copy not included.
    pub(super) count: u32,
    pub(super) sent_at: Stamp,
    pub(super) due: Option<Stamp>,
    pub(super) reason: Option<String>,
    pub(super) trace: Option<TraceContext>,
    pub(super) group: Option<String>,
}

impl Copy {
    /// As if it had not been received this time.
    pub(super) fn of(held: &Lease) -> Self {
        Self {
            body: held.body.clone(),
            count: held.count.saturating_sub(1),
            sent_at: held.sent_at,
            due: None,
            reason: None,
            trace: held.trace,
            group: held.group.clone(),
        }
    }
}

#[derive(Clone)]
struct Entry {
    wire: EncodedMessage,
    delay: i32,
    /// Its message group: on a standard queue, whose fair share it takes.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>
    group: Option<String>,
}

impl QueueInner {
    pub(super) async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>> {
        let entries = messages.into_iter().map(|message| {
            let long = message.delay > LONGEST_DELAY;
            let due = long.then(|| self.clock.now().plus(message.delay));
            let notes =
                MessageAttributes { due, trace: message.trace, ..MessageAttributes::default() };
            let wire = message::encode(&message.body, &notes);
            Entry { wire, delay: delay(message.delay), group: message.group }
        });
        let sent = self.send_entries(&self.connection.url, entries.collect()).await;
        sent.into_iter().map(|sent| sent.map_err(|refusal| refusal.into_port(SEND))).collect()
    }

    /// Sends messages that are encoded already, of their groups, to be received at once.
    pub(super) async fn send_encoded(
        &self,
        messages: Vec<(EncodedMessage, Option<String>)>,
    ) -> Vec<Result<(), SqsError>> {
        let entries = messages.into_iter().map(|(wire, group)| Entry { wire, delay: 0, group });
        self.send_entries(&self.connection.url, entries.collect()).await
    }

    /// Sends each copy to `url`, then deletes what it is a copy of. A failure to delete is told too:
    /// there are two of them then, of which a receiver must expect any number.
    pub(super) async fn replace(
        &self,
        copies: Vec<(Lease, Copy)>,
        url: &str,
    ) -> Vec<Result<(), SqsError>> {
        let now = self.clock.now();
        let (originals, entries): (Vec<Lease>, Vec<Entry>) = copies
            .into_iter()
            .map(|(held, copy)| {
                let notes = MessageAttributes {
                    count: copy.count,
                    sent_at: Some(copy.sent_at),
                    due: copy.due,
                    reason: copy.reason,
                    trace: copy.trace,
                };
                let left = copy.due.map_or(Duration::ZERO, |due| due.since(now));
                let wire = message::encode(&copy.body, &notes);
                (held, Entry { wire, delay: delay(left), group: copy.group })
            })
            .unzip();
        let mut results = self.send_entries(url, entries).await;
        let sent: Vec<usize> = (0..results.len()).filter(|at| results[*at].is_ok()).collect();
        let handles = sent.iter().map(|at| originals[*at].handle.clone()).collect();
        for (at, deleted) in sent.into_iter().zip(self.delete(handles).await) {
            results[at] = deleted;
        }
        results
    }

    async fn send_entries(&self, url: &str, entries: Vec<Entry>) -> Vec<Result<(), SqsError>> {
        let largest = self.connection.largest;
        let mut results: Vec<Result<(), SqsError>> = entries
            .iter()
            .map(|entry| match entry.wire.size {
                size if size > largest => Err(SqsError::TooLarge { size, largest }),
                _ => Ok(()),
            })
            .collect();
        let fitting = entries.into_iter().filter(|entry| entry.wire.size <= largest).collect();
        let room = self.connection.largest_batch;
        let calls =
            batch::each(fitting, (room, |entry: &Entry| entry.wire.size), RELAXED_RETRY, |call| {
                self.send_call(url, call)
            });
        let mut sent = calls.await.into_iter();
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            *result = sent.next().unwrap_or(Err(SqsError::Unanswered));
        }
        results
    }

    async fn send_call(
        &self,
        url: &str,
        entries: Vec<BatchEntry<Entry>>,
    ) -> Result<BatchResponse, SqsError> {
        let entries = entries.into_iter().map(|(id, entry)| {
            SendMessageBatchRequestEntry::builder()
                .id(id)
                .message_body(entry.wire.body)
                // Said even when zero: a queue may have a delay of its own.
                .delay_seconds(entry.delay)
                .set_message_attributes(entry.wire.attributes)
                .set_message_group_id(entry.group)
                .build()
                .map_err(|_| SqsError::Unbuildable)
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let clients = &self.connection.clients;
        let ask = clients.patient.send_message_batch().queue_url(url).set_entries(Some(entries));
        let answer = clients.call(ask.send()).await?;
        Ok(BatchResponse::new(answer.successful().iter().map(|one| one.id()), answer.failed()))
    }
}

fn delay(wanted: Duration) -> i32 {
    seconds(wanted, (0, LONGEST_DELAY.as_secs()))
}
