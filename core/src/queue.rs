//! The port of a message queue: durable, leased, at least once.
//!
//! One `Queue` is one queue: there is one for uploads and one per lane for jobs ([`JobQueues`]).
//! Bytes in, bytes out. What it promises, each sentence a test of the contract suite:
//!
//! - A sent message is received once while its lease is kept.
//! - A leased message is hidden until its deadline.
//! - A lease that ran out gives the message to another receiver with a higher receive count.
//! - Extending a lease moves its deadline.
//! - A lost lease can neither be extended nor settled.
//! - A done message is gone.
//! - A retried message comes back after its delay, not before.
//! - A released message comes back at once and its receive count does not grow.
//! - A dead message is kept aside with its reason and is not received again.
//! - Dead letters are listed with their reasons and stay where they are.
//! - A redriven message is received as if it had never been received before.
//! - Redriving moves no more dead letters than asked for.
//! - A trace context travels with its message through retry, release and dead letter.
//! - A delayed message is not received before its time.
//! - Every item of a batch has a result of its own.
//! - Waiting for a message ends when one is sent.
//! - An empty queue answers with nothing when the wait is over.
//! - Depth counts what is ready, in flight, delayed and dead.
//! - Messages survive closing and opening the queue.
//! - Two receivers never hold the same message.
//!
//! Messages may be of a group, such as the site that an image comes from. Brokers that can let groups take turns, so
//! that who sends few need not wait until the many of another are through (docs/adr/0051-groups-take-turns.md says which
//! can). Among the messages of one group the one sent first comes first, as far as the broker keeps an order at all.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::failure::PortError;
use crate::image::Lanes;
use crate::time::Stamp;
use crate::trace::TraceContext;

/// The job queues, one a lane.
pub type JobQueues = Lanes<Arc<dyn Queue>>;

/// A message to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its content.
    pub body: Bytes,
    /// How long it stays hidden at first.
    pub delay: Duration,
    /// What its receiver's work continues.
    pub trace: Option<TraceContext>,
    /// Among whose messages it takes its turn: at most 63 ASCII letters, digits, `.`, `_`, `-`, as the name of a site.
    /// Those without one are a group too.
    pub group: Option<String>,
}

impl Outgoing {
    /// A message that can be received at once.
    pub fn now(body: impl Into<Bytes>) -> Self {
        Self::later(body, Duration::ZERO)
    }

    /// A message that can be received after `delay`.
    pub fn later(body: impl Into<Bytes>, delay: Duration) -> Self {
        Self { body: body.into(), delay, trace: None, group: None }
    }

    /// The same message, whose receiver continues `trace`.
    pub fn traced(mut self, trace: Option<TraceContext>) -> Self {
        self.trace = trace;
        self
    }

    /// The same message, of a group.
    pub fn of_group(mut self, group: Option<String>) -> Self {
        self.group = group;
        self
    }
}

/// The right to settle one delivery, in the adapter's own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// A message on lease to its receiver.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What to settle it with.
    pub receipt: Receipt,
    /// Its content.
    pub body: Bytes,
    /// How often it has been received, this time included; released deliveries do not count.
    pub receive_count: u32,
    /// When it was first sent.
    pub sent_at: Stamp,
    /// What its sender said that the work on it continues. From outside it may be missing or another's: it
    /// decides nothing. What is no valid context is none.
    pub trace: Option<TraceContext>,
}

/// What is to become of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The work is durable elsewhere: forget the message.
    Done,
    /// It failed for now: bring it back after this long.
    Retry {
        /// How long to hide it.
        after: Duration,
    },
    /// It was not worked on: give it back at once, uncounted.
    Release,
    /// Nobody understands it: keep it aside.
    Dead {
        /// Why, in words without personal data.
        reason: String,
    },
}

/// A message that is kept aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its content.
    pub body: Bytes,
    /// Why it was put aside; `None` where the broker did it by itself, after too many receives.
    pub reason: Option<String>,
    /// When it was first sent.
    pub sent_at: Stamp,
    /// What the work on it would continue.
    pub trace: Option<TraceContext>,
}

/// How many messages there are, by what they are waiting for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Can be received now.
    pub ready: u64,
    /// On lease. Some brokers tell only of the leases of this process, some count retried messages here.
    pub in_flight: u64,
    /// Hidden by a delay.
    pub delayed: u64,
    /// Kept aside.
    pub dead: u64,
    /// When the oldest one that is ready or in flight was sent; `None` also where the broker does not
    /// tell.
    pub oldest: Option<Stamp>,
}

/// Why one delivery could not be extended or settled.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The lease ran out, or was taken by another, or was settled before.
    #[error("the lease on this message is lost")]
    Lost,
    /// The queue could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// See the module's documentation.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Makes messages durable; one result an item, in order. `Ok` is said only after the message
    /// would survive a crash.
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>>;

    /// Takes up to `max` messages on lease for `lease`, waiting up to `wait` for the first.
    /// Dropping the future loses nothing for longer than `lease`.
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, PortError>;

    /// Moves the deadline of each lease to `lease` from now; one result an item, in order.
    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<(), LeaseError>>;

    /// Ends leases; one result an item, in order.
    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) -> Vec<Result<(), LeaseError>>;

    /// Up to `max` messages that are kept aside, the oldest first as far as the broker keeps them in order. They stay
    /// dead; while a broker is asked they may be missing for another who asks.
    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, PortError>;

    /// Puts up to `max` messages that are kept aside back onto the queue; how many. A crash or an error in between may
    /// leave one of them in both places, never in none.
    async fn redrive(&self, max: usize) -> Result<usize, PortError>;

    /// How many messages there are.
    async fn depth(&self) -> Result<Depth, PortError>;
}
