//! `/v1/images/{id}/claim`: who has an image open.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Query};
use lobar_core::access::Right;
use lobar_core::audit::Action;
use lobar_core::exposure::Reader;
use lobar_core::failure::PortError;
use lobar_core::object::ImageId;
use lobar_core::worklist::{Claimed, Claiming};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::access::{Allowed, Need, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::readership::ClaimBody;
use crate::record::about;
use crate::visible::{unknown, visible};

/// How an image is claimed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimQuery {
    /// `true`: also where another reader has it, who loses it.
    #[param(value_type = Option<bool>)]
    take_over: Option<String>,
}

impl ClaimQuery {
    fn claiming(&self) -> Result<Claiming, Problem> {
        match self.take_over.as_deref() {
            None | Some("" | "false") => Ok(Claiming::Open),
            Some("true") => Ok(Claiming::TakeOver),
            Some(_) => Err(Problem::new(Kind::BadParameter, "`take_over` takes true or false.")),
        }
    }
}

/// Says that the caller has an image open, and goes on saying it: the claim lapses after a while (`until`) unless it is claimed
/// again. Where another reader has it, nothing changes and the answer says who: it is a warning, and nobody is kept from
/// reading or from giving a verdict. `take_over` takes it from them. Who may give no verdict on the image claims nothing, and is
/// told who has it.
#[utoipa::path(post, path = "/v1/images/{id}/claim", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id."), ClaimQuery),
    responses(
        (status = 200, body = ClaimBody, description = "Whoever has it now: see `mine`."),
        (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
        (status = 404, description = "Not known, replaced or removed.", content_type = "application/problem+json"),
        (status = 410, description = "It was erased.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn claim(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
    query: Query<ClaimQuery>,
) -> Result<Json<ClaimBody>, Problem> {
    let id = ImageId(id.into_inner());
    let claiming = query.claiming()?;
    let image = visible(&context, &allowed, id).await?;
    let (reader, lease) = (reader(&allowed), context.settings.reading_lease);
    let own = reader.id;
    let shared = Data::clone(&context);
    let judges = allowed.caller().grants.reach(Right::GiveVerdicts);
    if !judges.include(image.object.site()) {
        let known = context
            .ask_port(&context.worklist, move |port| async move { port.readership(&[id]).await });
        let held = known.await?.remove(&id).and_then(|known| known.claim);
        let told = held.map(|held| ClaimBody::told(held, own));
        return Ok(Json(told.unwrap_or_default()));
    }
    let claimed = context.run(async move {
        let claimed = shared.worklist.claim_reading(id, &reader, claiming, lease).await?;
        if claimed.as_ref().is_some_and(|claimed| claimed.is_new) {
            tell(&shared).await;
        }
        Ok::<_, PortError>(claimed)
    });
    let Claimed { claim, is_new, taken_from } = claimed.await??.ok_or_else(unknown)?;
    if is_new {
        let mut entry = about(&allowed, Action::ReadingClaimed, &image);
        // The id alone: who that is stands in the record where they claimed it.
        entry.detail = json!({ "taken_from": taken_from.map(|reader| reader.id) });
        context.recorder.note_each(entry)?;
    }
    Ok(Json(ClaimBody::told(claim, own)))
}

/// Says that the caller has closed an image. A claim of another reader stays.
#[utoipa::path(delete, path = "/v1/images/{id}/claim", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id.")),
    responses(
        (status = 204, description = "The caller does not have it (any more)."),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
        (status = 410, description = "It was erased.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn release(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let image = visible(&context, &allowed, id).await?;
    let (reader, shared) = (reader(&allowed), Data::clone(&context));
    let released = context.run(async move {
        let released = shared.worklist.release_reading(id, &reader).await?;
        if released {
            tell(&shared).await;
        }
        Ok::<_, PortError>(released)
    });
    if released.await?? {
        context.recorder.note_each(about(&allowed, Action::ReadingReleased, &image))?;
    }
    Ok(HttpResponse::NoContent().finish())
}

fn reader<N: Need>(allowed: &Allowed<N>) -> Reader {
    Reader { id: allowed.caller().who.id(), name: allowed.name().to_owned() }
}

/// Pages look for the event.
async fn tell(context: &Arc<Context>) {
    if let Err(error) = context.signal.publish().await {
        tracing::debug!(%error, "signal not published; pages find the claim by polling");
    }
}
