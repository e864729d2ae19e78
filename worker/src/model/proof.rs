//! Loads the engine of a model and checks that it is the registered one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lobar_core::engine::Engine;
use lobar_core::model_registry::{NewModel, RegisteredModel};
use tokio::sync::oneshot;

use super::assignment::until_other;
use super::{Assigned, Engines, LoadStage, ModelLoadError, ModelUse};
use crate::context::ModelContext;
use crate::device::{panic_message, probe};

/// An engine of `model`, tried again after growing pauses until there is one; `None` once another model
/// is wanted.
pub(super) async fn obtain(
    model_context: &ModelContext,
    engines: &dyn Engines,
    assigned: &mut Assigned,
    model: &RegisteredModel,
    wanted_for: ModelUse,
) -> Option<Box<dyn Engine + Send>> {
    let version = &model.model.version;
    let mut tries = 0;
    loop {
        let made = tokio::select! {
            biased;
            () = until_other(assigned, wanted_for, Some(model)) => return None,
            made = make(model_context, engines, &model.model, wanted_for) => made,
        };
        let unfit = match made {
            Ok(engine) => return Some(engine),
            Err(unfit) => unfit,
        };
        let pause = model_context.settings.model_backoff.delay(tries, rand::random());
        model_context.metrics.model_failures.with_label_values(&[unfit.stage.as_str()]).inc();
        if wanted_for == ModelUse::Active {
            model_context.health.set_model_error(Some(format!("model {version}: {unfit}")));
        }
        let (why, stage, seconds) = (&unfit.why, unfit.stage.as_str(), pause.as_secs_f64());
        tracing::error!(
            model = version,
            error = why,
            stage,
            ?wanted_for,
            "model not loaded; the one before goes on; retrying in {seconds:.1} s"
        );
        tries += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = until_other(assigned, wanted_for, Some(model)) => return None,
        }
    }
}

/// One try.
async fn make(
    model_context: &ModelContext,
    engines: &dyn Engines,
    model: &NewModel,
    wanted_for: ModelUse,
) -> Result<Box<dyn Engine + Send>, ModelLoadError> {
    let limit = model_context.settings.loading;
    let made = tokio::time::timeout(limit, engines.make(model, wanted_for)).await;
    let too_long =
        |_| ModelLoadError::new(LoadStage::Load, format!("it was not loaded within {limit:?}"));
    let engine = made.map_err(too_long)??;
    let found = &engine.info().model;
    if (&found.version, &found.sha256) != (&model.version, &model.sha256) {
        let why = format!("it is version {} with SHA-256 {}", found.version, found.sha256);
        return Err(ModelLoadError::new(LoadStage::Card, why));
    }
    answers(engine, model_context.settings.watchdog).await
}

/// The engine, if it answers on a known good input. It is asked on a thread of its own, which is left
/// behind when it does not come back.
async fn answers(
    mut engine: Box<dyn Engine + Send>,
    limit: Duration,
) -> Result<Box<dyn Engine + Send>, ModelLoadError> {
    let unfit = |why: String| ModelLoadError::new(LoadStage::Golden, why);
    let (tell, told) = oneshot::channel();
    let ask = move || {
        let asked = catch_unwind(AssertUnwindSafe(|| engine.infer(&[probe()])));
        let _ = tell.send(match asked {
            Ok(Ok(answers)) => match answers.first() {
                Some(Ok(answer)) if answer.probability.is_finite() => Ok(engine),
                _ => Err("no usable answer on a known good input".to_owned()),
            },
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(format!("it panicked: {}", panic_message(panic.as_ref()))),
        });
    };
    let thread = std::thread::Builder::new().name("proof".into()).spawn(ask);
    thread.map_err(|error| {
        ModelLoadError::new(LoadStage::Load, format!("no thread for it: {error}"))
    })?;
    match tokio::time::timeout(limit, told).await {
        Ok(Ok(answer)) => answer.map_err(unfit),
        Ok(Err(_)) => Err(unfit("its thread ended".into())),
        Err(_) => Err(unfit(format!("it has not answered for {limit:?}"))),
    }
}
