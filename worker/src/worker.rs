//! The role: what it is given, and how it ends. Its phases are in [`running`](crate::running).

use std::sync::Arc;

use lobar_consumer::Stop;
use lobar_core::object_store::ObjectStore;
use lobar_core::queue::JobQueues;
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::device::DeviceFault;
use crate::health::WorkerHealth;
use crate::metrics::WorkerMetrics;
use crate::model::EngineSource;
use crate::running::Running;
use crate::settings::WorkerSettings;

/// What a worker is given.
pub struct WorkerPorts {
    /// Where jobs come from.
    pub jobs: JobQueues,
    /// Where images are claimed and finished.
    pub store: Arc<dyn Store>,
    /// Where their bytes are.
    pub objects: Arc<dyn ObjectStore>,
    /// Told of every change.
    pub signal: Arc<dyn Signal>,
    /// The network, or where it comes from.
    pub engine: EngineSource,
    /// What it counts.
    pub metrics: WorkerMetrics,
}

/// Why a worker ended on its own. The process should end with an error: leases lapse, and others
/// take over.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The engine cannot go on.
    #[error(transparent)]
    Device(#[from] DeviceFault),
    /// The system gave no thread for the engine.
    #[error("no thread for the engine: {0}")]
    Thread(#[from] std::io::Error),
    /// A fault of this program.
    #[error("a part of the worker ended abnormally: {0}")]
    Internal(#[from] JoinError),
}

/// The worker role.
pub struct Worker {
    ports: WorkerPorts,
    settings: WorkerSettings,
    health: Arc<WorkerHealth>,
}

impl Worker {
    /// A role that does nothing yet.
    pub fn new(ports: WorkerPorts, settings: WorkerSettings) -> Self {
        let health = Arc::new(WorkerHealth::new(settings.watchdog));
        Self { ports, settings, health }
    }

    /// Readiness and figures, to be read while it runs.
    pub fn health(&self) -> Arc<WorkerHealth> {
        self.health.clone()
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// When the engine failed; see [`WorkerError`].
    pub async fn run(self, stop: Stop) -> Result<(), WorkerError> {
        let kill = CancellationToken::new();
        // However this ends, nothing of it goes on afterwards.
        let _end = kill.clone().drop_guard();
        let (abort, health) = (stop.abort.clone(), self.health.clone());
        let ended = abort.run_until_cancelled(Box::pin(self.work(stop, kill))).await;
        health.set_ready(false);
        ended.unwrap_or(Ok(()))
    }

    /// Build, run, drain.
    async fn work(self, stop: Stop, kill: CancellationToken) -> Result<(), WorkerError> {
        let Self { ports, settings, health } = self;
        let built = Running::build(ports, settings, health, &stop, kill).await?;
        // Stopped before there was an engine.
        let Some(mut running) = built else { return Ok(()) };
        let ended = running.run(&stop).await;
        running.drain(ended).await
    }
}
