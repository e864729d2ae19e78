//! One AMQP channel with its consumers, their prefetch and the deliveries not yet acknowledged.
//!
//! The broker pushes as many messages as all consumers together have credit for. When receivers want more,
//! another consumer is added; credit is only ever taken back by cancelling all of them. What the client
//! library drops, because it came after a cancellation, is noticed by the gap in the numbers of the
//! deliveries, and given back.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures::Stream;
use futures::future::{join_all, try_join_all};
use lapin::message::Delivery as Delivered;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use super::consumer_state::PendingAcks;
use super::error::BrokerError;
use super::recovering_connection::{PATIENCE, Purpose, RecoveringConnection};
use super::topology::Topology;

/// The most credit that one consumer is given.
const MOST: usize = 10_000;
/// How long a channel may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(super) struct ConsumerChannel {
    /// A number that no other session has.
    pub(super) id: u64,
    channel: Channel,
    consumers: Vec<Subscribed>,
    named: u32,
    /// How many messages of each queue may be with us.
    credit: usize,
    /// The first delivery of the present consumers.
    first: u64,
    /// Deliveries that were not answered yet.
    open: BTreeSet<u64>,
    /// The first delivery that was not seen yet, and later ones that were.
    expected: u64,
    ahead: BTreeSet<u64>,
}

struct Subscribed {
    consumer: Consumer,
    again: bool,
}

/// What came at once.
#[derive(Default)]
pub(super) struct Arrivals {
    /// With whether it came back.
    pub(super) delivered: Vec<(Delivered, bool)>,
    /// Numbers of deliveries that never reached us.
    pub(super) dropped: Vec<u64>,
}

