//! State of one queue's consumer: prefetched deliveries and leases. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use lobar_core::queue::Receipt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::envelope::Envelope;
use super::error::BrokerError;

/// After this long, a message goes back whatever its receiver wants: the broker would close the channel
/// after 30 minutes (its `consumer_timeout`), and with it all other leases would be lost.
pub(super) const MAX_LEASE: Duration = Duration::from_secs(25 * 60);

/// A message that arrived.
#[derive(Debug)]
pub(super) struct BufferedDelivery {
    pub(super) tag: u64,
    pub(super) envelope: Envelope,
    pub(super) at: Instant,
}

#[derive(Debug)]
struct Lease {
    envelope: Envelope,
    deadline: Instant,
    /// When it ends however often it is extended.
    end: Instant,
    /// Somebody is settling it: it does not run out.
    settling: bool,
}

/// Answers of the broker's channel that are to be written.
#[derive(Debug, Default)]
pub(super) struct PendingAcks {
    pub(super) done: BTreeSet<u64>,
    pub(super) back: BTreeSet<u64>,
    /// Told when both are written.
    pub(super) told: Vec<oneshot::Sender<()>>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct ConsumerState {
    /// A number that no other channel has; 0 when there is none.
    session: u64,
    /// Received first.
    again: VecDeque<BufferedDelivery>,
    main: VecDeque<BufferedDelivery>,
    leases: BTreeMap<u64, Lease>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// On their way to other receivers.
    returning: usize,
    outbox: PendingAcks,
    /// Asked for by receivers that wait.
    demand: usize,
    waiting: usize,
    /// When somebody last asked, and for how much.
    asked: Option<(Instant, usize)>,
    /// When a receiver last took or settled something.
    active: Option<Instant>,
    /// How often connecting has failed, and how it did last.
    troubles: u64,
    trouble: Option<BrokerError>,
}

impl ConsumerState {
    /// A channel was opened.
    pub(super) fn begin(&mut self, session: u64) {
        self.end();
        self.session = session;
        self.trouble = None;
    }

    /// The channel is gone, and all that was held with it.
    pub(super) fn end(&mut self) {
        self.session = 0;
        self.again.clear();
        self.main.clear();
        self.leases.clear();
        self.deadlines.clear();
        self.returning = 0;
        // Dropped: whoever waits for an answer learns that there is none.
        self.outbox = PendingAcks::default();
    }

    /// No channel could be opened.
    pub(super) fn fail(&mut self, fault: BrokerError) {
        self.troubles += 1;
        self.trouble = Some(fault);
    }

    pub(super) fn troubles(&self) -> u64 {
        self.troubles
    }

    pub(super) fn trouble(&self) -> Option<BrokerError> {
        self.trouble.clone()
    }

    pub(super) fn session(&self) -> u64 {
        self.session
    }

    /// A receiver begins to wait.
    pub(super) fn ask(&mut self, max: usize, now: Instant) {
        self.demand += max;
        self.waiting += 1;
        self.asked = Some((now, max));
    }

    /// A receiver does not wait any longer.
    pub(super) fn asked_enough(&mut self, max: usize, now: Instant) {
        self.demand -= max;
        self.waiting -= 1;
        self.active = Some(now);
    }

    /// What receivers wait for, or waited for less than `recent` ago.
    pub(super) fn wanted(&self, now: Instant, recent: Duration) -> usize {
        let lately = self.asked.filter(|(at, _)| now < *at + recent).map_or(0, |(_, max)| max);
        if self.waiting > 0 { self.demand } else { lately }
    }

    /// How many messages with tags from `first` on may be with us at once, so that everyone who waits is
    /// served.
    pub(super) fn need(&self, wanted: usize, first: u64) -> usize {
        self.leases.range(first..).count() + wanted
    }

    /// When the last receiver went away, or last did something.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.active.filter(|_| self.waiting == 0)
    }

    pub(super) fn arrive(&mut self, arrived: BufferedDelivery, again: bool) {
        if again { &mut self.again } else { &mut self.main }.push_back(arrived);
    }

    pub(super) fn buffered(&self) -> usize {
        self.again.len() + self.main.len() + self.returning
    }

    pub(super) fn leased(&self) -> usize {
        self.leases.len()
    }

