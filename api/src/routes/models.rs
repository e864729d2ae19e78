//! `/v1/models`: the registered models, and what is done with them.
//!
//! Workers look at the registry by themselves every few seconds; the signal after a change has them, and
//! the other processes, look at once.

use std::future::Future;
use std::sync::Arc;

use actix_web::web::{Data, Json, Path, Query};
use lobar_core::access::Right;
use lobar_core::audit::{Action, NewEntry};
use lobar_core::model_registry::{ModelRegistry, RegisteredModel, RegistryError};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::parameters::read_limit;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::models::{Assigned, Comparisons, History, ModelItem, ModelList};
use crate::problem::{Kind, Problem};
use crate::record::entry;

pub(super) const DEFAULT_LIMIT: usize = 50;
pub(super) const MAX_LIMIT: usize = 500;

/// How far back the history goes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    /// Changes, 1 to 500; 50 when missing.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// All models with their cards, and which one answers.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, body = ModelList)))]
pub(crate) async fn list(
    allowed: Allowed<need::ReadModels>,
    context: Data<Context>,
) -> Result<Json<ModelList>, Problem> {
    let read = context.ask_port(&context.models, |models| async move {
        // In this order: whoever knows the revision of this answer misses no change by it.
        let last = models.history(1).await?.into_iter().next();
        Ok::<_, RegistryError>((models.models().await?, last))
    });
    let (models, last) = read.await?;
    let mut list = ModelList::new(models, last, context.settings.pinned);
    if !allowed.caller().grants.allow(Right::ManageModels)
        && let Some(change) = &mut list.last_change
    {
        change.by = None;
    }
    Ok(Json(list))
}

/// One model.
#[utoipa::path(get, path = "/v1/models/{version}", tag = "models",
    params(("version" = String, Path, description = "The model's version.")),
    responses(
        (status = 200, body = ModelItem),
        (status = 404, description = "Not registered.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn one(
    _: Allowed<need::ReadModels>,
    context: Data<Context>,
    version: Path<String>,
) -> Result<Json<ModelItem>, Problem> {
    Ok(Json(known(&context, version.into_inner()).await?.into()))
}

/// What was done with which model.
fn changed(allowed: &Allowed<need::ManageModels>, what: &str, version: Option<&str>) -> NewEntry {
    let mut changed = entry(allowed, Action::ModelChanged, None);
    changed.detail = json!({ "change": what, "model": version });
    changed
}

/// Makes a model the active one; the one before is retired. No restart: workers load it beside the other
/// and change between two batches.
#[utoipa::path(post, path = "/v1/models/{version}/activate", tag = "models",
    params(("version" = String, Path, description = "The model's version.")),
    responses(
        (status = 200, body = Assigned),
        (status = 404, description = "Not registered.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn activate(
    allowed: Allowed<need::ManageModels>,
    context: Data<Context>,
    version: Path<String>,
) -> Result<Json<Assigned>, Problem> {
    let entry = changed(&allowed, "activate", Some(&version));
    let change =
        change(&context, |models| async move { models.activate(&version, allowed.name()).await })
            .await?;
    context.record(entry).await?;
    Ok(Json(change.into()))
}

/// Makes the model active that was before the present one.
#[utoipa::path(post, path = "/v1/models/rollback", tag = "models", responses(
    (status = 200, body = Assigned),
    (status = 409, description = "There is no earlier one.", content_type = "application/problem+json"),
))]
pub(crate) async fn roll_back(
    allowed: Allowed<need::ManageModels>,
    context: Data<Context>,
) -> Result<Json<Assigned>, Problem> {
    let entry = changed(&allowed, "rollback", None);
    let change =
        change(&context, |models| async move { models.roll_back(allowed.name()).await }).await?;
    context.record(entry).await?;
    Ok(Json(change.into()))
}

