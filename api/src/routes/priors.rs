//! `GET /v1/images/{id}/priors`: earlier images of the same patient.

use actix_web::web::{Data, Json, Path, Query};
use lobar_core::audit::Action;
use lobar_core::object::ImageId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::images::items;
use super::parameters::read_limit;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::item::ImageItem;
use crate::problem::Problem;
use crate::record::entry;
use crate::statement::STATEMENT_OF_USE;
use crate::visible::visible;

pub(super) const DEFAULT_LIMIT: usize = 20;
pub(super) const MAX_LIMIT: usize = 100;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriorsQuery {
    /// At most so many, 1 to 100; 20 when missing.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// Earlier images.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Priors {
    /// Newest first, by the date and time of their studies; where a study has none, by when they were received.
    items: Vec<ImageItem>,
    /// What results are for.
    #[schema(value_type = String)]
    statement_of_use: &'static str,
}

/// Earlier images of the same patient at the same site, of other studies than this image's, newest first, each with its
/// result as this caller may see it. An image whose patient is not known has none.
#[utoipa::path(get, path = "/v1/images/{id}/priors", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id."), PriorsQuery),
    responses(
        (status = 200, body = Priors),
        (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
        (status = 410, description = "It was erased.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
    query: Query<PriorsQuery>,
) -> Result<Json<Priors>, Problem> {
    let id = ImageId(id.into_inner());
    let limit = read_limit(query.limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let image = visible(&context, &allowed, id).await?;
    let asked =
        context.ask_port(&context.studies, move |port| async move { port.priors(id, limit).await });
    // They are of the same site; nothing of another is shown, whatever is stored.
    let mut found = asked.await?;
    found.retain(|prior| allowed.at(prior.object.site()));
    let mut seen = entry(&allowed, Action::Listed, image.object.site());
    seen.detail = json!({ "priors_of": id.0, "images": found.len() });
    let ids: Vec<Uuid> = found.iter().map(|prior| prior.id.0).collect();
    context.recorder.note_list(seen, &format!("priors {}", id.0), &ids)?;
    let items = items(&context, &allowed, found).await?;
    Ok(Json(Priors { items, statement_of_use: STATEMENT_OF_USE }))
}
