//! Roles that run beside the test.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::Engine;
use lobar_core::retry::Backoff;
use lobar_ingest::{Ingest, IngestHealth, IngestMetrics, IngestPorts, IngestSettings};
use lobar_worker::model::{EngineSource, Models};
use lobar_worker::{
    Capacity, Worker, WorkerError, WorkerHealth, WorkerMetrics, WorkerPorts, WorkerSettings,
};
use prometheus::Registry;
use prometheus::proto::Metric;
use tokio::task::JoinHandle;

use super::{BUCKET, PATIENCE, Rig, ScriptedEngines};

/// Pauses after failures, short because tests wait through them.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(5), max: Duration::from_millis(50) };
/// Long against every step of the clock in a test.
const LEASE: Duration = Duration::from_secs(24 * 3600);
/// How often receivers look, since nothing wakes them when the clock is stepped.
const WAIT: Duration = Duration::from_millis(20);

/// A worker that runs.
pub struct Working {
    stop: lobar_worker::Stop,
    task: JoinHandle<Result<(), WorkerError>>,
    registry: Registry,
    /// Its readiness and figures.
    pub health: Arc<WorkerHealth>,
}

/// An ingest that runs.
pub struct Ingesting {
    stop: lobar_ingest::Stop,
    task: JoinHandle<()>,
    registry: Registry,
    /// Its readiness.
    pub health: Arc<IngestHealth>,
}

impl Rig {
    /// Settings for tests: long leases, short pauses.
    pub fn worker_settings() -> WorkerSettings {
        Self::worker_settings_for(Capacity::for_batch(16).expect("valid"))
    }

    /// The same, with batches of at most `batch` images and this many slots, some for `stat` alone.
    pub fn worker_settings_with(batch: usize, slots: usize, stat_slots: usize) -> WorkerSettings {
        let capacity = Capacity::for_batch(batch).and_then(|it| it.with_slots(slots, stat_slots));
        Self::worker_settings_for(capacity.expect("sizes that fit one another"))
    }

    /// The same, with this much in hand.
    pub fn worker_settings_for(capacity: Capacity) -> WorkerSettings {
        WorkerSettings {
            lease: LEASE,
            wait: WAIT,
            backoff: BACKOFF,
            follow_every: WAIT,
            model_backoff: BACKOFF,
            ..WorkerSettings::new(capacity)
        }
    }

    /// Settings for tests: long leases, short pauses, no sweeps.
    pub fn ingest_settings() -> IngestSettings {
        IngestSettings {
            lease: LEASE,
            wait: WAIT,
            backoff: BACKOFF,
            sweep_every: Duration::ZERO,
            ..IngestSettings::new(BUCKET)
        }
    }

    /// Starts a worker.
    pub fn work(&self, engine: impl Engine + Send + 'static, settings: WorkerSettings) -> Working {
        self.work_on(EngineSource::Pinned(Box::new(engine)), settings)
    }

    /// Starts a worker on whichever model the registry says is active.
    pub fn follow(&self, engines: &Arc<ScriptedEngines>, settings: WorkerSettings) -> Working {
        let models = Models { registry: self.registry.clone(), engines: engines.clone() };
        self.work_on(EngineSource::Assigned(models), settings)
    }

    fn work_on(&self, engine: EngineSource, settings: WorkerSettings) -> Working {
        let registry = Registry::new();
        let parts = WorkerPorts {
            jobs: self.ports(),
            store: self.store.clone(),
            objects: self.objects.clone(),
            signal: self.faulty_signal.clone(),
            engine,
            metrics: WorkerMetrics::register(&registry).expect("an empty registry"),
        };
        let worker = Worker::new(parts, settings);
        let (health, stop) = (worker.health(), lobar_worker::Stop::default());
        let task = tokio::spawn(worker.run(stop.clone()));
        Working { stop, task, registry, health }
    }

    /// Starts an ingest.
    pub fn ingest(&self, settings: IngestSettings) -> Ingesting {
        let registry = Registry::new();
        let parts = IngestPorts {
            uploads: self.uploads.clone(),
            jobs: self.ports(),
            store: self.store.clone(),
            batches: self.batches.clone(),
            objects: self.objects.clone(),
            listing: None,
            erasure: Some(self.erasure.clone()),
            signal: self.faulty_signal.clone(),
            clock: Arc::new(self.clock.clone()),
            metrics: IngestMetrics::register(&registry).expect("an empty registry"),
        };
        let ingest = Ingest::new(parts, settings);
        let (health, stop) = (ingest.health(), lobar_ingest::Stop::default());
        let run = ingest.run(stop.clone());
        let task = tokio::spawn(run);
        Ingesting { stop, task, registry, health }
    }
}

impl Working {
    /// Tells it to stop gracefully.
    pub fn begin_stop(&self) {
        self.stop.receiving.cancel();
    }

    /// Stops it gracefully.
    pub async fn stop(self) -> Result<(), WorkerError> {
        self.begin_stop();
        self.ended().await
    }

    /// Ends it at once, as a crash would: nothing is given back. Returns once nothing of it is left that
    /// could still lease a message.
    pub async fn crash(self, rig: &Rig) {
        self.stop.abort.cancel();
        self.ended().await.expect("an abort is no error");
        rig.until_let_go().await;
    }

    /// Waits until it ends by itself.
    pub async fn ended(self) -> Result<(), WorkerError> {
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("it ends");
        ended.expect("it does not panic")
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        sum(&self.registry, name)
    }

    /// A counter's value for one value of its label.
    pub fn metric_of(&self, name: &str, label: &str) -> f64 {
        self.labelled(name, label).iter().map(|one| one.get_counter().get_value()).sum()
    }

    /// How often a histogram was observed for one value of its label.
    pub fn observations_of(&self, name: &str, label: &str) -> u64 {
        self.labelled(name, label).iter().map(|one| one.get_histogram().get_sample_count()).sum()
    }

    fn labelled(&self, name: &str, label: &str) -> Vec<Metric> {
        labelled(&self.registry, name, label)
    }
}

impl Ingesting {
    /// Stops it gracefully.
    pub async fn stop(self) {
        self.stop.receiving.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").expect("no panic");
    }

    /// Ends it at once, as a crash would: nothing is given back. Returns once nothing of it is left that
    /// could still lease a message.
    pub async fn crash(self, rig: &Rig) {
        self.stop.abort.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").expect("no panic");
        rig.until_let_go().await;
    }

    /// A counter's value for one value of its label.
    pub fn metric_of(&self, name: &str, label: &str) -> f64 {
        let found = labelled(&self.registry, name, label);
        found.iter().map(|one| one.get_counter().get_value()).sum()
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        sum(&self.registry, name)
    }
}

fn labelled(registry: &Registry, name: &str, label: &str) -> Vec<Metric> {
    let families = registry.gather().into_iter().filter(|family| family.name() == name);
    let metrics = families.flat_map(|family| family.get_metric().to_vec());
    metrics.filter(|one| one.get_label().iter().any(|it| it.value() == label)).collect()
}

fn sum(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    let values = family.map(|family| family.get_metric().iter().map(|one| one.get_counter()));
    values.map_or(0.0, |counters| counters.map(|counter| counter.get_value()).sum())
}
