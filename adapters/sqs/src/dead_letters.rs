//! Messages on the dead-letter queue: listed, and put back.
//!
//! SQS moves dead letters by itself only as a whole (`StartMessageMoveTask`), and with them the count of receives that is
//! in our attributes. So each is received, sent to the queue anew, and then deleted.

use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Attribute};
use futures::future::join_all;
use lobar_core::failure::PortError;
use lobar_core::queue::DeadLetter;
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

use super::QueueInner;
use super::batch::MOST;
use super::error::SqsError;
use super::message::{self, MessageAttributes};

const LIST: &str = "sqs queue: dead letters";
const REDRIVE: &str = "sqs queue: redrive";
/// How long those that are looked at are hidden from others who look.
const HIDDEN: Duration = Duration::from_secs(60);
/// A poll that waits asks every server of SQS; one that does not asks some.
const POLL: Duration = Duration::from_secs(1);

/// A message on the dead-letter queue, hidden from others.
struct Held {
    id: String,
    handle: String,
    letter: DeadLetter,
    group: Option<String>,
}

impl QueueInner {
    /// Up to `max` dead letters, the oldest of them first. They can be received again when this returns.
    pub(super) async fn list_dead(&self, max: usize) -> Result<Vec<DeadLetter>, PortError> {
        let held = self.hold_dead(max).await.map_err(|refusal| refusal.into_port(LIST))?;
        self.show_dead(held.iter().map(|one| one.handle.clone())).await;
        let mut letters: Vec<DeadLetter> = held.into_iter().map(|one| one.letter).collect();
        letters.sort_by_key(|letter| letter.sent_at);
        Ok(letters)
    }

    /// Puts up to `max` dead letters back; how many.
    pub(super) async fn redrive(&self, max: usize) -> Result<usize, PortError> {
        let held = self.hold_dead(max).await.map_err(|refusal| refusal.into_port(REDRIVE))?;
        let again = held.iter().map(|one| {
            let letter = &one.letter;
            let notes = MessageAttributes {
                sent_at: Some(letter.sent_at),
                trace: letter.trace,
                ..MessageAttributes::default()
            };
            (message::encode(&letter.body, &notes), one.group.clone())
        });
        let sent = self.send_encoded(again.collect()).await;
        let (mut back, mut left, mut failed) = (Vec::new(), Vec::new(), None);
        for (one, sent) in held.into_iter().zip(sent) {
            match sent {
                Ok(()) => back.push(one.handle),
                Err(refusal) => {
                    left.push(one.handle);
                    failed = Some(refusal);
                }
            }
        }
        self.show_dead(left.into_iter()).await;
        let deletes = back.into_iter().map(|handle| async {
            let clients = &self.connection.clients;
            let ask = clients.patient.delete_message().queue_url(&self.connection.dead_letters);
            clients.call(ask.receipt_handle(handle).send()).await
        });
        let mut redriven = 0;
        for deleted in join_all(deletes).await {
            match deleted {
                Ok(_) => redriven += 1,
                Err(refusal) => failed = Some(refusal),
            }
        }
        failed.map_or(Ok(redriven), |refusal| Err(refusal.into_port(REDRIVE)))
    }

    /// Receives up to `max`, each once.
    async fn hold_dead(&self, max: usize) -> Result<Vec<Held>, SqsError> {
        let mut held: Vec<Held> = Vec::new();
        while held.len() < max {
            let got = match self.poll_dead((max - held.len()).min(MOST)).await {
                Ok(got) => got,
                Err(refusal) => {
                    self.show_dead(held.into_iter().map(|one| one.handle)).await;
                    return Err(refusal);
                }
            };
            // Nothing, or what was hidden and shows itself again: all have been seen.
            let before = held.len();
            for message in &got {
                let Some(one) = self.read_dead(message) else { continue };
                match held.iter_mut().find(|known| known.id == one.id) {
                    Some(known) => *known = one,
                    None => held.push(one),
                }
            }
            if held.len() == before {
                break;
            }
        }
        Ok(held)
    }

    async fn poll_dead(&self, most: usize) -> Result<Vec<Message>, SqsError> {
        let clients = &self.connection.clients;
        let ask = clients
            .polling
            .receive_message()
            .queue_url(&self.connection.dead_letters)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .wait_time_seconds(i32::try_from(POLL.as_secs()).unwrap_or(1))
            .visibility_timeout(i32::try_from(HIDDEN.as_secs()).unwrap_or(60))
            .message_system_attribute_names(Attribute::SentTimestamp)
            .message_system_attribute_names(Attribute::MessageGroupId)
            .message_attribute_names(message::OURS)
            .message_attribute_names(TraceContext::HEADER);
        Ok(clients.call(ask.send()).await?.messages.unwrap_or_default())
    }

    /// `None` for a message without an id or a receipt, which SQS does not send.
    fn read_dead(&self, message: &Message) -> Option<Held> {
        let (body, notes) = message::decode(message);
        let said = |name: Attribute| message.attributes()?.get(&name);
        let sent = said(Attribute::SentTimestamp)
            .and_then(|millis| millis.parse::<i64>().ok()?.checked_mul(1_000));
        let sent_at = notes.sent_at.or(sent.map(Stamp)).unwrap_or_else(|| self.clock.now());
        let letter = DeadLetter { body, reason: notes.reason, sent_at, trace: notes.trace };
        Some(Held {
            id: message.message_id()?.to_owned(),
            handle: message.receipt_handle()?.to_owned(),
            letter,
            group: said(Attribute::MessageGroupId).cloned(),
        })
    }

    /// Lets others see them again at once; else that happens by itself.
    async fn show_dead(&self, handles: impl Iterator<Item = String>) {
        let shows = handles.map(|handle| async {
            let clients = &self.connection.clients;
            let ask = clients.patient.change_message_visibility();
            let ask = ask.queue_url(&self.connection.dead_letters).receipt_handle(handle);
            clients.call(ask.visibility_timeout(0).send()).await
        });
        for shown in join_all(shows).await {
            if let Err(refusal) = shown {
                tracing::debug!(error = %refusal, "a dead letter stays hidden for a minute after it was looked at");
            }
        }
    }
}
