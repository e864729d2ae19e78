//! `GET /problems/{slug}`: what a problem's type means.

use actix_web::web::{Json, Path};
use serde_json::{Value, json};

use crate::access::Open;
use crate::problem::{Kind, Problem};

/// What a type of problem means.
#[utoipa::path(get, path = "/problems/{slug}", tag = "problems",
    params(("slug" = String, Path, description = "The last part of a problem's `type`.")),
    responses((status = 200, description = "Its status and title.")),
)]
pub(crate) async fn describe(_: Open, slug: Path<String>) -> Result<Json<Value>, Problem> {
    let kind = Kind::ALL.iter().find(|kind| kind.slug() == slug.as_str());
    let kind = kind.ok_or_else(|| Problem::new(Kind::UnknownRoute, "No such type of problem."))?;
    Ok(Json(json!({
        "type": format!("/problems/{}", kind.slug()),
        "title": kind.title(),
        "status": kind.status(),
    })))
}
