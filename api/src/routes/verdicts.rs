//! `/v1/images/{id}/verdicts`: what readers say of images.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use lobar_core::access::Role;
use lobar_core::audit::Action;
use lobar_core::failure::PortError;
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_core::verdict::{NewVerdict, VerdictError};
use serde_json::json;
use uuid::Uuid;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::problem::{Kind, Problem};
use crate::record::about;
use crate::verdict::{VerdictBody, VerdictItem, VerdictList};
use crate::visible::{unknown, visible};

/// Adds a verdict. Earlier ones are kept; the newest counts.
#[utoipa::path(post, path = "/v1/images/{id}/verdicts", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    request_body = VerdictBody,
    responses(
        (status = 201, body = VerdictItem),
        (status = 400, description = "Members that do not go together.", content_type = "application/problem+json"),
        (status = 404, description = "Not known, or removed.", content_type = "application/problem+json"),
        (status = 409, description = "The caller's own opinion is asked for first, or another result is there than the one that was shown: look again.", content_type = "application/problem+json"),
        (status = 422, description = "There is no result to agree with.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn add(
    allowed: Allowed<need::GiveVerdicts>,
    context: Data<Context>,
    id: Path<Uuid>,
    body: Json<VerdictBody>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let new = body.into_inner().on(id, allowed.name())?;
    let image = visible(&context, &allowed, id).await?;
    if let Some(why) = context.withheld_of(&allowed, &image).await {
        return Err(why.problem());
    }
    let role = allowed.role(image.object.site()).map_or("", Role::as_str).to_owned();
    let new = NewVerdict { role, ..new };
    let (verdicts, signal) = (Arc::clone(&context.verdicts), Arc::clone(&context.signal));
    let added = context.run(async move {
        let added = verdicts.add(&new).await?;
        if let Err(error) = signal.publish().await {
            tracing::debug!(%error, "signal not published; pages find the verdict by polling");
        }
        Ok::<_, VerdictError>(added)
    });
    let added = added.await??;
    let mut given = about(&allowed, Action::VerdictGiven, &image);
    given.subject = Some(added.id);
    given.detail = json!({
        "opinion": added.verdict.opinion.word(),
        "label": added.label.map(Label::word),
        "model": added.verdict.model_version,
        "displayed": added.verdict.displayed,
    });
    context.record(given).await?;
    Ok(HttpResponse::Created().json(VerdictItem::from(added)))
}

/// What readers said of one image, oldest first: verdicts, and opinions from before the result was shown (`own`).
#[utoipa::path(get, path = "/v1/images/{id}/verdicts", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 200, body = VerdictList),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<Json<VerdictList>, Problem> {
    let id = ImageId(id.into_inner());
    let image = visible(&context, &allowed, id).await?;
    if let Some(why) = context.withheld_of(&allowed, &image).await {
        return Ok(Json(VerdictList { items: Vec::new(), withheld: Some(why.word()) }));
    }
    let (verdicts, exposures) = (Arc::clone(&context.verdicts), Arc::clone(&context.exposures));
    let given = context.run(async move {
        Ok::<_, PortError>((verdicts.of(id).await?, exposures.opinions(id).await?))
    });
    let (given, own) = given.await??;
    context.recorder.note(about(&allowed, Action::VerdictsViewed, &image))?;
    let own = own.into_iter().map(|opinion| (opinion.at, VerdictItem::from(opinion)));
    let given = given.into_iter().map(|verdict| (verdict.at, VerdictItem::from(verdict)));
    let mut items: Vec<_> = own.chain(given).collect();
    items.sort_by_key(|(at, _)| *at);
    Ok(Json(VerdictList {
        items: items.into_iter().map(|(_, item)| item).collect(),
        withheld: None,
    }))
}

impl From<VerdictError> for Problem {
    fn from(error: VerdictError) -> Self {
        match error {
            VerdictError::Unknown => unknown(),
            VerdictError::Stale => Problem::new(
                Kind::StaleVerdict,
                "Look at the image again: what is shown of it has changed.",
            ),
            VerdictError::NothingToAgreeWith => {
                Problem::new(Kind::NothingToAgreeWith, "Say what is right instead.")
            }
            VerdictError::Port(error) => error.into(),
        }
    }
}
