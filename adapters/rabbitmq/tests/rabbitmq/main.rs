//! RabbitMQ: what the contract does not ask, and T4: the broker restarted again and again, its connections
//! cut and silent, its publishers blocked.
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does
#![allow(clippy::print_stdout, reason = "figures are printed")]

mod account;
mod alarm;
mod contract;
mod examine;
mod figures;
mod outages;
mod queues;
mod refusals;
mod sharing;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::queue::{Delivery, LeaseError, Outgoing, Queue, Receipt, Settlement};
use lobar_core::time::SystemClock;
use lobar_rabbitmq::RabbitBrokers;
use lobar_testkit::services::rabbitmq::RabbitMq;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// Long enough for what is there.
const SOON: Duration = Duration::from_secs(20);
/// Longer than any test.
const LEASE: Duration = Duration::from_secs(600);

/// A broker that one test at a time may stop and starve.
async fn breakable() -> MutexGuard<'static, RabbitMq> {
    static BREAKABLE: OnceCell<Mutex<RabbitMq>> = OnceCell::const_new();
    let start = async || Mutex::new(RabbitMq::start().await);
    BREAKABLE.get_or_init(start).await.lock().await
}

/// A process with the queue `jobs` under a prefix.
struct Process {
    brokers: RabbitBrokers,
    queue: Arc<dyn Queue>,
}

impl Process {
    async fn open(url: &str) -> Self {
        let brokers = RabbitBrokers::default();
        let queue = brokers.queue(url, "jobs", Arc::new(SystemClock)).await.expect("a queue");
        Self { brokers, queue }
    }

    async fn send(&self, bodies: &[&str]) {
        let messages = bodies.iter().map(|body| Outgoing::now(body.as_bytes().to_vec())).collect();
        for sent in self.queue.send(messages).await {
            sent.expect("sent");
        }
    }

    /// Receives exactly `count` messages.
    async fn take(&self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let wanted = count - taken.len();
            let more = self.queue.receive(wanted, SOON, LEASE).await.expect("received");
            assert!(!more.is_empty(), "{} of {count} messages came in time", taken.len());
            taken.extend(more);
        }
        taken
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<(), LeaseError> {
        self.queue.settle(vec![(receipt.clone(), settlement)]).await.remove(0)
    }

    async fn close(self) {
        self.brokers.close().await;
    }
}

/// A URL with names that nobody else has.
fn url_of(broker: &RabbitMq) -> (String, String) {
    let prefix = broker.prefix();
    (format!("{}?prefix={prefix}", broker.url()), prefix)
}

fn bodies(deliveries: &[Delivery]) -> HashSet<String> {
    let text = |one: &Delivery| String::from_utf8_lossy(&one.body).into_owned();
    deliveries.iter().map(text).collect()
}
