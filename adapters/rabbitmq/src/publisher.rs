//! Publishing with confirms.
//!
//! A batch has a channel to itself while it is under way, so that a returned message is known to belong to
//! it; several batches run at once on several channels.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::error::BrokerError;
use super::recovering_connection::{LiveConnection, PATIENCE, Purpose, RecoveringConnection};
use super::topology::Topology;

/// How many batches are under way at once.
const CHANNELS: usize = 8;
/// How many messages of a batch are unconfirmed at once.
const WINDOW: usize = 512;
/// How long to wait for a broker that blocks publishers.
const BLOCKED: Duration = Duration::from_secs(3);
/// How often to look whether it still does.
const LOOK: Duration = Duration::from_millis(50);

/// A message with the way it is to take.
pub(super) struct Publication {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
}

/// Publishes for all queues of a broker.
pub(super) struct Publisher {
    link: Arc<RecoveringConnection>,
    /// Those that no batch has at the moment, with the generation of their connection.
    channels: Mutex<Vec<(u64, Channel)>>,
    turns: Semaphore,
}

impl Publisher {
    pub(super) fn new(link: Arc<RecoveringConnection>) -> Self {
        Self { link, channels: Mutex::default(), turns: Semaphore::new(CHANNELS) }
    }

    /// Publishes all of them; one result an item, in order. `Ok` means that the broker has it on disk.
    pub(super) async fn publish(
        &self,
        topology: &Topology,
        batch: Vec<Publication>,
    ) -> Vec<Result<(), BrokerError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let count = batch.len();
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.turns.acquire()).await else {
            return vec![Err(BrokerError::slow("waiting for other messages to be sent")); count];
        };
        let (line, channel) = match self.channel(topology).await {
            Ok(ready) => ready,
            Err(fault) => return vec![Err(fault); count],
        };
        let mut answers = Vec::with_capacity(count);
        let mut rest = batch.into_iter();
        while answers.len() < count {
            let window: Vec<_> = rest.by_ref().take(WINDOW).collect();
            let wanted = window.len();
            let mut confirmed = publish_window(&line, &channel, window).await;
            let failed = confirmed.iter().find_map(|one| one.as_ref().err().cloned());
            answers.append(&mut confirmed);
            if let Some(fault) = failed {
                if !channel.status().connected() || wanted == WINDOW {
                    // What follows would fail as well, each after a wait of its own.
                    answers.resize(count, Err(fault));
                }
                // A channel after a failure may still owe answers: it is not used again.
                topology.is_missing();
                return answers;
            }
        }
        self.lock().push((line.generation, channel));
        answers
    }

    /// A channel with confirms, on a connection where the queues are declared.
    async fn channel(&self, topology: &Topology) -> Result<(LiveConnection, Channel), BrokerError> {
        let line = self.link.line().await?;
        unblocked(&line).await?;
        if !topology.is_declared(Purpose::Publish as usize, line.generation) {
            let channel = line.channel().await?;
            let declared = topology.declare(&channel, Purpose::Publish as usize, line.generation);
            timeout(PATIENCE, declared)
                .await
                .map_err(|_| BrokerError::slow("declaring the queues"))??;
        }
        let kept = {
            let mut channels = self.lock();
            channels.retain(|(generation, channel)| {
                *generation == line.generation && channel.status().connected()
            });
            channels.pop()
        };
        if let Some((_, channel)) = kept {
            return Ok((line, channel));
        }
        let channel = line.channel().await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        let selected = timeout(PATIENCE, select).await;
        selected
            .map_err(|_| BrokerError::slow("opening a channel"))?
            .map_err(|error| BrokerError::of(&error))?;
        Ok((line, channel))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Channel)>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits a moment for the broker to take messages again.
async fn unblocked(line: &LiveConnection) -> Result<(), BrokerError> {
    let started = Instant::now();
    while line.connection.status().blocked() {
        if started.elapsed() >= BLOCKED {
            return Err(blocked());
        }
        sleep(LOOK).await;
    }
    Ok(())
}

fn blocked() -> BrokerError {
    BrokerError::transient(
        "RabbitMQ takes no messages at the moment: it is short of memory or disk (see `rabbitmqctl \
         status`, section Alarms)",
    )
}

/// Publishes, then waits for all the confirms.
async fn publish_window(
    line: &LiveConnection,
    channel: &Channel,
    window: Vec<Publication>,
) -> Vec<Result<(), BrokerError>> {
    let count = window.len();
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sending = join_all(window.iter().enumerate().map(|(place, message)| {
        // A returned message is known by its place in the batch.
        let properties = message.properties.clone().with_message_id(place.to_string().into());
        let (exchange, key) = (message.exchange.clone(), message.key.clone());
        channel.basic_publish(exchange, key, options, &message.body, properties)
    }));
    let Some(sent) = patient(line, sending).await else {
        return vec![Err(slow(line)); count];
    };
    let mut answers = Vec::with_capacity(count);
    let mut returned = HashSet::new();
    let mut overdue = false;
    for confirm in sent {
        let answer = match confirm {
            Err(error) => Err(BrokerError::of(&error)),
            Ok(_) if overdue => Err(slow(line)),
            Ok(confirm) => match patient(line, confirm).await {
                Some(confirmed) => read(confirmed, &mut returned),
                None => {
                    overdue = true;
                    Err(slow(line))
                }
            },
        };
        answers.push(answer);
    }
    for place in returned {
        if let Some(answer) = answers.get_mut(place) {
            *answer = Err(BrokerError::transient(
                "the queue is gone: somebody deleted it; it is declared anew with the next message",
            ));
        }
    }
    answers
}

fn read(
    confirmed: <PublisherConfirm as Future>::Output,
    returned: &mut HashSet<usize>,
) -> Result<(), BrokerError> {
    match confirmed {
        Ok(confirmation) => {
            let accepted = confirmation.is_ack();
            // It may be another message of the batch that is returned here.
            if let Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message)) =
                confirmation
            {
                let place = message.delivery.properties.message_id().as_ref();
                returned.extend(place.and_then(|place| place.as_str().parse::<usize>().ok()));
            }
            accepted
                .then_some(())
                .ok_or_else(|| BrokerError::transient("the queue refused the message"))
        }
        Err(error) => Err(BrokerError::of(&error)),
    }
}

/// Waits for one answer of the broker's, but not long where it has said that it takes no messages.
async fn patient<F: Future>(line: &LiveConnection, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let started = Instant::now();
    loop {
        let patience = if line.connection.status().blocked() { BLOCKED } else { PATIENCE };
        let left = patience.saturating_sub(started.elapsed());
        if left.is_zero() {
            return None;
        }
        if let Ok(answer) = timeout(left.min(Duration::from_secs(1)), &mut future).await {
            return Some(answer);
        }
    }
}

fn slow(line: &LiveConnection) -> BrokerError {
    if line.connection.status().blocked() { blocked() } else { BrokerError::slow("a confirmation") }
}