impl ConsumerChannel {
    /// A channel on which the queues exist.
    pub(super) async fn open(
        link: &RecoveringConnection,
        topology: &Topology,
    ) -> Result<Self, BrokerError> {
        let line = link.line().await?;
        let channel = line.channel().await?;
        let declared = topology.declare(&channel, Purpose::Consume as usize, line.generation);
        timeout(PATIENCE, declared)
            .await
            .map_err(|_| BrokerError::slow("declaring the queues"))??;
        Ok(Self {
            id: rand::random::<u64>() | 1,
            channel,
            consumers: Vec::new(),
            named: 0,
            credit: 0,
            first: 1,
            open: BTreeSet::new(),
            expected: 1,
            ahead: BTreeSet::new(),
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        self.channel.status().connected()
    }

    pub(super) fn is_consuming(&self) -> bool {
        !self.consumers.is_empty()
    }

    pub(super) fn credit(&self) -> usize {
        self.credit
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Raises the credit to `credit`.
    pub(super) async fn widen(
        &mut self,
        topology: &Topology,
        credit: usize,
    ) -> Result<(), BrokerError> {
        let more = credit.saturating_sub(self.credit).clamp(1, MOST);
        let prefetch = u16::try_from(more).unwrap_or(u16::MAX);
        let channel = self.channel.clone();
        let name = |again: &str| format!("lobar.{:016x}.{}{again}", self.id, self.named);
        let (main, again) = (name(""), name(".again"));
        self.named += 1;
        let consume = |queue: &str, tag: &str| {
            let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
            channel.basic_consume(queue.into(), tag.into(), options, none)
        };
        let subscribing = async {
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            futures::try_join!(consume(&topology.again, &again), consume(&topology.main, &main))
        };
        let subscribed = timeout(PATIENCE, subscribing).await;
        let (again, main) = subscribed
            .map_err(|_| BrokerError::slow("subscribing"))?
            .map_err(|error| BrokerError::of(&error))?;
        self.consumers.push(Subscribed { consumer: again, again: true });
        self.consumers.push(Subscribed { consumer: main, again: false });
        self.credit += more;
        Ok(())
    }

    /// Waits for deliveries, for ever where there is no consumer.
    pub(super) async fn next(&mut self) -> Result<Arrivals, BrokerError> {
        std::future::poll_fn(|context| {
            // What was missing before everything was looked at is not merely late.
            let high = self.ahead.last().copied();
            let mut delivered = Vec::new();
            for subscribed in &mut self.consumers {
                loop {
                    match Pin::new(&mut subscribed.consumer).poll_next(context) {
                        Poll::Ready(Some(Ok(one))) => delivered.push((one, subscribed.again)),
                        Poll::Ready(Some(Err(error))) => {
                            return Poll::Ready(Err(BrokerError::transient(error.to_string())));
                        }
                        Poll::Ready(None) => {
                            return Poll::Ready(Err(BrokerError::transient(
                                "the broker ended the subscription",
                            )));
                        }
                        Poll::Pending => break,
                    }
                }
            }
            for (one, _) in &delivered {
                see(one.delivery_tag, &mut self.open, &mut self.expected, &mut self.ahead);
            }
            let dropped = self.dropped(high);
            if delivered.is_empty() && dropped.is_empty() {
                return Poll::Pending;
            }
            Poll::Ready(Ok(Arrivals { delivered, dropped }))
        })
        .await
    }

    fn dropped(&mut self, high: Option<u64>) -> Vec<u64> {
        let Some(high) = high else { return Vec::new() };
        let missing: Vec<u64> =
            (self.expected..high).filter(|tag| !self.ahead.contains(tag)).collect();
        for tag in &missing {
            see(*tag, &mut self.open, &mut self.expected, &mut self.ahead);
        }
        missing
    }

    /// Ends all consumers; returns what was still on its way.
    pub(super) async fn cancel(&mut self) -> Result<Arrivals, BrokerError> {
        let consumers = std::mem::take(&mut self.consumers);
        let cancelling = try_join_all(consumers.iter().map(|subscribed| {
            self.channel.basic_cancel(subscribed.consumer.tag(), BasicCancelOptions::default())
        }));
        let cancelled = timeout(PATIENCE, cancelling).await;
        cancelled
            .map_err(|_| BrokerError::slow("unsubscribing"))?
            .map_err(|error| BrokerError::of(&error))?;
        let mut came = Arrivals::default();
        for Subscribed { mut consumer, again } in consumers {
            while let Some(delivered) = futures::StreamExt::next(&mut consumer).await {
                let one = delivered.map_err(|error| BrokerError::transient(error.to_string()))?;
                see(one.delivery_tag, &mut self.open, &mut self.expected, &mut self.ahead);
                came.delivered.push((one, again));
            }
        }
        came.dropped = self.dropped(self.ahead.last().copied());
        self.credit = 0;
        self.first = self.expected;
        Ok(came)
    }

    /// Tells the broker what became of messages.
    pub(super) async fn answer(&mut self, outbox: PendingAcks) -> Result<(), BrokerError> {
        let PendingAcks { mut done, back, told } = outbox;
        let mut acks = Vec::new();
        let run: Vec<u64> = self
            .open
            .iter()
            .take_while(|tag| **tag < self.expected && done.contains(tag))
            .copied()
            .collect();
        if let Some(last) = run.last() {
            acks.push(self.channel.basic_ack(*last, BasicAckOptions { multiple: true }));
            for tag in &run {
                self.open.remove(tag);
                done.remove(tag);
            }
        }
        for tag in done {
            if self.open.remove(&tag) {
                acks.push(self.channel.basic_ack(tag, BasicAckOptions { multiple: false }));
            }
        }
        let mut nacks = Vec::new();
        for tag in back {
            if self.open.remove(&tag) {
                let options = BasicNackOptions { multiple: false, requeue: true };
                nacks.push(self.channel.basic_nack(tag, options));
            }
        }
        let writing = async { (join_all(acks).await, join_all(nacks).await) };
        let (acks, nacks) = timeout(PATIENCE, writing)
            .await
            .map_err(|_| BrokerError::slow("an acknowledgement"))?;
        for written in acks.into_iter().chain(nacks) {
            written.map_err(|error| BrokerError::transient(error.to_string()))?;
        }
        for told in told {
            // Whoever asked may have gone away.
            let _ = told.send(());
        }
        Ok(())
    }

    /// How many messages wait in the queues that it consumes.
    pub(super) async fn waiting(&self, topology: &Topology) -> Result<u64, BrokerError> {
        count(&self.channel, [topology.main.as_str(), &topology.again])
            .await
            .map(|counts| counts.iter().sum())
    }

    /// Ends the channel; what was not answered goes back.
    pub(super) async fn close(self) {
        let closing = self.channel.close(200, "closing".into());
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::debug!("RabbitMQ: channel not closed in time; it ends with the connection");
        }
    }
}

/// A delivery was seen.
fn see(tag: u64, open: &mut BTreeSet<u64>, expected: &mut u64, ahead: &mut BTreeSet<u64>) {
    open.insert(tag);
    ahead.insert(tag);
    while ahead.remove(expected) {
        *expected += 1;
    }
}

/// How many messages wait in each of some queues.
pub(super) async fn count<'a>(
    channel: &Channel,
    queues: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<u64>, BrokerError> {
    let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
    let asking = join_all(
        queues
            .into_iter()
            .map(|queue| channel.queue_declare(queue.into(), passive, FieldTable::default())),
    );
    let answers =
        timeout(PATIENCE, asking).await.map_err(|_| BrokerError::slow("counting messages"))?;
    let (mut counts, mut errors) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(queue) => counts.push(u64::from(queue.message_count())),
            Err(error) => errors.push(error),
        }
    }
    match super::error::telling(errors) {
        Some(error) => Err(BrokerError::transient(error.to_string())),
        None => Ok(counts),
    }
}
