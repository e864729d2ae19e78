//! The worker role with its network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::Engine;
use lobar_core::object_store::ObjectStore;
use lobar_worker::model::{EngineSource, Models};
use lobar_worker::{Capacity, Worker, WorkerHealth, WorkerMetrics, WorkerPorts, WorkerSettings};

use super::models::{self, TorchEngines};
use super::ports::Ports;
use super::running::Running;
use super::{heartbeat, memory, roles};
use crate::engine::{self, EngineChoice};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::split;

/// How long a start waits for the active model before it goes on without; the worker does not.
const FIRST_MODEL: Duration = Duration::from_secs(60);

/// Runs the worker: on the model that the settings name, or on the one that the registry says is active.
pub async fn start(
    settings: &Settings,
    parts: &Ports,
    objects: Arc<dyn ObjectStore>,
    s3: Option<SocketAddr>,
    running: &mut Running,
) -> Result<(), Failure> {
    let choice = split::of_worker(settings).await;
    let weights = roles::weights(settings, s3).await?;
    let engines = Arc::new(TorchEngines::new(settings, &choice, weights)?);
    let engine = match settings.model {
        Some(_) => EngineSource::Pinned(pinned(choice.clone()).await?),
        None => {
            let registry = parts.models.clone();
            EngineSource::Assigned(Models { registry, engines: engines.clone() })
        }
    };
    let capacity = Capacity::for_replicas(settings.batch.count(), engine::split(&choice).replicas);
    let capacity = capacity.map_err(Failure::usage)?;
    let worker = Worker::new(
        WorkerPorts {
            jobs: parts.jobs.clone(),
            store: parts.store.clone(),
            objects,
            signal: parts.signal.clone(),
            engine,
            metrics: WorkerMetrics::register(&parts.registry).map_err(Failure::failed)?,
        },
        WorkerSettings {
            drain: settings.drain.seconds(),
            file_memory: memory::for_files(capacity.decoders()),
            ..WorkerSettings::new(capacity)
        },
    );
    let health = worker.health();
    let (liveness, pulses) = (parts.readiness.liveness(), health.pulses());
    liveness.watch("engine", pulses.engine.clone());
    liveness.watch("jobs-stat", pulses.intake.stat.clone());
    liveness.watch("jobs-routine", pulses.intake.routine.clone());
    let watched = health.clone();
    running.watch(parts.readiness.check("engine"), move || match watched.is_ready() {
        true => Ok(()),
        false => Err(watched
            .model_error()
            .unwrap_or_else(|| "the network has not answered on a known good image".into())),
    });
    if let Some(presence) = parts.presence.clone() {
        heartbeat::send_heartbeats(presence, worker.health(), running);
    }
    let stop =
        lobar_worker::Stop { receiving: running.receiving.clone(), abort: running.abort.clone() };
    running.start("worker", async move {
        let ended = worker.run(stop).await;
        engines.close().await;
        ended.map_err(Failure::failed)
    });
    first_model(&health).await;
    Ok(())
}

/// The network of `LOBAR_MODEL`, whatever the registry says.
async fn pinned(wanted: EngineChoice) -> Result<Box<dyn Engine + Send>, Failure> {
    let engine = tokio::task::spawn_blocking(move || engine::load(&wanted));
    let engine = engine.await.map_err(Failure::failed)??;
    models::warn_of_no_check(engine.info());
    let model = &engine.info().model.version;
    tracing::info!(model, "model pinned: serving LOBAR_MODEL, whatever the registry says");
    Ok(Box::new(engine))
}

/// Returns when the network answers, or when it is known why not.
async fn first_model(health: &WorkerHealth) {
    let known = async {
        while !health.is_ready() && health.model_error().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(FIRST_MODEL, known).await;
    match health.model() {
        Some(model) => {
            tracing::info!(model = model.version, "worker ready: the network is loaded and proven")
        }
        None => tracing::warn!(
            "worker not ready yet: no network is loaded; other roles start meanwhile"
        ),
    }
}
