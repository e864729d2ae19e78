//! `POST /v1/batches/{id}/retry`: what failed of a batch is tried again.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use lobar_core::audit::Action;
use lobar_core::batch::BatchId;
use lobar_core::notification;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::queue::Outgoing;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{private, visible};
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::Problem;
use crate::record::entry;

/// Images that are queued again in one transaction.
const TOGETHER: usize = 200;

/// What is tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchRetried {
    /// How many images are queued again.
    images: u64,
}

/// Queues every failed image of a batch again, as if it were new. What needs a human for what it shows stays as it is: another
/// try would end the same. May be repeated.
#[utoipa::path(post, path = "/v1/batches/{id}/retry", tag = "uploads",
    params(("id" = Uuid, Path, description = "The batch's id.")),
    responses(
        (status = 200, body = BatchRetried),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retry(
    allowed: Allowed<need::Upload>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let batch = visible(&context, &allowed, BatchId(id.into_inner())).await?;
    let site = batch.site.as_ref().map(|site| site.as_str());
    let (id, mut after, mut images) = (batch.id, None, 0);
    loop {
        let queued = context.ask_port(&context.batches, move |batches| async move {
            batches.retry(id, after, TOGETHER).await
        });
        let queued = queued.await?;
        let ids: Vec<ImageId> = queued.iter().map(ObjectVersion::id).collect();
        if !ids.is_empty() {
            let mut retried = entry(&allowed, Action::BatchRetried, site);
            let named: Vec<String> = ids.iter().map(ToString::to_string).collect();
            retried.detail = json!({ "batch": id.to_string(), "ids": named });
            context.record(retried).await?;
            notify(&context, &queued).await;
        }
        images += ids.len() as u64;
        match ids.last() {
            Some(last) if ids.len() == TOGETHER => after = Some(*last),
            _ => break,
        }
    }
    if images > 0 {
        publish(&context).await;
    }
    Ok(private(&BatchRetried { images }))
}

/// Tells ingest of objects, so that their images get jobs. Those of which it cannot be told get theirs from its sweeper, later.
async fn notify(context: &Context, objects: &[ObjectVersion]) {
    let Some(uploads) = context.uploads.clone() else { return };
    let messages = objects.iter().map(|object| Outgoing::now(notification::of(object))).collect();
    let sent = context.run(async move { uploads.send(messages).await }).await;
    let failed = sent.map(|sent| sent.into_iter().filter_map(Result::err).next());
    if let Ok(Some(error)) = failed {
        tracing::warn!(%error, "images queued again were not all notified: ingest's sweeper gives them their jobs");
    }
}

/// Says that something changed.
async fn publish(context: &Context) {
    let signal = std::sync::Arc::clone(&context.signal);
    if let Ok(Err(error)) = context.run(async move { signal.publish().await }).await {
        tracing::debug!(%error, "signal not published; pages follow by polling");
    }
}
