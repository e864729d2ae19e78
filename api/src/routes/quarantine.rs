//! `/v1/quarantine`: messages that ingest put aside, and what is done with them.
//!
//! A list tells nothing of the messages, whose object keys are personal data; the entry itself does. Neither may be
//! kept by a cache.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Path, Query};
use lobar_core::audit::{Action, NewEntry};
use lobar_core::quarantine::{Entry, EntryId, QuarantineError, replay as replay_entry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::IntoParams;

use super::parameters::read_limit;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::quarantine::{QuarantineItem, QuarantineList, QuarantineMessage};
use crate::record::entry;

pub(super) const DEFAULT_LIMIT: usize = 100;
pub(super) const MAX_LIMIT: usize = 500;

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// `true`: also those that were replayed or discarded.
    #[param(value_type = Option<bool>)]
    all: Option<String>,
    /// `next` of the page before.
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    /// Entries, 1 to 500; 100 when missing.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// The entries that wait, newest first, without their messages.
#[utoipa::path(get, path = "/v1/quarantine", tag = "operations", params(ListQuery), responses(
    (status = 200, body = QuarantineList),
    (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    _: Allowed<need::ManageQuarantine>,
    context: Data<Context>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let ListQuery { all, before, limit } = query.into_inner();
    let wrong = |detail: &str| Problem::new(Kind::BadParameter, detail);
    let all = match all.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(wrong("`all` is `true` or `false`.")),
    };
    let before = before.map(|text| text.parse().map(EntryId)).transpose();
    let before = before.map_err(|_| wrong("`before` is the `next` of a page."))?;
    let limit = read_limit(limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let read = context.ask_port(&context.quarantine, move |quarantine| async move {
        Ok::<_, QuarantineError>((
            quarantine.list(all, before, limit).await?,
            quarantine.waiting().await?,
        ))
    });
    let (entries, waiting) = read.await?;
    Ok(private(&QuarantineList::new(entries, waiting, limit)))
}

/// One entry with its message, which names object keys.
#[utoipa::path(get, path = "/v1/quarantine/{id}", tag = "operations",
    params(("id" = i64, Path, description = "The entry's id.")),
    responses(
        (status = 200, body = QuarantineMessage),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn one(
    allowed: Allowed<need::ManageQuarantine>,
    context: Data<Context>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = read(&id)?;
    context.record(about_entry(&allowed, Action::QuarantineViewed, "show", id)).await?;
    let read = context.ask_port(&context.quarantine, move |quarantine| async move {
        quarantine.entry(id).await?.ok_or(QuarantineError::Unknown(id))
    });
    Ok(private(&QuarantineMessage::from(read.await?)))
}

/// Puts the message back onto the uploads queue, for ingest to read it as if it had just come. May be repeated.
#[utoipa::path(post, path = "/v1/quarantine/{id}/replay", tag = "operations",
    params(("id" = i64, Path, description = "The entry's id.")),
    responses(
        (status = 200, body = QuarantineItem),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
        (status = 409, description = "It was discarded.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay(
    allowed: Allowed<need::ManageQuarantine>,
    context: Data<Context>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = read(&id)?;
    let uploads = context.uploads.clone().ok_or_else(|| {
        Problem::new(Kind::Unavailable, "This process does not reach the uploads queue.")
    })?;
    let recorded = about_entry(&allowed, Action::QuarantineChanged, "replay", id);
    let replayed = context.ask_port(&context.quarantine, move |quarantine| async move {
        replay_entry(&*quarantine, &*uploads, id, allowed.name()).await
    });
    let replayed = replayed.await?;
    context.record(recorded).await?;
    Ok(item(replayed))
}

/// Says that the message is nothing of ours. The entry stays, the message goes.
#[utoipa::path(post, path = "/v1/quarantine/{id}/discard", tag = "operations",
    params(("id" = i64, Path, description = "The entry's id.")),
    responses(
        (status = 200, body = QuarantineItem),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
        (status = 409, description = "It was discarded before.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn discard(
    allowed: Allowed<need::ManageQuarantine>,
    context: Data<Context>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = read(&id)?;
    let recorded = about_entry(&allowed, Action::QuarantineChanged, "discard", id);
    let discarded = context.ask_port(&context.quarantine, move |quarantine| async move {
        quarantine.discard(id, allowed.name()).await
    });
    let discarded = discarded.await?;
    context.record(recorded).await?;
    Ok(item(discarded))
}

/// What was done with which entry.
fn about_entry(
    allowed: &Allowed<need::ManageQuarantine>,
    action: Action,
    what: &str,
    id: EntryId,
) -> NewEntry {
    let mut about = entry(allowed, action, None);
    about.detail = json!({ "change": what, "entry": id.0 });
    about
}

fn read(id: &str) -> Result<EntryId, Problem> {
    let wrong = |_| Problem::new(Kind::BadParameter, "The id in the address is not a number.");
    id.parse().map(EntryId).map_err(wrong)
}

fn item(entry: Entry) -> HttpResponse {
    private(&QuarantineItem::from(entry))
}

fn private(body: &impl Serialize) -> HttpResponse {
    let never = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
    HttpResponse::Ok().insert_header(never).json(body)
}

impl From<QuarantineError> for Problem {
    fn from(error: QuarantineError) -> Self {
        match error {
            QuarantineError::Unknown(_) => Problem::new(
                Kind::UnknownEntry,
                "`GET /v1/quarantine?all=true` lists those that there are.",
            ),
            QuarantineError::Discarded(_) => {
                Problem::new(Kind::EntryDiscarded, "Its message is gone.")
            }
            QuarantineError::Unreadable(_) => Problem::new(
                Kind::EntryUnreadable,
                "Another release gave it its state, or it is damaged: use the release that wrote it.",
            ),
            QuarantineError::Port(error) => error.into(),
        }
    }
}
