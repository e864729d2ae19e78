//! The active model: taken at the start, changed while the worker runs.

use lobar_core::engine::Engine;
use lobar_core::model_registry::{ModelRegistry, RegistryError};
use tokio::sync::{mpsc, oneshot};

use super::assignment::{until_other, wanted};
use super::proof::obtain;
use super::{Assigned, Engines, Flaw, Models, Unfit, Use};
use crate::context::Watched;

/// Who registers and activates the model that came with the program.
const ITSELF: &str = "lobar";

/// Another engine for the dispatcher to hand over between two batches.
pub(crate) struct Swap {
    pub(crate) engine: Box<dyn Engine + Send>,
    /// Gets the way by which the engine before comes back.
    pub(crate) before: oneshot::Sender<oneshot::Receiver<Box<dyn Engine + Send>>>,
}

/// The engine to begin with: of the active model, however long it takes to have it. Where nothing was
/// ever activated, the model that came with the program is registered and activated first.
pub(crate) async fn first(
    watched: &Watched,
    models: &Models,
    assigned: &mut Assigned,
) -> Box<dyn Engine + Send> {
    loop {
        let Some(model) = wanted(assigned, Use::Active).await else {
            introduce(watched, models, assigned).await;
            until_other(assigned, Use::Active, None).await;
            continue;
        };
        let engines = models.engines.as_ref();
        if let Some(engine) = obtain(watched, engines, assigned, &model, Use::Active).await {
            return engine;
        }
    }
}

/// Registers and activates the model that came with the program, trying until it or another is active.
async fn introduce(watched: &Watched, models: &Models, assigned: &mut Assigned) {
    let mut tries = 0;
    loop {
        let introduced = tokio::select! {
            introduced = register_shipped(models.registry.as_ref(), models.engines.as_ref()) => introduced,
            () = until_other(assigned, Use::Active, None) => return,
        };
        let Err(unfit) = introduced else { return };
        let pause = watched.settings.model_backoff.delay(tries, rand::random());
        watched.metrics.model_failures.with_label_values(&[unfit.flaw.as_str()]).inc();
        watched.health.set_trouble(Some(format!("the shipped model: {unfit}")));
        let (why, seconds) = (&unfit.why, pause.as_secs_f64());
        tracing::error!(
            error = why,
            "no model is active, and the shipped one could not be registered; retrying in {seconds:.1} s"
        );
        tries += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = until_other(assigned, Use::Active, None) => return,
        }
    }
}

async fn register_shipped(
    registry: &dyn ModelRegistry,
    engines: &dyn Engines,
) -> Result<(), Unfit> {
    let refused = |error: RegistryError| {
        Unfit::new(Flaw::Load, format!("it cannot be registered and activated: {error}"))
    };
    let shipped = engines.shipped().await?;
    registry.register(&shipped, ITSELF).await.map_err(refused)?;
    // Somebody may have chosen a model while the weights were being stored: theirs stands.
    if registry.activate_first(&shipped.version, ITSELF).await.map_err(refused)? {
        tracing::info!(
            model = shipped.version,
            "no model was ever active: the shipped one is registered and activated"
        );
    }
    Ok(())
}

/// Changes the engine whenever another model becomes active. Returns when the dispatcher has ended.
pub(crate) async fn follow_active(
    watched: Watched,
    models: Models,
    mut assigned: Assigned,
    swaps: mpsc::Sender<Swap>,
) {
    loop {
        let Some(model) = wanted(&mut assigned, Use::Active).await else {
            until_other(&mut assigned, Use::Active, None).await;
            continue;
        };
        let serving = watched.health.model();
        let same = serving.is_some_and(|now| {
            (&now.version, &now.sha256) == (&model.model.version, &model.model.sha256)
        });
        if same {
            // Also when a model that could not be had was wanted in between.
            watched.health.set_trouble(None);
            until_other(&mut assigned, Use::Active, Some(&model)).await;
            continue;
        }
        let engines = models.engines.as_ref();
        let engine = obtain(&watched, engines, &mut assigned, &model, Use::Active).await;
        let Some(engine) = engine else { continue };
        let info = engine.info().clone();
        let (before, old) = oneshot::channel();
        if swaps.send(Swap { engine, before }).await.is_err() {
            return;
        }
        let Ok(old) = old.await else { return };
        let Ok(old) = old.await else { return };
        watched.health.set_model(info.model.clone());
        watched.health.set_trouble(None);
        watched.metrics.model(&info);
        watched.metrics.model_swaps.inc();
        let (from, version) = (&old.info().model.version, &info.model.version);
        tracing::info!(
            from,
            model = version,
            device = info.device,
            "another model answers images from here on"
        );
        // Hundreds of megabytes to give back, away from the threads that answer.
        let _ = tokio::task::spawn_blocking(move || drop(old)).await;
    }
}