    /// All that is with us.
    pub(super) fn held(&self) -> usize {
        self.buffered() + self.leased()
    }

    /// Hands over up to `max` messages.
    pub(super) fn take(
        &mut self,
        max: usize,
        lease: Duration,
        now: Instant,
    ) -> Vec<(Receipt, Envelope)> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let next = self.again.pop_front().or_else(|| self.main.pop_front());
            let Some(BufferedDelivery { tag, envelope, at }) = next else { break };
            let end = at + MAX_LEASE;
            let deadline = later(now, lease).min(end);
            self.deadlines.insert((deadline, tag));
            let kept = Lease { envelope: envelope.clone(), deadline, end, settling: false };
            self.leases.insert(tag, kept);
            taken.push((self.receipt(tag), envelope));
        }
        taken
    }

    fn receipt(&self, tag: u64) -> Receipt {
        Receipt(format!("{:016x}.{tag}", self.session))
    }

    fn tag(&self, receipt: &Receipt) -> Option<u64> {
        let (session, tag) = receipt.0.split_once('.')?;
        let session = u64::from_str_radix(session, 16).ok()?;
        if session == 0 || session != self.session { None } else { tag.parse().ok() }
    }

    /// Moves a deadline; false when the lease is lost.
    pub(super) fn extend(&mut self, receipt: &Receipt, lease: Duration, now: Instant) -> bool {
        let Some(tag) = self.tag(receipt) else { return false };
        let Some(kept) = self.leases.get_mut(&tag) else { return false };
        if kept.settling || kept.deadline <= now {
            return false;
        }
        self.deadlines.remove(&(kept.deadline, tag));
        kept.deadline = later(now, lease).min(kept.end);
        self.deadlines.insert((kept.deadline, tag));
        true
    }

    /// Begins to settle: the lease does not run out until that ends in one way or another. `None` when it
    /// is lost.
    pub(super) fn start_settling(
        &mut self,
        receipt: &Receipt,
        now: Instant,
    ) -> Option<(u64, Envelope)> {
        let tag = self.tag(receipt)?;
        let kept = self.leases.get_mut(&tag)?;
        if kept.settling || kept.deadline <= now {
            return None;
        }
        kept.settling = true;
        self.deadlines.remove(&(kept.deadline, tag));
        Some((tag, kept.envelope.clone()))
    }

    /// Settling did not succeed: the lease goes on, or runs out.
    pub(super) fn stop_settling(&mut self, session: u64, tag: u64) {
        if session == self.session
            && let Some(kept) = self.leases.get_mut(&tag)
            && kept.settling
        {
            kept.settling = false;
            self.deadlines.insert((kept.deadline, tag));
        }
    }

    /// What follows is durable: the messages can be forgotten. `None` when the channel is gone.
    pub(super) fn forget(
        &mut self,
        session: u64,
        tags: &[u64],
        now: Instant,
    ) -> Option<oneshot::Receiver<()>> {
        if session != self.session {
            return None;
        }
        for tag in tags {
            if let Some(kept) = self.leases.remove(tag) {
                self.deadlines.remove(&(kept.deadline, *tag));
            }
            self.outbox.done.insert(*tag);
        }
        self.active = Some(now);
        let (tell, told) = oneshot::channel();
        self.outbox.told.push(tell);
        Some(told)
    }

    /// Gives back every lease that ran out.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((deadline, tag)) = self.deadlines.first().copied() {
            if deadline > now {
                return;
            }
            self.deadlines.pop_first();
            self.leases.remove(&tag);
            self.outbox.back.insert(tag);
        }
    }

    /// Gives back messages that the broker knows as ours and we do not.
    pub(super) fn disown(&mut self, tags: impl IntoIterator<Item = u64>) {
        self.outbox.back.extend(tags);
    }

    /// When the next lease runs out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes what nobody asked for, to give it to others.
    pub(super) fn give_up(&mut self) -> Vec<BufferedDelivery> {
        let unasked: Vec<_> = self.again.drain(..).chain(self.main.drain(..)).collect();
        self.returning += unasked.len();
        unasked
    }

    /// They are with others, or on their way without our doing: `kept` were stored anew, `back` were not.
    pub(super) fn given_up(&mut self, session: u64, kept: &[u64], back: &[u64]) {
        if session == self.session {
            self.returning -= kept.len() + back.len();
            self.outbox.done.extend(kept);
            self.outbox.back.extend(back);
        }
    }

    /// A message whose delay is longer than the ladder goes down it again: nobody sees it.
    pub(super) fn pass_on(&mut self) {
        self.returning += 1;
    }

    pub(super) fn take_pending_acks(&mut self) -> PendingAcks {
        std::mem::take(&mut self.outbox)
    }

    /// Whether nothing is held.
    pub(super) fn is_clear(&self) -> bool {
        self.leases.is_empty()
            && self.buffered() == 0
            && self.outbox.done.is_empty()
            && self.outbox.back.is_empty()
    }
}

fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now + MAX_LEASE)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lobar_core::time::Stamp;

    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn desk_with(count: u64, now: Instant) -> ConsumerState {
        let mut desk = ConsumerState::default();
        desk.begin(7);
        for tag in 1..=count {
            let envelope = Envelope::new(Bytes::from(tag.to_string()), Stamp(0), None);
            desk.arrive(BufferedDelivery { tag, envelope, at: now }, tag % 2 == 0);
        }
        desk
    }

    fn receipts(taken: &[(Receipt, Envelope)]) -> Vec<Receipt> {
        taken.iter().map(|(receipt, _)| receipt.clone()).collect()
    }

    #[test]
    fn what_came_back_is_handed_over_first() {
        let now = Instant::now();
        let taken = desk_with(4, now).take(3, LEASE, now);
        let bodies: Vec<_> = taken.iter().map(|(_, envelope)| &envelope.body[..]).collect();
        assert_eq!(bodies, [&b"2"[..], b"4", b"1"]);
    }

    #[test]
    fn a_lease_that_runs_out_goes_back_once() {
        let now = Instant::now();
        let mut desk = desk_with(2, now);
        let kept = receipts(&desk.take(2, LEASE, now));
        assert!(desk.extend(&kept[0], LEASE * 3, now));
        assert_eq!(desk.next_deadline(), Some(now + LEASE));
        desk.expire(now + LEASE);
        assert_eq!(desk.take_pending_acks().back.len(), 1);
        assert!(!desk.extend(&kept[1], LEASE, now), "it is lost");
        assert!(desk.start_settling(&kept[1], now).is_none());
        desk.expire(now + LEASE);
        assert!(desk.take_pending_acks().back.is_empty());
        assert_eq!(desk.leased(), 1);
    }

    #[test]
    fn a_lease_in_settlement_does_not_run_out_until_that_fails() {
        let now = Instant::now();
        let mut desk = desk_with(1, now);
        let receipt = receipts(&desk.take(1, LEASE, now)).remove(0);
        let (tag, _) = desk.start_settling(&receipt, now).expect("held");
        assert!(desk.start_settling(&receipt, now).is_none(), "named twice");
        desk.expire(now + LEASE * 2);
        assert!(desk.take_pending_acks().back.is_empty());
        desk.stop_settling(7, tag);
        desk.expire(now + LEASE * 2);
        assert!(desk.take_pending_acks().back.contains(&tag));
    }

    #[test]
    fn no_lease_is_longer_than_the_broker_waits() {
        let now = Instant::now();
        let mut desk = desk_with(1, now);
        let receipt = receipts(&desk.take(1, LEASE, now)).remove(0);
        let mut at = now;
        while at + LEASE < now + MAX_LEASE {
            at += LEASE / 2;
            assert!(desk.extend(&receipt, LEASE, at));
        }
        assert!(desk.next_deadline() <= Some(now + MAX_LEASE));
        desk.expire(now + MAX_LEASE);
        assert_eq!(desk.leased(), 0);
    }

    #[test]
    fn a_receipt_of_another_channel_is_worth_nothing() {
        let now = Instant::now();
        let mut desk = desk_with(1, now);
        let receipt = receipts(&desk.take(1, LEASE, now)).remove(0);
        desk.begin(8);
        assert!(!desk.extend(&receipt, LEASE, now));
        assert!(desk.forget(7, &[1], now).is_none());
        for receipt in ["", ".", "8", "8.", "zz.1", "0000000000000000.1"] {
            assert!(desk.start_settling(&Receipt(receipt.into()), now).is_none(), "{receipt}");
        }
    }
}
