//! What the registry wants to be run, asked again and again.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::model_registry::{Assignment, ModelRegistry, RegisteredModel};
use tokio::sync::watch;

use super::ModelUse;

/// The assignment as far as it is known; `None` until the registry has answered once.
pub(crate) type Assigned = watch::Receiver<Option<Assignment>>;

/// Asks the registry until nobody listens any more. While it does not answer, what it said last stands.
pub(crate) async fn follow_assignment(
    registry: Arc<dyn ModelRegistry>,
    every: Duration,
    told: watch::Sender<Option<Assignment>>,
) {
    let mut away = false;
    while !told.is_closed() {
        match registry.assignment().await {
            Ok(assignment) => {
                if std::mem::take(&mut away) {
                    tracing::info!("model registry answers again");
                }
                told.send_if_modified(|known| {
                    let revision = assignment.revision;
                    let new = known.as_ref().is_none_or(|known| known.revision != revision);
                    if new {
                        *known = Some(assignment);
                    }
                    new
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    let seconds = every.as_secs_f64();
                    tracing::warn!(%error, "model registry unreachable; the last assignment stands; retrying every {seconds:.0} s");
                }
            }
        }
        tokio::time::sleep(every).await;
    }
}

/// The model that is wanted for a use.
pub(super) fn pick(assignment: &Assignment, wanted_for: ModelUse) -> Option<&RegisteredModel> {
    match wanted_for {
        ModelUse::Active => assignment.active.as_ref(),
        ModelUse::Shadow => assignment.shadow.as_ref(),
    }
}

/// The model that is wanted now; waits until the registry has answered once. `None` when there is none
/// for this use, or nobody asks the registry any more.
pub(super) async fn wanted(
    assigned: &mut Assigned,
    wanted_for: ModelUse,
) -> Option<RegisteredModel> {
    let known = assigned.wait_for(Option::is_some).await.ok()?;
    known.as_ref().and_then(|assignment| pick(assignment, wanted_for)).cloned()
}

/// Returns once another model than `this` is wanted, or none; never when nobody asks the registry any
/// more.
pub(super) async fn until_other(
    assigned: &mut Assigned,
    wanted_for: ModelUse,
    this: Option<&RegisteredModel>,
) {
    let now = |known: &Option<Assignment>| {
        known.as_ref().is_some_and(|assignment| {
            let wanted = pick(assignment, wanted_for).map(|model| &model.model);
            wanted != this.map(|model| &model.model)
        })
    };
    if assigned.wait_for(now).await.is_err() {
        std::future::pending::<()>().await;
    }
}
