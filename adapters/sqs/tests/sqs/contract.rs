//! The queue's contract on SQS, as MiniStack emulates it. Time is real.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::queue::Queue;
use lobar_core::time::SystemClock;
use lobar_sqs::SqsQueue;
use lobar_testkit::contract::queue::{QueueHarness, Tells};
use lobar_testkit::services::ministack::{self, Queues};
use tokio::sync::Mutex;

use crate::options;

/// A queue of its own. SQS's receipts are those of the process that received, so that its handles are
/// one; what two processes do to each other is tested in `queue`.
struct Sqs {
    queues: Queues,
    open: Mutex<Option<Arc<SqsQueue>>>,
}

#[async_trait]
impl QueueHarness for Sqs {
    const LEASE: Duration = Duration::from_secs(6);
    const TELLS: Tells = Tells { retried_from_leased: false, oldest: false, ..Tells::ALL };

    async fn start() -> Self {
        // More receives than any sentence makes.
        let queues = ministack::shared().await.queues(100).await;
        Self { queues, open: Mutex::default() }
    }

    async fn open(&self) -> Arc<dyn Queue> {
        let mut open = self.open.lock().await;
        if let Some(queue) = &*open {
            return queue.clone();
        }
        let ministack = ministack::shared().await;
        let options = options(&self.queues.name, ministack.url());
        let queue = SqsQueue::open(options, Arc::new(SystemClock)).await.expect("a queue");
        open.insert(Arc::new(queue)).clone()
    }

    async fn reopen(&self) -> Arc<dyn Queue> {
        if let Some(queue) = self.open.lock().await.take() {
            queue.close().await;
        }
        self.open().await
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn dead_trace(&self) -> Option<String> {
        let sqs = ministack::shared().await.sqs().await;
        let receive = sqs.receive_message().queue_url(&self.queues.dead_url);
        let received = receive.message_attribute_names("All").send().await.expect("received");
        let attribute = received.messages()[0].message_attributes()?.get("traceparent")?;
        attribute.string_value().map(str::to_owned)
    }
}

lobar_testkit::queue_contract!(Sqs);
