//! One queue of the port.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use lobar_core::failure::PortError;
use lobar_core::queue::{
    DeadLetter, Delivery, Depth, LeaseError, Outgoing, Queue, Receipt, Settlement,
};
use lobar_core::time::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::consumer_channel::count;
use super::consumer_state::ConsumerState;
use super::dead_letters;
use super::envelope::Envelope;
use super::error::BrokerError;
use super::publisher::Publisher;
use super::recovering_connection::{Purpose, RecoveringConnection};
use super::settle;
use super::topology::Topology;

/// What the port and the task behind it share.
pub(super) struct QueueInner {
    pub(super) topology: Topology,
    pub(super) consume: Arc<RecoveringConnection>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    desk: Mutex<ConsumerState>,
    /// Rung when the task has something to do.
    pub(super) bell: Notify,
    /// Rung when receivers have something to look at.
    pub(super) arrivals: Notify,
    /// A channel for counting, with the generation of its connection.
    counting: tokio::sync::Mutex<Option<(u64, Channel)>>,
}

impl QueueInner {
    pub(super) fn new(
        topology: Topology,
        (publisher, consume): (Arc<Publisher>, Arc<RecoveringConnection>),
        clock: Arc<dyn Clock>,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> Self {
        Self {
            topology,
            consume,
            publisher,
            clock,
            tasks,
            stop,
            desk: Mutex::default(),
            bell: Notify::new(),
            arrivals: Notify::new(),
            counting: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, ConsumerState> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let started = Instant::now();
        let asking = DemandGuard::new(self, max);
        let troubles = self.desk().troubles();
        loop {
            let mut rung = std::pin::pin!(self.arrivals.notified());
            rung.as_mut().enable();
            {
                let mut desk = self.desk();
                let taken = desk.take(max, lease, Instant::now());
                if !taken.is_empty() {
                    drop(desk);
                    drop(asking);
                    return Ok(taken.into_iter().map(delivery).collect());
                }
                if desk.troubles() != troubles
                    && let Some(fault) = desk.trouble()
                {
                    return Err(fault);
                }
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                // Silence means an empty queue only where somebody listens.
                return self.desk().trouble().map_or(Ok(Vec::new()), Err);
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    async fn count(&self) -> Result<Depth, BrokerError> {
        let line = self.consume.line().await?;
        let mut counting = self.counting.lock().await;
        let kept = counting.take().filter(|(generation, channel)| {
            *generation == line.generation && channel.status().connected()
        });
        let channel = match kept {
            Some((_, channel)) => channel,
            None => line.channel().await?,
        };
        self.topology.declare(&channel, Purpose::Consume as usize, line.generation).await?;
        let rungs: Vec<String> = self.topology.rungs().collect();
        let names = [self.topology.main.as_str(), &self.topology.again, &self.topology.dead];
        let counted =
            count(&channel, names.into_iter().chain(rungs.iter().map(String::as_str))).await;
        let counts = match counted {
            Ok(counts) => counts,
            Err(fault) => {
                self.topology.is_missing();
                return Err(fault);
            }
        };
        *counting = Some((line.generation, channel));
        let (waiting, delayed) = counts.split_at(3);
        let desk = self.desk();
        Ok(Depth {
            ready: waiting[0] + waiting[1] + desk.buffered() as u64,
            in_flight: desk.leased() as u64,
            delayed: delayed.iter().sum(),
            dead: waiting[2],
            oldest: None,
        })
    }
}

fn delivery((receipt, envelope): (Receipt, Envelope)) -> Delivery {
    Delivery {
        receipt,
        receive_count: envelope.received.saturating_add(1),
        sent_at: envelope.sent_at,
        trace: envelope.trace,
        body: envelope.body,
    }
}

/// A receiver that waits; dropping it ends that.
struct DemandGuard<'a> {
    lane: &'a QueueInner,
    max: usize,
}

impl<'a> DemandGuard<'a> {
    fn new(lane: &'a QueueInner, max: usize) -> Self {
        lane.desk().ask(max, Instant::now());
        lane.bell.notify_one();
        Self { lane, max }
    }
}

impl Drop for DemandGuard<'_> {
    fn drop(&mut self) {
        self.lane.desk().asked_enough(self.max, Instant::now());
        self.lane.bell.notify_one();
    }
}

/// A queue on RabbitMQ.
pub struct RabbitQueue(pub(super) Arc<QueueInner>);

#[async_trait]
impl Queue for RabbitQueue {
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>> {
        let lane = &self.0;
        let now = lane.clock.now();
        // A queue of RabbitMQ knows no groups: it is first in, first out.
        let batch = messages.into_iter().map(|Outgoing { body, delay, trace, group: _ }| {
            let envelope = Envelope::new(body, now, trace);
            if delay.is_zero() {
                envelope.first(&lane.topology)
            } else {
                envelope.later(&lane.topology, delay)
            }
        });
        let sent = lane.publisher.publish(&lane.topology, batch.collect()).await;
        let during = |fault: BrokerError| fault.during("rabbitmq queue: send");
        sent.into_iter().map(|one| one.map_err(during)).collect()
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, PortError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let taken = self.0.take(max, wait, lease).await;
        taken.map_err(|fault| fault.during("rabbitmq queue: receive"))
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<(), LeaseError>> {
        let now = Instant::now();
        let mut desk = self.0.desk();
        let extended = receipts
            .iter()
            .map(|receipt| desk.extend(receipt, lease, now).then_some(()).ok_or(LeaseError::Lost));
        let answers = extended.collect();
        drop(desk);
        self.0.bell.notify_one();
        answers
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) -> Vec<Result<(), LeaseError>> {
        settle::settle(&self.0, settlements).await
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, PortError> {
        let listed = dead_letters::list(&self.0, max).await;
        listed.map_err(|fault| fault.during("rabbitmq queue: dead letters"))
    }

    async fn redrive(&self, max: usize) -> Result<usize, PortError> {
        let moved = dead_letters::redrive(&self.0, max).await;
        moved.map_err(|fault| fault.during("rabbitmq queue: redrive"))
    }

    async fn depth(&self) -> Result<Depth, PortError> {
        self.0.count().await.map_err(|fault| fault.during("rabbitmq queue: depth"))
    }
}
