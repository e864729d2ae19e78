//! `GET /v1/queues`.

use std::sync::Arc;

use actix_web::web::{Data, Json};

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::figures::QueueFigures;
use crate::problem::Problem;

/// The queues, the backlog and the workers, at most a second old.
#[utoipa::path(get, path = "/v1/queues", tag = "operations", responses((status = 200, body = QueueFigures)))]
pub(crate) async fn queues(
    _: Allowed<need::ReadQueues>,
    context: Data<Context>,
) -> Result<Json<QueueFigures>, Problem> {
    let figures = Arc::clone(&context.figures);
    Ok(Json(context.run(async move { figures.current().await }).await??))
}
