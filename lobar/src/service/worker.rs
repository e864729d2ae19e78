//! The worker role with its network.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::Engine;
use lobar_core::objects::Objects;
use lobar_worker::{Worker, WorkerMetrics, WorkerParts, WorkerSettings};

use super::parts::Parts;
use super::presence;
use super::running::Running;
use crate::engine::{self, Wanted};
use crate::failure::Failure;
use crate::figures;
use crate::settings::Settings;

/// Loads the network, then runs the worker.
pub async fn start(
    settings: &Settings,
    parts: &Parts,
    objects: Arc<dyn Objects>,
    running: &mut Running,
) -> Result<(), Failure> {
    let wanted = settings.clone();
    let engine = tokio::task::spawn_blocking(move || engine::load(&Wanted::of(&wanted)));
    let engine = engine.await.map_err(Failure::failed)??;
    let info = engine.info();
    tracing::info!(model = info.model.version, device = info.device, "the network is ready");
    figures::register_model(&parts.registry, info)?;
    let worker = Worker::new(
        WorkerParts {
            jobs: parts.jobs.clone(),
            store: parts.store.clone(),
            objects,
            signal: parts.signal.clone(),
            engine: Box::new(engine),
            metrics: WorkerMetrics::register(&parts.registry).map_err(Failure::failed)?,
        },
        WorkerSettings {
            max_batch: settings.batch,
            // Two batches and the images being decoded.
            slots: 4 * settings.batch,
            drain: Duration::from_secs(settings.drain_seconds),
            ..WorkerSettings::default()
        },
    );
    let health = worker.health();
    running.watch(parts.readiness.check("engine"), move || match health.is_ready() {
        true => Ok(()),
        false => Err("the network has not answered on a known good image".into()),
    });
    if let Some(roster) = parts.roster.clone() {
        presence::announce(roster, worker.health(), running);
    }
    let stop =
        lobar_worker::Stop { receiving: running.receiving.clone(), abort: running.abort.clone() };
    running.start("worker", async move { worker.run(stop).await.map_err(Failure::failed) });
    Ok(())
}
