//! `POST /v1/images/{id}/copies`: a reader takes a picture out of the page.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use lobar_core::audit::Action;
use lobar_core::object::ImageId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::picture::known;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::problem::{Kind, Problem};
use crate::record::about;

/// What is taken out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyBody {
    /// Whither it goes.
    to: CopyWord,
    /// Whether the heatmap is in it.
    #[serde(default)]
    heatmap: bool,
}

/// Whither a picture goes.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CopyWord {
    File,
    Clipboard,
}

/// Records that the caller takes a picture of the image out of their page, before it is made: a client that may not record it
/// makes none. The page burns whose it is, and that it is not for diagnostic use, into what it makes.
#[utoipa::path(post, path = "/v1/images/{id}/copies", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    request_body = CopyBody,
    responses(
        (status = 204, description = "It is on record."),
        (status = 404, description = "Not known, or removed.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn add(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
    body: Json<CopyBody>,
) -> Result<HttpResponse, Problem> {
    let image = known(&context, &allowed, ImageId(id.into_inner()), Kind::NoPicture).await?;
    let CopyBody { to, heatmap } = body.into_inner();
    // What is withheld cannot be in it: its heatmap was never sent.
    if heatmap && let Some(why) = context.withheld_of(&allowed, &image).await {
        return Err(why.problem());
    }
    let to = match to {
        CopyWord::File => "file",
        CopyWord::Clipboard => "clipboard",
    };
    let mut entry = about(&allowed, Action::Exported, &image);
    entry.detail = json!({ "picture_to": to, "heatmap": heatmap });
    context.into_inner().record(entry).await?;
    Ok(HttpResponse::NoContent().finish())
}
