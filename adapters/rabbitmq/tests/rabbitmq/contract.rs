//! The contract of the queue, on RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_adapters::opener::Opener;
use lobar_core::queue::Queue;
use lobar_core::time::SystemClock;
use lobar_tests::contract::queue::{QueueHarness, Tells};
use lobar_tests::services::rabbitmq::RabbitMq;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

/// How many tests use the broker at once: leases are short here, and a busy broker is slow.
static TURNS: Semaphore = Semaphore::const_new(5);

/// Names of its own on the broker that all tests share.
struct Broker {
    url: String,
    _turn: SemaphorePermit<'static>,
    openers: Mutex<Vec<Opener>>,
}

#[async_trait]
impl QueueHarness for Broker {
    const LEASE: Duration = Duration::from_secs(4);
    const LISTEN: Duration = Duration::from_millis(300);
    const TELLS: Tells = Tells { others_leases: false, retried_from_leased: true, oldest: false };

    async fn start() -> Self {
        let _turn = TURNS.acquire().await.expect("never closed");
        let broker = RabbitMq::shared().await;
        let url = format!("{}?prefix={}", broker.url(), broker.prefix());
        Self { url, _turn, openers: Mutex::default() }
    }

    async fn open(&self) -> Arc<dyn Queue> {
        let opener = Opener::new(Arc::new(SystemClock));
        let queue = opener.queue("jobs", &self.url, "jobs").await.expect("a queue");
        self.openers.lock().await.push(opener);
        queue
    }

    async fn reopen(&self) -> Arc<dyn Queue> {
        for opener in self.openers.lock().await.drain(..) {
            opener.close().await;
        }
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

lobar_tests::queue_contract!(Broker);
