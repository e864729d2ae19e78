//! Messages that were put aside: listed, and put back.
//!
//! Each is taken off the queue `NAME.dead`, a copy of it is confirmed, and only then is it acknowledged: giving it back
//! would count as a delivery, and RabbitMQ drops what was delivered too often.

use lapin::Channel;
use lapin::message::Delivery as Delivered;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lobar_core::queue::DeadLetter;
use tokio::time::timeout;

use super::envelope::{self, Envelope};
use super::error::BrokerError;
use super::publisher::Publication;
use super::queue::QueueInner;
use super::recovering_connection::{PATIENCE, Purpose};

/// Up to `max`, each of which goes to the end of those that are kept aside.
pub(super) async fn list(lane: &QueueInner, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
    let mut letters = Vec::new();
    let stay = |delivered: Delivered| {
        let reason = envelope::reason(&delivered);
        let envelope = Envelope::open(delivered, lane.clock.now());
        letters.push(DeadLetter {
            body: envelope.body.clone(),
            reason: reason.clone(),
            sent_at: envelope.sent_at,
            trace: envelope.trace,
        });
        envelope.aside(&lane.topology, reason.as_deref())
    };
    replace(lane, max, stay).await?;
    Ok(letters)
}

/// Puts up to `max` back, as if for the first time; how many.
pub(super) async fn redrive(lane: &QueueInner, max: usize) -> Result<usize, BrokerError> {
    let back = |delivered: Delivered| {
        let envelope = Envelope::open(delivered, lane.clock.now());
        Envelope { received: 0, ..envelope }.first(&lane.topology)
    };
    replace(lane, max, back).await
}

/// Replaces up to `max` messages that are kept aside by copies; how many. What fails stays, since the channel ends with
/// this call.
async fn replace(
    lane: &QueueInner,
    max: usize,
    mut copy: impl FnMut(Delivered) -> Publication,
) -> Result<usize, BrokerError> {
    let line = lane.consume.line().await?;
    let channel = line.channel().await?;
    lane.topology.declare(&channel, Purpose::Consume as usize, line.generation).await?;
    let (mut tags, mut copies) = (Vec::new(), Vec::new());
    while tags.len() < max {
        let Some(delivered) = get(&channel, &lane.topology.dead).await? else { break };
        tags.push(delivered.delivery_tag);
        copies.push(copy(delivered));
    }
    let stored = lane.publisher.publish(&lane.topology, copies).await;
    let mut replaced = 0;
    let mut failed = None;
    for (tag, stored) in tags.into_iter().zip(stored) {
        match stored {
            Ok(()) => {
                let acked = channel.basic_ack(tag, BasicAckOptions::default()).await;
                acked.map_err(|error| BrokerError::of(&error))?;
                replaced += 1;
            }
            Err(fault) => failed = Some(fault),
        }
    }
    // Its answer says that the acknowledgements before it were taken, and what is left goes back.
    let closed = timeout(PATIENCE, channel.close(200, "done".into())).await;
    closed
        .map_err(|_| BrokerError::slow("closing a channel"))?
        .map_err(|error| BrokerError::of(&error))?;
    failed.map_or(Ok(replaced), Err)
}

async fn get(channel: &Channel, queue: &str) -> Result<Option<Delivered>, BrokerError> {
    let got = channel.basic_get(queue.into(), BasicGetOptions::default());
    let got =
        timeout(PATIENCE, got).await.map_err(|_| BrokerError::slow("reading dead letters"))?;
    Ok(got.map_err(|error| BrokerError::of(&error))?.map(|message| message.delivery))
}
