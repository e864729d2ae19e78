//! The port of a message queue on Amazon SQS, standard queues.
//!
//! Queues are made by whoever sets up the account (docs/deploying-on-aws.md), never here; `open` refuses
//! what cannot work. How the port's promises are kept on a broker that promises less:
//!
//! - **Leases.** SQS goes on to accept the receipt of a lease that ran out until somebody else receives
//!   the message. A table of this process ([`leases`]) therefore decides which leases are held; it
//!   counts from the start of the request, so that it never believes in a lease for longer than SQS
//!   does. SQS keeps a lease for twelve hours in all: an extension beyond gives the message back and is
//!   refused.
//! - **Release.** Making a message visible again would count as a receive, and enough of them lead to
//!   the dead-letter queue. So a released message is sent anew, with its count and its first time in
//!   attributes ([`message`]), and then deleted.
//! - **Dead letters.** SQS moves by count, not on demand: a dead message is sent to the dead-letter
//!   queue with its reason, and then deleted.
//! - **A dropped receive.** A poll under way cannot be called off. It is finished, and what it brings is
//!   given back ([`SqsQueue::close`] waits for that).
//!
//! Bodies of messages hold object keys, which are personal data: no error and no log line carries one,
//! and the SDK's own log lines are dropped.

mod batch;
mod connection;
mod dead_letters;
mod error;
mod examine;
mod leases;
mod message;
mod options;
mod receive;
mod seconds;
mod send;
mod settle;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::queue::{
    DeadLetter, Delivery, Depth, LeaseError, Outgoing, Queue, Receipt, Settlement,
};
use lobar_core::time::Clock;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

pub use examine::{arn, examine};
pub use options::SqsOptions;

use connection::Connection;
use leases::Leases;

/// How long a close waits for polls under way: the longest there can be, and its answer.
const LAST_POLLS: Duration = Duration::from_secs(25);

/// See the module's documentation.
pub struct SqsQueue {
    lane: Arc<QueueInner>,
    /// Receives, which outlive those who wait for them.
    polls: TaskTracker,
}

/// What every part of the adapter needs.
struct QueueInner {
    connection: Connection,
    receipts: Leases,
    clock: Arc<dyn Clock>,
    /// How long SQS keeps one lease in all.
    longest_lease: Duration,
    /// Sending to the queue itself was refused, so that releases count.
    counting_releases: AtomicBool,
    /// The dead-letter queue does not tell how many it holds.
    silent_dead_letters: AtomicBool,
}

impl SqsQueue {
    /// Finds the queue and its dead-letter queue.
    ///
    /// # Errors
    /// Transient when SQS does not answer. Permanent, with what to do, when the queue does not exist,
    /// may not be asked, is a FIFO queue, or has no dead-letter queue.
    pub async fn open(options: SqsOptions, clock: Arc<dyn Clock>) -> Result<Self, PortError> {
        let longest_lease = options.longest_lease;
        let lane = QueueInner {
            connection: Connection::open(options).await?,
            receipts: Leases::default(),
            clock,
            longest_lease,
            counting_releases: AtomicBool::new(false),
            silent_dead_letters: AtomicBool::new(false),
        };
        Ok(Self { lane: Arc::new(lane), polls: TaskTracker::new() })
    }

    /// Waits until no poll is under way, so that nothing is received by nobody. Receive nothing more.
    pub async fn close(&self) {
        self.polls.close();
        if tokio::time::timeout(LAST_POLLS, self.polls.wait()).await.is_err() {
            tracing::warn!(
                "closed while a poll of SQS went on: what it brings stays hidden for its lease"
            );
        }
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>> {
        self.lane.send(messages).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, PortError> {
        let (give, take) = oneshot::channel();
        let lane = self.lane.clone();
        self.polls.spawn(async move {
            let received = lane.receive(max, wait, lease, || !give.is_closed()).await;
            if let Err(Ok(unwanted)) = give.send(received) {
                lane.give_back(unwanted).await;
            }
        });
        take.await.unwrap_or_else(|_| Err(PortError::transient("sqs queue: receive", "it stopped")))
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<(), LeaseError>> {
        self.lane.extend(receipts, lease).await
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) -> Vec<Result<(), LeaseError>> {
        self.lane.settle(settlements).await
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, PortError> {
        self.lane.list_dead(max).await
    }

    async fn redrive(&self, max: usize) -> Result<usize, PortError> {
        self.lane.redrive(max).await
    }

    async fn depth(&self) -> Result<Depth, PortError> {
        self.lane.depth().await
    }
}
