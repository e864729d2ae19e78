//! RabbitMQ: job queues, one per lane, and uploads from object stores that notify over AMQP.
//!
//! What the port promises and the broker does not know is done here:
//!
//! - **Leases.** A delivery that is not acknowledged is hidden for as long as its channel lives. The adapter
//!   keeps a deadline for each one it hands over, and gives it back when that passes. The end of the process
//!   ends its connection, and with it every lease. No lease is longer than 25 minutes however often it is
//!   extended, since the broker closes a channel with an older one (`consumer_timeout`, 30 minutes; do not
//!   set it lower).
//! - **Delays.** A ladder of queues, see `topology`.
//! - **Counts.** A header counts what was received, beside the broker's own count of redeliveries. What a
//!   crash takes back from a receiver's buffer counts as received.
//! - **Order of things.** Whatever replaces a message is confirmed before the message is acknowledged.
//!
//! URLs: `amqp://user:password@host:port/vhost` or `amqps://…`. Queues are called `lobar.NAME`;
//! `?prefix=` replaces `lobar`. `?queue=NAME&exchange=EXCHANGE&routing_key=KEY` names the queue and binds it
//! to an exchange that a store publishes its notifications to.

mod address;
mod consumer;
mod consumer_channel;
mod consumer_state;
mod dead_letters;
mod envelope;
mod error;
mod examine;
mod publisher;
mod queue;
mod recovering_connection;
mod settle;
mod topology;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::failure::PortError;
use lobar_core::queue::Queue;
use lobar_core::time::Clock;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use address::Address;
pub use address::check_url;
use consumer_channel::ConsumerChannel;
use error::BrokerError;
pub use examine::examine;
use publisher::Publisher;
use queue::QueueInner;
pub use queue::RabbitQueue;
use recovering_connection::{Purpose, RecoveringConnection};

/// How long the tasks may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
const OPEN: &str = "rabbitmq queue: open";

/// Every broker that one opener has queues on.
#[derive(Default)]
pub struct RabbitBrokers {
    brokers: Mutex<HashMap<String, Broker>>,
}

/// Two connections, and the queues that share them.
struct Broker {
    publish: Arc<RecoveringConnection>,
    consume: Arc<RecoveringConnection>,
    publisher: Arc<Publisher>,
    lanes: HashMap<String, Arc<QueueInner>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl RabbitBrokers {
    /// The queue `name` in what `url` names, declared if it is new. Opening a queue twice gives the same
    /// one.
    ///
    /// # Errors
    /// Permanent where the URL is wrong or the broker refuses: the user, the virtual host, or a queue that
    /// was declared with other arguments.
    pub async fn queue(
        &self,
        url: &str,
        name: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Queue>, PortError> {
        let opened = self.lane(url, name, clock).await;
        let lane = opened.map_err(|fault| fault.during(OPEN))?;
        Ok(Arc::new(RabbitQueue(lane)))
    }

    async fn lane(
        &self,
        url: &str,
        name: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<QueueInner>, BrokerError> {
        let address = Address::parse(url)?;
        let mut brokers = self.brokers.lock().await;
        let broker = brokers.entry(address.key()).or_insert_with(|| Broker::new(&address));
        let topology = address.topology(name);
        if let Some(lane) = broker.lanes.get(&topology.main) {
            return Ok(lane.clone());
        }
        ConsumerChannel::open(&broker.consume, &topology).await?.close().await;
        let main = topology.main.clone();
        let ends = (broker.publisher.clone(), broker.consume.clone());
        let life = (broker.tasks.clone(), broker.stop.clone());
        let lane = Arc::new(QueueInner::new(topology, ends, clock, life));
        broker.tasks.spawn(consumer::run(lane.clone()));
        broker.lanes.insert(main, lane.clone());
        Ok(lane)
    }

    /// Ends what it opened: messages that nobody asked for go back, leases end with the connection.
    pub async fn close(&self) {
        for broker in self.brokers.lock().await.values() {
            broker.close().await;
        }
    }
}

impl Broker {
    fn new(address: &Address) -> Self {
        let publish = Arc::new(RecoveringConnection::new(address.uri.clone(), Purpose::Publish));
        Self {
            publisher: Arc::new(Publisher::new(publish.clone())),
            publish,
            consume: Arc::new(RecoveringConnection::new(address.uri.clone(), Purpose::Consume)),
            lanes: HashMap::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        if timeout(CLOSE_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                "RabbitMQ: closed before every task had ended; leases end with the connection"
            );
        }
        self.consume.close().await;
        self.publish.close().await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
