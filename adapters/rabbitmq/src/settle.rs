//! Settling: the copy that replaces a message is confirmed before the original is acknowledged, so
//! that a crash in between leaves two, never none.

use lobar_core::queue::{LeaseError, Receipt, Settlement};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::envelope::Envelope;
use super::publisher::Publication;
use super::queue::QueueInner;

/// Leases in settlement. Dropping it leaves the rest of them as they were.
struct Settling<'a> {
    lane: &'a QueueInner,
    session: u64,
    tags: Vec<u64>,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let mut desk = self.lane.desk();
        for tag in &self.tags {
            desk.stop_settling(self.session, *tag);
        }
        drop(desk);
        self.lane.bell.notify_one();
    }
}

/// One result an item, in order.
pub(super) async fn settle(
    lane: &QueueInner,
    settlements: Vec<(Receipt, Settlement)>,
) -> Vec<Result<(), LeaseError>> {
    let mut answers: Vec<Result<(), LeaseError>> =
        settlements.iter().map(|_| Err(LeaseError::Lost)).collect();
    let (mut done, mut copied) = (Vec::new(), Vec::new());
    let mut copies = Vec::new();
    let session = {
        let now = Instant::now();
        let mut desk = lane.desk();
        for (place, (receipt, settlement)) in settlements.into_iter().enumerate() {
            let Some((tag, envelope)) = desk.start_settling(&receipt, now) else { continue };
            match copy(lane, envelope, settlement) {
                None => done.push((place, tag)),
                Some(publication) => {
                    copied.push((place, tag));
                    copies.push(publication);
                }
            }
        }
        desk.session()
    };
    let mut settling = Settling { lane, session, tags: Vec::new() };
    settling.tags.extend(copied.iter().map(|(_, tag)| *tag));

    let forgotten = forget(lane, session, &done);
    let stored = lane.publisher.publish(&lane.topology, copies).await;
    let mut moved = Vec::new();
    for (one, stored) in copied.into_iter().zip(stored) {
        match stored {
            Ok(()) => moved.push(one),
            Err(fault) => {
                answers[one.0] = Err(fault.during("rabbitmq queue: settle").into());
            }
        }
    }
    let released = forget(lane, session, &moved);
    drop(settling);

    let parts = [(done, forgotten), (moved, released)];
    for (part, told) in parts {
        if let Some(told) = told
            && told.await.is_ok()
        {
            for (place, _) in part {
                answers[place] = Ok(());
            }
        }
    }
    answers
}

/// What takes the place of the message; `None` when nothing does.
fn copy(lane: &QueueInner, mut envelope: Envelope, settlement: Settlement) -> Option<Publication> {
    let topology = &lane.topology;
    let received = envelope.received.saturating_add(1);
    match settlement {
        Settlement::Done => None,
        Settlement::Release => Some(envelope.again(topology)),
        Settlement::Retry { after } => {
            envelope.received = received;
            let at_once = after.is_zero();
            Some(if at_once { envelope.again(topology) } else { envelope.later(topology, after) })
        }
        Settlement::Dead { reason } => {
            envelope.received = received;
            Some(envelope.aside(topology, Some(&reason)))
        }
    }
}

fn forget(lane: &QueueInner, session: u64, part: &[(usize, u64)]) -> Option<oneshot::Receiver<()>> {
    if part.is_empty() {
        return None;
    }
    let tags: Vec<u64> = part.iter().map(|(_, tag)| *tag).collect();
    let told = lane.desk().forget(session, &tags, Instant::now());
    lane.bell.notify_one();
    told
}
