//! State shared by all tasks of a running worker.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use lobar_consumer::Rejections;
use lobar_core::object::ImageId;
use lobar_core::object_store::ObjectStore;
use lobar_core::queue::{JobQueues, Settlement};
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::claim::Claims;
use crate::failing_fetches::FailingFetches;
use crate::health::WorkerHealth;
use crate::lane_semaphore::LaneSemaphore;
use crate::metrics::WorkerMetrics;
use crate::model::ShadowQueue;
use crate::services::Services;
use crate::settings::WorkerSettings;
use crate::slots::Slots;
use crate::work_item::{DeadLetter, Decoded, Finished, InFlight};

/// How a worker behaves and what can be seen of it: what there is before it has an engine.
#[derive(Clone)]
pub(crate) struct ModelContext {
    pub(crate) settings: WorkerSettings,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) health: Arc<WorkerHealth>,
}

pub(crate) struct Context {
    pub(crate) jobs: JobQueues,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) signal: Arc<dyn Signal>,
    pub(crate) settings: WorkerSettings,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) health: Arc<WorkerHealth>,

    pub(crate) slots: Slots,
    /// Files in memory at once, and their bytes, in KiB.
    pub(crate) fetches: LaneSemaphore,
    pub(crate) file_memory: LaneSemaphore,
    pub(crate) decoders: LaneSemaphore,
    /// See `suspect`.
    pub(crate) suspect_permits: Arc<Semaphore>,
    pub(crate) waiting_suspects: AtomicUsize,
    pub(crate) in_flight: InFlight,
    pub(crate) claims: Claims,
    pub(crate) services: Services,
    /// Images that the store would not give out, whose result it would not take, and whose object the
    /// bucket would not deliver, for good.
    pub(crate) rejected_claims: Rejections<ImageId>,
    pub(crate) rejected_results: Rejections<ImageId>,
    pub(crate) rejected_fetches: Rejections<ImageId>,
    /// Images whose object the bucket fails to deliver for now.
    pub(crate) failing_fetches: FailingFetches,
    /// Where answered images go to be looked at by a model that is not shown.
    pub(crate) shadow: ShadowQueue,

    /// To the dispatcher. Each decoded image holds a slot, and there is room for every slot.
    pub(crate) decoded: mpsc::Sender<Decoded>,
    /// To the finisher; as roomy.
    pub(crate) finished: mpsc::Sender<Finished>,

    /// Receivers and images; the stop waits for them.
    pub(crate) work: TaskTracker,
    /// What serves them: keepers, the dispatcher, the finisher.
    pub(crate) service_tasks: TaskTracker,
    /// No new messages.
    pub(crate) stopping: CancellationToken,
    /// The drain is over, or the engine is: give back what is in hand.
    pub(crate) give_up: CancellationToken,
    /// End at once, whatever is in hand.
    pub(crate) kill: CancellationToken,
}

impl Context {
    /// Runs `task` until it ends or the worker does; the stop waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.kill.clone();
        self.work.spawn(async move {
            kill.run_until_cancelled(task).await;
        });
    }

    /// Runs what serves the images until it ends or the worker does.
    pub(crate) fn spawn_service_task<T: Send + 'static>(
        &self,
        part: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let kill = self.kill.clone();
        self.service_tasks.spawn(async move { kill.run_until_cancelled(part).await })
    }

    /// When to look again at a message that was received this often.
    pub(crate) fn later(&self, receive_count: u32) -> Duration {
        self.settings.backoff.delay(receive_count.saturating_sub(1), rand::random())
    }

    /// Says that images changed.
    pub(crate) async fn publish(&self) {
        if let Err(error) = self.signal.publish().await {
            tracing::debug!(%error, "signal not published; pages follow by polling");
        }
    }

    /// Puts a job aside.
    pub(crate) fn dead(&self, why: DeadLetter) -> Settlement {
        self.metrics.dead_letters.with_label_values(&[why.code()]).inc();
        Settlement::Dead { reason: why.text().into() }
    }

    /// Hands something to the finisher.
    pub(crate) async fn finish(&self, finished: Finished) {
        if self.finished.send(finished).await.is_err() {
            tracing::error!(
                "finisher gone: an image was dropped unfinished; its lease lapses and another worker takes over"
            );
        }
    }
}
