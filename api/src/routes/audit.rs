//! `GET /v1/audit`: the record of who saw and did what, for auditors.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use lobar_core::audit::{Action, Cursor, Entry, Filter};
use lobar_core::object::ImageId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::parameters::read_limit;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::instant;
use crate::problem::{Kind, Problem};
use crate::record::entry;

pub(super) const DEFAULT_LIMIT: usize = 100;
pub(super) const MAX_LIMIT: usize = 1_000;

/// Which entries. An unknown parameter is an error.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Only of this action: `viewed`, `verdict_given`, `inferred`, ….
    action: Option<String>,
    /// Only about this image.
    image: Option<Uuid>,
    /// Only by this account or token.
    actor: Option<Uuid>,
    /// Only from then on: `2026-03-01`, `2026-03-01T09:05:00Z`.
    since: Option<String>,
    /// Only up to then.
    until: Option<String>,
    /// Numbers above this one, the lowest first; 0 is the beginning.
    #[param(value_type = Option<u64>)]
    after: Option<String>,
    /// Numbers below this one, the highest first. Without both: from the newest back.
    #[param(value_type = Option<u64>)]
    before: Option<String>,
    /// Entries a page, 1 to 1,000; 100 when missing.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `json`, or `ndjson`: one entry a line, as `lobar audit verify --file` takes them.
    format: Option<String>,
}

/// A page of the record.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// The entries, as they are stored: their hashes are of these very members.
    #[schema(value_type = Vec<serde_json::Value>)]
    items: Vec<Entry>,
}

/// A page of the record; one that is shorter than `limit` is the last. Reading it is recorded too.
#[utoipa::path(get, path = "/v1/audit", tag = "people", params(AuditQuery), responses(
    (status = 200, body = AuditPage),
    (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    allowed: Allowed<need::ReadAudit>,
    context: Data<Context>,
    query: Query<AuditQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let lines = match query.format.as_deref() {
        None | Some("json") => false,
        Some("ndjson") => true,
        Some(_) => return Err(wrong("`format` is `json` or `ndjson`.")),
    };
    let cursor = match (number(query.after.as_deref())?, number(query.before.as_deref())?) {
        (Some(after), None) => Cursor::After(after),
        (None, Some(before)) => Cursor::Before(before),
        (None, None) => Cursor::NEWEST,
        (Some(_), Some(_)) => return Err(wrong("`after` and `before` exclude each other.")),
    };
    let action = query.action.as_deref().map(str::parse::<Action>).transpose();
    let filter = Filter {
        action: action.map_err(|why| wrong(&format!("`action`: {why}.")))?,
        image: query.image.map(ImageId),
        actor: query.actor,
        since: instant::given("since", query.since.as_deref())?,
        until: instant::given("until", query.until.as_deref())?,
        ..Filter::default()
    };
    let limit = read_limit(query.limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    context.record(entry(&allowed, Action::AuditRead, None)).await?;
    let items = context
        .ask_port(
            &context.audit,
            move |audit| async move { audit.page(&filter, cursor, limit).await },
        )
        .await?;
    if !lines {
        return Ok(HttpResponse::Ok().json(AuditPage { items }));
    }
    let mut body = String::new();
    for item in &items {
        body.push_str(
            &serde_json::to_string(item).map_err(|error| Problem::internal("audit", &error))?,
        );
        body.push('\n');
    }
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").body(body))
}

fn number(text: Option<&str>) -> Result<Option<u64>, Problem> {
    let read = text.map(str::parse::<u64>).transpose();
    read.map_err(|_| wrong("`after` and `before` are numbers of entries."))
}

fn wrong(detail: &str) -> Problem {
    Problem::new(Kind::BadParameter, detail)
}
