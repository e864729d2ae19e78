//! The active model: taken at the start, changed while the worker runs.

use lobar_core::engine::Engine;
use lobar_core::model_registry::{ModelRegistry, RegistryError};
use tokio::sync::{mpsc, oneshot};

use super::assignment::{until_other, wanted};
use super::proof::obtain;
use super::{Assigned, Engines, LoadStage, ModelLoadError, ModelUse, Models};
use crate::context::ModelContext;
use crate::device::Before;

/// Who registers and activates the model that came with the program.
const SYSTEM_ACTOR: &str = "lobar";

/// Another engine for the dispatcher to hand over between two batches.
pub(crate) struct Swap {
    pub(crate) engine: Box<dyn Engine + Send>,
    /// Gets the way by which the engines before come back.
    pub(crate) before: oneshot::Sender<Before>,
}

/// The engine to begin with: of the active model, however long it takes to have it. Where nothing was
/// ever activated, the model that came with the program is registered and activated first.
pub(crate) async fn first(
    model_context: &ModelContext,
    models: &Models,
    assigned: &mut Assigned,
) -> Box<dyn Engine + Send> {
    loop {
        let Some(model) = wanted(assigned, ModelUse::Active).await else {
            activate_shipped(model_context, models, assigned).await;
            until_other(assigned, ModelUse::Active, None).await;
            continue;
        };
        let engines = models.engines.as_ref();
        if let Some(engine) =
            obtain(model_context, engines, assigned, &model, ModelUse::Active).await
        {
            return engine;
        }
    }
}

/// Registers and activates the model that came with the program, trying until it or another is active.
async fn activate_shipped(model_context: &ModelContext, models: &Models, assigned: &mut Assigned) {
    let mut tries = 0;
    loop {
        let introduced = tokio::select! {
            introduced = register_shipped(models.registry.as_ref(), models.engines.as_ref()) => introduced,
            () = until_other(assigned, ModelUse::Active, None) => return,
        };
        let Err(unfit) = introduced else { return };
        let pause = model_context.settings.model_backoff.delay(tries, rand::random());
        model_context.metrics.model_failures.with_label_values(&[unfit.stage.as_str()]).inc();
        model_context.health.set_model_error(Some(format!("the shipped model: {unfit}")));
        let (why, seconds) = (&unfit.why, pause.as_secs_f64());
        tracing::error!(
            error = why,
            "no model is active, and the shipped one could not be registered; retrying in {seconds:.1} s"
        );
        tries += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = until_other(assigned, ModelUse::Active, None) => return,
        }
    }
}

async fn register_shipped(
    registry: &dyn ModelRegistry,
    engines: &dyn Engines,
) -> Result<(), ModelLoadError> {
    let refused = |error: RegistryError| {
        ModelLoadError::new(
            LoadStage::Load,
            format!("it cannot be registered and activated: {error}"),
        )
    };
    let shipped = engines.shipped().await?;
    registry.register(&shipped, SYSTEM_ACTOR).await.map_err(refused)?;
    // Somebody may have chosen a model while the weights were being stored: theirs stands.
    if registry.activate_first(&shipped.version, SYSTEM_ACTOR).await.map_err(refused)? {
        tracing::info!(
            model = shipped.version,
            "no model was ever active: the shipped one is registered and activated"
        );
    }
    Ok(())
}

/// Changes the engine whenever another model becomes active. Returns when the dispatcher has ended.
pub(crate) async fn follow_active(
    model_context: ModelContext,
    models: Models,
    mut assigned: Assigned,
    swaps: mpsc::Sender<Swap>,
) {
    loop {
        let Some(model) = wanted(&mut assigned, ModelUse::Active).await else {
            until_other(&mut assigned, ModelUse::Active, None).await;
            continue;
        };
        let serving = model_context.health.model();
        let same = serving.is_some_and(|now| {
            (&now.version, &now.sha256) == (&model.model.version, &model.model.sha256)
        });
        if same {
            // Also when a model that could not be had was wanted in between.
            model_context.health.set_model_error(None);
            until_other(&mut assigned, ModelUse::Active, Some(&model)).await;
            continue;
        }
        let engines = models.engines.as_ref();
        let engine = obtain(&model_context, engines, &mut assigned, &model, ModelUse::Active).await;
        let Some(engine) = engine else { continue };
        let info = engine.info().clone();
        let (before, old) = oneshot::channel();
        if swaps.send(Swap { engine, before }).await.is_err() {
            return;
        }
        let Ok(coming) = old.await else {
            let version = &info.model.version;
            let why =
                format!("model {version}: its engine cannot take the place of the one before");
            tracing::error!(
                model = version,
                "its engine cannot take the place of the one before, which goes on: restart the worker"
            );
            model_context.health.set_model_error(Some(why));
            until_other(&mut assigned, ModelUse::Active, Some(&model)).await;
            continue;
        };
        let mut old = Vec::with_capacity(coming.len());
        for one in coming {
            let Ok(engine) = one.await else { return };
            old.push(engine);
        }
        model_context.health.set_model(info.model.clone());
        model_context.health.set_model_error(None);
        model_context.metrics.model(&info);
        model_context.metrics.model_swaps.inc();
        let from = old.first().map(|old| old.info().model.version.as_str());
        tracing::info!(
            from,
            model = info.model.version,
            device = info.device,
            "another model answers images from here on"
        );
        // Hundreds of megabytes to give back, away from the threads that answer.
        let _ = tokio::task::spawn_blocking(move || drop(old)).await;
    }
}