/// Sets a model aside that is not active.
#[utoipa::path(post, path = "/v1/models/{version}/retire", tag = "models",
    params(("version" = String, Path, description = "The model's version.")),
    responses(
        (status = 200, body = ModelItem),
        (status = 404, description = "Not registered.", content_type = "application/problem+json"),
        (status = 409, description = "It is the active one.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retire(
    allowed: Allowed<need::ManageModels>,
    context: Data<Context>,
    version: Path<String>,
) -> Result<Json<ModelItem>, Problem> {
    let entry = changed(&allowed, "retire", Some(&version));
    let change =
        change(&context, |models| async move { models.retire(&version, allowed.name()).await })
            .await?;
    context.record(entry).await?;
    Ok(Json(change.into()))
}

/// Lets a model run on live images beside the active one without being shown, in place of the shadow
/// before.
#[utoipa::path(post, path = "/v1/models/{version}/shadow", tag = "models",
    params(("version" = String, Path, description = "The model's version.")),
    responses(
        (status = 200, body = Assigned),
        (status = 404, description = "Not registered.", content_type = "application/problem+json"),
        (status = 409, description = "It is the active one.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn shadow(
    allowed: Allowed<need::ManageModels>,
    context: Data<Context>,
    version: Path<String>,
) -> Result<Json<Assigned>, Problem> {
    let entry = changed(&allowed, "shadow", Some(&version));
    let change =
        change(
            &context,
            |models| async move { models.shadow(Some(&version), allowed.name()).await },
        )
        .await?;
    context.record(entry).await?;
    Ok(Json(change.into()))
}

/// Ends a model's shadowing. One that does not shadow is left as it is.
#[utoipa::path(delete, path = "/v1/models/{version}/shadow", tag = "models",
    params(("version" = String, Path, description = "The model's version.")),
    responses(
        (status = 200, body = Assigned),
        (status = 404, description = "Not registered.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn unshadow(
    allowed: Allowed<need::ManageModels>,
    context: Data<Context>,
    version: Path<String>,
) -> Result<Json<Assigned>, Problem> {
    let entry = changed(&allowed, "unshadow", Some(&version));
    let change =
        change(
            &context,
            |models| async move { models.stop_shadow(&version, allowed.name()).await },
        )
        .await?;
    context.record(entry).await?;
    Ok(Json(change.into()))
}

/// What a model that shadows, or once did, saw otherwise than the models that were shown.
#[utoipa::path(get, path = "/v1/models/{version}/comparison", tag = "models",
    params(("version" = String, Path, description = "The shadow's version.")),
    responses(
        (status = 200, body = Comparisons),
        (status = 404, description = "Not registered.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn comparison(
    _: Allowed<need::ManageModels>,
    context: Data<Context>,
    version: Path<String>,
) -> Result<Json<Comparisons>, Problem> {
    let version = known(&context, version.into_inner()).await?.model.version;
    let shadow = version.clone();
    let compared = context
        .ask_port(&context.models, |models| async move { models.compare(&shadow).await })
        .await?;
    Ok(Json(Comparisons::new(version, compared)))
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/v1/models/history", tag = "models", params(HistoryQuery), responses(
    (status = 200, body = History),
    (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
))]
pub(crate) async fn history(
    _: Allowed<need::ManageModels>,
    context: Data<Context>,
    query: Query<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    let limit = read_limit(query.limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let changes = context
        .ask_port(&context.models, |models| async move { models.history(limit).await })
        .await?;
    Ok(Json(History::new(changes)))
}

async fn known(context: &Context, version: String) -> Result<RegisteredModel, Problem> {
    let ask = context.ask_port(&context.models, |models| async move {
        models.model(&version).await?.ok_or(RegistryError::Unknown(version))
    });
    ask.await
}

/// Asks for a change, and says that something changed. The change holds also when nobody hears of it.
async fn change<T, F>(
    context: &Context,
    change: impl FnOnce(Arc<dyn ModelRegistry>) -> F,
) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RegistryError>> + Send + 'static,
{
    let signal = Arc::clone(&context.signal);
    context.ask_port(&context.models, |models| {
        let change = change(models);
        async move {
            let done = change.await?;
            if let Err(error) = signal.publish().await {
                tracing::debug!(%error, "signal not published; workers find the model by polling");
            }
            Ok::<_, RegistryError>(done)
        }
    })
    .await
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Unknown(_) => Problem::new(
                Kind::UnknownModel,
                "`GET /v1/models` lists those that are registered.",
            ),
            RegistryError::Taken { .. } => Problem::new(Kind::ModelConflict, error.to_string()),
            RegistryError::Refused(why) => Problem::new(Kind::ModelConflict, format!("{why}.")),
            RegistryError::Port(error) => error.into(),
        }
    }
}
