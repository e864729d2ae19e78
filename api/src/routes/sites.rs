//! `/v1/sites`: the sites that grants can name, for admins.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use lobar_core::access::SiteName;
use lobar_core::audit::{Action, NewEntry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::people::SiteItem;
use crate::problem::{Kind, Problem};
use crate::record::entry;

/// All sites, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SiteList {
    items: Vec<SiteItem>,
}

/// A site to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiteBody {
    /// As in keys of objects, `incoming/{site}/…`: 1 to 63 letters, digits, `.`, `_`, `-`.
    name: String,
}

/// All sites.
#[utoipa::path(get, path = "/v1/sites", tag = "people", responses((status = 200, body = SiteList)))]
pub(crate) async fn list(
    _: Allowed<need::ManagePeople>,
    context: Data<Context>,
) -> Result<Json<SiteList>, Problem> {
    let sites =
        context.ask_port(&context.accounts, |accounts| async move { accounts.sites().await });
    Ok(Json(SiteList { items: sites.await?.into_iter().map(SiteItem::from).collect() }))
}

/// Adds a site.
#[utoipa::path(post, path = "/v1/sites", tag = "people", request_body = SiteBody, responses(
    (status = 201, description = "Added."),
    (status = 400, description = "No name of a site.", content_type = "application/problem+json"),
    (status = 409, description = "There is one of that name.", content_type = "application/problem+json"),
))]
pub(crate) async fn add(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    body: Json<SiteBody>,
) -> Result<HttpResponse, Problem> {
    let name = read(&body.name)?;
    let recorded = changed(&allowed, "added", &name);
    let added = context
        .ask_port(&context.accounts, move |accounts| async move { accounts.add_site(&name).await });
    match added.await? {
        true => {
            context.record(recorded).await?;
            Ok(HttpResponse::Created().finish())
        }
        false => Err(Problem::new(Kind::NameTaken, "There is a site of that name.")),
    }
}

/// Takes a site from the list. Its images stay, and so do grants at it.
#[utoipa::path(delete, path = "/v1/sites/{name}", tag = "people",
    params(("name" = String, Path, description = "The site's name.")),
    responses(
        (status = 204, description = "It is not listed any more."),
        (status = 404, description = "Not known.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn remove(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    let name = read(&name)?;
    let recorded = changed(&allowed, "removed", &name);
    let removed = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.remove_site(&name).await
    });
    match removed.await? {
        true => {
            context.record(recorded).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        false => Err(Problem::new(Kind::UnknownPerson, "There is no site of that name.")),
    }
}

fn changed(allowed: &Allowed<need::ManagePeople>, what: &str, site: &SiteName) -> NewEntry {
    let mut changed = entry(allowed, Action::SiteChanged, None);
    (changed.site, changed.detail) = (Some(site.clone()), json!({ "change": what }));
    changed
}

fn read(name: &str) -> Result<SiteName, Problem> {
    name.parse().map_err(|why| Problem::new(Kind::BadParameter, format!("`name`: {why}.")))
}
