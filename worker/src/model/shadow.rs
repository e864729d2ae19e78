//! The shadow model: runs on images that were already answered; its results are stored for
//! comparison and shown to nobody.
//!
//! It computes on a thread of its own, a few images at a time, and begins only while the engine that
//! answers has nothing in hand. So on a machine whose cores are all taken by that engine the shadow
//! stands back: under full load nearly everything is dropped, and the comparison goes on when the load
//! is lower. A batch that arrives meanwhile waits for nothing: both compute, for the time of a few
//! images at most, and whoever makes the shadow's engine gives its threads the lowest importance.
//!
//! A shadow that panics or hangs is left alone until another is chosen, or the process starts anew.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::Engine;
use lobar_core::model_registry::{ModelRegistry, RegisteredModel, ShadowFinding};
use tokio::sync::mpsc;

use super::assignment::{until_other, wanted};
use super::proof::obtain;
use super::shadow_queue::AnsweredImage;
use super::{Assigned, ModelUse, Models};
use crate::context::{Context, ModelContext};
use crate::device::{Answer, Device};

/// Images that the shadow computes at once: what the other engine may have to share its cores with.
const FEW: usize = 2;
/// Comparisons that are kept at once, when that many wait.
const KEPT_AT_ONCE: usize = 32;
/// How long the shadow's thread may take to end.
const CLOSING: Duration = Duration::from_secs(2);

/// What may become of an image that was offered.
const COMPARED: &str = "compared";
pub(super) const DROPPED: &str = "dropped";
const FAILED: &str = "failed";
const LOST: &str = "lost";
pub(crate) const OUTCOMES: [&str; 4] = [COMPARED, DROPPED, FAILED, LOST];

/// Runs whichever shadow the registry names, until the worker stops.
pub(crate) async fn follow_shadow(
    model_context: ModelContext,
    models: Models,
    mut assigned: Assigned,
    context: Arc<Context>,
) {
    let stopping = context.stopping.clone();
    loop {
        let next = next(&model_context, &models, &mut assigned);
        let Some((model, engine)) = stopping.run_until_cancelled(next).await else { return };
        let version = model.model.version.clone();
        let looked = match Device::start("shadow", engine) {
            Ok(device) => {
                tracing::info!(model = version, "shadow model started");
                let looking = look_on(&context, models.registry.as_ref(), &version, &device);
                let ended = tokio::select! {
                    why = looking => Err(why),
                    () = until_other(&mut assigned, ModelUse::Shadow, Some(&model)) => Ok(()),
                    () = stopping.cancelled() => Ok(()),
                };
                context.shadow.connect(None);
                device.close(CLOSING).await;
                ended
            }
            Err(error) => Err(format!("no thread for it: {error}")),
        };
        if let Err(why) = looked {
            tracing::error!(
                model = version,
                error = why,
                "shadow model ended; results that are shown are not affected"
            );
            let another = until_other(&mut assigned, ModelUse::Shadow, Some(&model));
            stopping.run_until_cancelled(another).await;
        }
    }
}

/// The next model to look on, once there is one and its engine is made.
async fn next(
    model_context: &ModelContext,
    models: &Models,
    assigned: &mut Assigned,
) -> (RegisteredModel, Box<dyn Engine + Send>) {
    loop {
        let Some(model) = wanted(assigned, ModelUse::Shadow).await else {
            until_other(assigned, ModelUse::Shadow, None).await;
            continue;
        };
        let engines = models.engines.as_ref();
        if let Some(engine) =
            obtain(model_context, engines, assigned, &model, ModelUse::Shadow).await
        {
            return (model, engine);
        }
    }
}

/// Looks at what is offered until the engine fails; says how.
async fn look_on(
    context: &Context,
    registry: &dyn ModelRegistry,
    version: &str,
    device: &Device,
) -> String {
    let threshold = device.info.threshold;
    let (post, mut offered) = mpsc::channel(context.settings.shadow_queue.max(1));
    context.shadow.connect(Some(post));
    let count = |outcome: &str, images: usize| {
        let counter = context.metrics.shadow_images.with_label_values(&[outcome]);
        counter.inc_by(images.try_into().unwrap_or(u64::MAX));
    };
    let (mut few, mut kept) = (Vec::with_capacity(FEW), Vec::with_capacity(KEPT_AT_ONCE));
    loop {
        if offered.recv_many(&mut few, FEW).await == 0 {
            return "nobody offers images any more".into();
        }
        context.shadow.until_idle().await;
        let (images, before) = (few.len(), kept.len());
        let inputs = few.iter().map(|seen: &AnsweredImage| seen.input.clone()).collect();
        let reply = device.submit(inputs);
        let why = match tokio::time::timeout(context.settings.watchdog, reply).await {
            Ok(Ok(reply)) => match reply.answers {
                Ok(answers) => {
                    let pairs = few.drain(..).zip(answers);
                    kept.extend(pairs.filter_map(|(s, a)| finding(version, threshold, s, a)));
                    count(FAILED, images - (kept.len() - before));
                    None
                }
                Err(fault) => Some(fault.to_string()),
            },
            Ok(Err(_)) => Some("its thread has ended".to_owned()),
            Err(_) => Some(format!("it has not answered for {:?}", context.settings.watchdog)),
        };
        if let Some(why) = why {
            count(FAILED, images);
            return why;
        }
        if !kept.is_empty() && (offered.is_empty() || kept.len() + FEW > KEPT_AT_ONCE) {
            let outcome = match registry.record_shadow(&kept).await {
                Ok(()) => COMPARED,
                Err(error) => {
                    tracing::warn!(%error, images = kept.len(), "shadow comparisons not stored; they are lost");
                    LOST
                }
            };
            count(outcome, kept.len());
            kept.clear();
        }
    }
}

fn finding(
    version: &str,
    threshold: f64,
    seen: AnsweredImage,
    answer: Answer,
) -> Option<ShadowFinding> {
    let Answer::Prediction(prediction) = answer else { return None };
    let probability = prediction.probability;
    (0.0..=1.0).contains(&probability).then(|| ShadowFinding {
        image: seen.image,
        version: version.to_owned(),
        probability,
        flagged: probability >= threshold,
        shown_version: seen.version,
        shown_probability: seen.probability,
        shown_flagged: seen.flagged,
    })
}
