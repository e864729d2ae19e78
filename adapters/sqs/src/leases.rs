//! Leases held by this process. Pure: the caller passes the time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lobar_core::queue::Receipt;
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

/// A message on lease, with what giving it back takes.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    /// The message's id, which stays the same from receive to receive.
    pub(super) id: String,
    /// SQS's receipt, which does not.
    pub(super) handle: String,
    /// Its content.
    pub(super) body: Bytes,
    /// Receives, this one included.
    pub(super) count: u32,
    /// When it was first sent.
    pub(super) sent_at: Stamp,
    /// What the work on it continues.
    pub(super) trace: Option<TraceContext>,
    /// Its message group.
    pub(super) group: Option<String>,
    /// When the request that brought it began.
    pub(super) received: Instant,
    /// When its lease ends.
    pub(super) deadline: Instant,
}

/// Tells a receipt from a later one of the same message.
type Generation = u64;

/// Which leases are held, by message.
#[derive(Default)]
pub(super) struct Leases(Mutex<Table>);

struct Table {
    held: HashMap<String, (Generation, Lease)>,
    last: Generation,
}

impl Default for Table {
    fn default() -> Self {
        // So that the receipts of one table mean nothing to another.
        Self { held: HashMap::new(), last: Generation::from(rand::random::<u32>()) << 32 }
    }
}

impl Leases {
    /// Takes note of a received message. An earlier receipt of it is lost from now on, since SQS has
    /// replaced its handle.
    pub(super) fn hold(&self, held: Lease) -> Receipt {
        let mut table = self.lock();
        table.last += 1;
        let generation = table.last;
        let receipt = Receipt(format!("{generation}.{}", held.id));
        table.held.insert(held.id.clone(), (generation, held));
        receipt
    }

    /// The lease of a receipt, while it is held.
    pub(super) fn get(&self, receipt: &Receipt, now: Instant) -> Option<Lease> {
        let (generation, id) = parts(receipt)?;
        let table = self.lock();
        let (current, held) = table.held.get(id)?;
        (*current == generation && now < held.deadline).then(|| held.clone())
    }

    /// Moves the end of a lease.
    pub(super) fn extend(&self, receipt: &Receipt, deadline: Instant) {
        let Some((generation, id)) = parts(receipt) else { return };
        if let Some((current, held)) = self.lock().held.get_mut(id)
            && *current == generation
        {
            held.deadline = deadline;
        }
    }

    /// Ends a lease that is held, and says what it was.
    pub(super) fn take(&self, receipt: &Receipt, now: Instant) -> Option<Lease> {
        let held = self.get(receipt, now)?;
        self.lock().held.remove(&held.id);
        Some(held)
    }

    /// Takes back the end of a lease: its settlement failed, and may be tried again.
    pub(super) fn restore(&self, receipt: &Receipt, held: Lease) {
        let Some((generation, id)) = parts(receipt) else { return };
        self.lock().held.entry(id.to_owned()).or_insert((generation, held));
    }

    /// Forgets the leases that have ended.
    pub(super) fn forget_ended(&self, now: Instant) {
        self.lock().held.retain(|_, (_, held)| now < held.deadline);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// What is left of the longest time that SQS keeps one lease.
    pub(super) fn left(&self, longest: Duration, now: Instant) -> Duration {
        longest.saturating_sub(now.saturating_duration_since(self.received))
    }
}

fn parts(receipt: &Receipt) -> Option<(Generation, &str)> {
    let (generation, id) = receipt.0.split_once('.')?;
    Some((generation.parse().ok()?, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn held(id: &str, handle: &str, received: Instant) -> Lease {
        Lease {
            id: id.to_owned(),
            handle: handle.to_owned(),
            body: Bytes::from_static(b"body"),
            count: 1,
            sent_at: Stamp(0),
            trace: None,
            group: None,
            received,
            deadline: received + LEASE,
        }
    }

    #[test]
    fn a_lease_is_held_until_its_deadline_and_no_longer() {
        let (receipts, start) = (Leases::default(), Instant::now());
        let receipt = receipts.hold(held("m", "h", start));
        assert!(receipts.get(&receipt, start + LEASE - Duration::from_millis(1)).is_some());
        assert!(receipts.get(&receipt, start + LEASE).is_none());
        receipts.extend(&receipt, start + LEASE * 2);
        assert!(receipts.get(&receipt, start + LEASE).is_some());
        receipts.forget_ended(start + LEASE * 2);
        assert!(receipts.get(&receipt, start).is_none());
    }

    #[test]
    fn a_message_received_again_makes_its_older_receipt_void() {
        let (receipts, start) = (Leases::default(), Instant::now());
        let older = receipts.hold(held("m", "h1", start));
        let newer = receipts.hold(held("m", "h2", start));
        assert!(receipts.get(&older, start).is_none());
        assert!(receipts.take(&older, start).is_none());
        receipts.extend(&older, start + LEASE * 9);
        assert_eq!(receipts.take(&newer, start).map(|held| held.handle), Some("h2".to_owned()));
        assert!(receipts.take(&newer, start).is_none(), "settled before");
    }

    #[test]
    fn a_settlement_that_failed_may_be_tried_again_unless_the_message_came_anew() {
        let (receipts, start) = (Leases::default(), Instant::now());
        let receipt = receipts.hold(held("m", "h1", start));
        let taken = receipts.take(&receipt, start).expect("held");
        receipts.restore(&receipt, taken.clone());
        assert!(receipts.take(&receipt, start).is_some());
        let newer = receipts.hold(held("m", "h2", start));
        receipts.restore(&receipt, taken);
        assert!(receipts.get(&receipt, start).is_none());
        assert!(receipts.get(&newer, start).is_some());
    }

    #[test]
    fn a_receipt_of_nobody_is_lost() {
        let receipts = Leases::default();
        for text in ["", "never given out", "1.m", "x.m"] {
            assert!(receipts.get(&Receipt(text.into()), Instant::now()).is_none());
        }
    }

    #[test]
    fn the_longest_lease_counts_from_the_receive() {
        let start = Instant::now();
        let one = held("m", "h", start);
        let longest = Duration::from_secs(100);
        assert_eq!(one.left(longest, start + LEASE), Duration::from_secs(70));
        assert_eq!(one.left(longest, start + LEASE * 9), Duration::ZERO);
    }
}
