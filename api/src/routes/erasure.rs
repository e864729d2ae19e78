//! `DELETE /v1/images/{id}`: erasing an image for good.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use lobar_core::audit::Actor;
use lobar_core::erasure::{ErasureOrder, ErasureReason, Tombstone};
use lobar_core::failure::PortError;
use lobar_core::object::{ImageId, ObjectVersion};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::request::RequestId;
use crate::timestamp::rfc3339;
use crate::visible::unknown;

/// Why.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseQuery {
    /// `request`, `consent`, `mistake`, `obligation` or `retention`. It goes into the audit record.
    reason: String,
}

/// What is left of an erased image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasedItem {
    id: Uuid,
    /// `erasing` while the bucket has not deleted every version; `erased` afterwards. Nothing is served in either.
    #[schema(value_type = String)]
    state: &'static str,
    /// When it was asked for.
    asked_at: String,
    /// When the bucket had deleted it.
    erased_at: Option<String>,
}

/// Erases an image for good: every version of its object, its result, what readers said of it. It cannot be undone. Of an
/// image that is erased already, it goes on where that was interrupted.
#[utoipa::path(delete, path = "/v1/images/{id}", tag = "images",
    params(("id" = Uuid, Path, description = "The image's id."), EraseQuery),
    responses(
        (status = 200, body = ErasedItem, description = "Erased."),
        (status = 202, body = ErasedItem, description = "Nothing of it is served any more; the bucket has not deleted it yet, and is asked again."),
        (status = 400, description = "The reason is missing, or none of the known ones.", content_type = "application/problem+json"),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn erase(
    allowed: Allowed<need::EraseImages>,
    context: Data<Context>,
    id: Path<Uuid>,
    query: Query<EraseQuery>,
) -> Result<HttpResponse, Problem> {
    let id = ImageId(id.into_inner());
    let reason = query.reason.parse::<ErasureReason>();
    let reason =
        reason.map_err(|error| Problem::new(Kind::BadParameter, format!("`reason`: {error}.")))?;
    let object = find(&context, &allowed, id).await?;
    let site = object.as_ref().and_then(ObjectVersion::site);
    let order = ErasureOrder {
        reason,
        actor: Actor::from(&allowed.caller().who),
        role: allowed.role(site),
        request: RequestId::current().map(|id| id.to_string()),
        detail: Value::Null,
    };
    let shared = Data::clone(&context);
    let tombstone = context.run(async move { carry_out(&shared, id, object, &order).await });
    let tombstone = tombstone.await??.ok_or_else(unknown)?;
    let mut response = match tombstone.erased_at {
        Some(_) => HttpResponse::Ok(),
        None => HttpResponse::Accepted(),
    };
    Ok(response.json(ErasedItem::from(tombstone)))
}

/// The object of an image that the caller may erase; `None` where it is erased already.
async fn find(
    context: &Data<Context>,
    allowed: &Allowed<need::EraseImages>,
    id: ImageId,
) -> Result<Option<ObjectVersion>, Problem> {
    if let Some(image) = context.ask(move |store| async move { store.image(id).await }).await? {
        let object = Some(image.object).filter(|object| allowed.at(object.site()));
        return object.map(Some).ok_or_else(unknown);
    }
    let erasures = &context.erasure.erasures;
    let tombstone = context.ask_port(erasures, |port| async move { port.tombstone(id).await });
    let at = |tombstone: &Tombstone| allowed.at(tombstone.site.as_ref().map(|site| site.as_str()));
    tombstone.await?.filter(at).map(|_| None).ok_or_else(unknown)
}

async fn carry_out(
    context: &Context,
    id: ImageId,
    object: Option<ObjectVersion>,
    order: &ErasureOrder,
) -> Result<Option<Tombstone>, PortError> {
    let ports = &context.erasure;
    let done = match object {
        Some(object) => ports.erase_image(&object, order).await,
        None => ports.finish_one(id).await,
    };
    let tombstone = ports.erasures.tombstone(id).await?;
    match done {
        Ok(done) if done.refused > 0 => tracing::warn!(
            image = %id,
            objects = done.refused,
            "erasing: the bucket refuses to delete versions; they are not served, and tried again (docs/erasure.md)"
        ),
        Ok(_) => {}
        // It is forgotten already: the bucket is asked again in the background.
        Err(error) if tombstone.is_some() => {
            tracing::warn!(image = %id, %error, "erasing: the bucket could not be asked; ingest tries again");
        }
        Err(error) => return Err(error),
    }
    // Followers forget it by the event; this is for those that have not come to it.
    let position = context.store.newest_position().await?;
    context.answers.forget(&[(id, position)]).await;
    if let Err(error) = context.signal.publish().await {
        tracing::debug!(%error, "signal not published; pages find the erasure by polling");
    }
    Ok(tombstone)
}

impl From<Tombstone> for ErasedItem {
    fn from(tombstone: Tombstone) -> Self {
        let Tombstone { id, asked_at, erased_at, .. } = tombstone;
        let state = if erased_at.is_some() { "erased" } else { "erasing" };
        let (asked_at, erased_at) = (rfc3339(asked_at), erased_at.map(rfc3339));
        Self { id: id.0, state, asked_at, erased_at }
    }
}
