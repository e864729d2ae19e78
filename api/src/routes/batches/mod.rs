//! `/v1/batches`: what was uploaded together, and what became of it.

mod export;
mod retry;

pub(crate) use export::{__path_export, export};
pub(crate) use retry::{__path_retry, retry};

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Path, Query};
use lobar_core::audit::Action;
use lobar_core::batch::{Batch, BatchId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::image_query::narrowed;
use super::parameters::read_limit;
use crate::access::{Allowed, Need, need};
use crate::batch::BatchItem;
use crate::context::Context;
use crate::page_token;
use crate::problem::{Kind, Problem};
use crate::record::{entry, refused};

pub(super) const DEFAULT_LIMIT: usize = 20;
pub(super) const MAX_LIMIT: usize = 50;

/// Which batches, and how many at once. An unknown parameter is an error.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchQuery {
    /// Only this site. One that is not among the caller's has no batches, like one that does not exist.
    site: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Batches a page, 1 to 50; 20 when missing.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// One page of batches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchList {
    /// Newest first.
    items: Vec<BatchItem>,
    /// Ask with `?after=` this for the next page; null on the last.
    next: Option<String>,
    /// How many batches there are in all, at the sites that are asked for.
    total: u64,
}

/// A page of what was uploaded together at the caller's sites, newest first.
#[utoipa::path(get, path = "/v1/batches", tag = "uploads", params(BatchQuery), responses(
    (status = 200, body = BatchList),
    (status = 400, description = "A parameter has no valid value.", content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    query: Query<BatchQuery>,
) -> Result<HttpResponse, Problem> {
    let BatchQuery { site, after, limit } = query.into_inner();
    let sites = narrowed(allowed.sites(), site.as_deref());
    let wrong = || Problem::new(Kind::BadParameter, "`after` is the `next` of an earlier page.");
    let after =
        after.map(|token| page_token::decode_batch(&token).ok_or_else(wrong)).transpose()?;
    let limit = read_limit(limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let page = context.ask_port(&context.batches, move |batches| async move {
        batches.batches(&sites, after, limit).await
    });
    let page = page.await?;
    let with_flags = !context.asks_first(allowed.caller());
    let items = page.items.iter().map(|batch| BatchItem::new(batch, with_flags)).collect();
    let next = page.next.map(page_token::encode_batch);
    Ok(private(&BatchList { items, next, total: page.total }))
}

/// One batch with what became of its files. Its images are `GET /v1/images?batch=`.
#[utoipa::path(get, path = "/v1/batches/{id}", tag = "uploads",
    params(("id" = Uuid, Path, description = "The batch's id.")),
    responses(
        (status = 200, body = BatchItem),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn one(
    allowed: Allowed<need::ReadImages>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let batch = visible(&context, &allowed, BatchId(id.into_inner())).await?;
    let site = batch.site.as_ref().map(|site| site.as_str());
    let mut seen = entry(&allowed, Action::Listed, site);
    seen.detail = json!({ "batch": batch.id.to_string(), "files": batch.counts.files() });
    let which = format!("batch {}", batch.id);
    context.recorder.note_list(seen, &which, &[])?;
    Ok(private(&BatchItem::new(&batch, !context.asks_first(allowed.caller()))))
}

/// The batch, if it is of a site where the caller has the right `N`. Of another's nobody learns more than of one that is not
/// known.
async fn visible<N: Need>(
    context: &Context,
    allowed: &Allowed<N>,
    id: BatchId,
) -> Result<Batch, Problem> {
    let found = context
        .ask_port(&context.batches, move |batches| async move { batches.batch(id).await })
        .await?;
    let unknown = || {
        let detail = "A batch is known as soon as the first of its files is.";
        Problem::new(Kind::UnknownBatch, detail)
    };
    let batch = found.ok_or_else(unknown)?;
    let site = batch.site.as_ref().map(|site| site.as_str());
    if allowed.at(site) {
        return Ok(batch);
    }
    if context.recorder.note_refused(refused(allowed, None, site)).is_err() {
        tracing::warn!("a refusal was not recorded: the audit record cannot be written");
    }
    Err(unknown())
}

/// It names people.
fn private(body: &impl Serialize) -> HttpResponse {
    let never = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
    HttpResponse::Ok().insert_header(never).json(body)
}
