//! The contract of the queue, on RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use lobar_core::queue::Queue;
use lobar_core::time::SystemClock;
use lobar_rabbitmq::RabbitBrokers;
use lobar_testkit::contract::queue::{QueueHarness, Tells};
use lobar_testkit::services::rabbitmq::RabbitMq;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

/// How many tests use the broker at once: leases are short here, and a busy broker is slow.
static TURNS: Semaphore = Semaphore::const_new(5);

/// Names of its own on the broker that all tests share.
struct Broker {
    url: String,
    _turn: SemaphorePermit<'static>,
    opened: Mutex<Vec<RabbitBrokers>>,
}

#[async_trait]
impl QueueHarness for Broker {
    const LEASE: Duration = Duration::from_secs(8);
    const LISTEN: Duration = Duration::from_millis(300);
    const TELLS: Tells = Tells { others_leases: false, retried_from_leased: true, oldest: false };

    async fn start() -> Self {
        let _turn = TURNS.acquire().await.expect("never closed");
        let broker = RabbitMq::shared().await;
        let url = format!("{}?prefix={}", broker.url(), broker.prefix());
        Self { url, _turn, opened: Mutex::default() }
    }

    async fn open(&self) -> Arc<dyn Queue> {
        let brokers = RabbitBrokers::default();
        let queue = brokers.queue(&self.url, "jobs", Arc::new(SystemClock)).await.expect("a queue");
        self.opened.lock().await.push(brokers);
        queue
    }

    async fn reopen(&self) -> Arc<dyn Queue> {
        for brokers in self.opened.lock().await.drain(..) {
            brokers.close().await;
        }
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn dead_trace(&self) -> Option<String> {
        let (connection, channel) = RabbitMq::shared().await.channel().await;
        let (_, prefix) = self.url.split_once("?prefix=").expect("a prefix");
        let name = format!("{prefix}.jobs.dead").as_str().into();
        let kept = channel.basic_get(name, BasicGetOptions { no_ack: true }).await;
        let kept = kept.expect("asked").expect("a dead message");
        connection.close(200, "done".into()).await.expect("closed");
        match kept.properties.headers().as_ref()?.inner().get("traceparent")? {
            AMQPValue::LongString(trace) => Some(trace.to_string()),
            other => panic!("no text: {other:?}"),
        }
    }
}

lobar_testkit::queue_contract!(Broker);
