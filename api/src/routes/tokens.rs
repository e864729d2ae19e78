//! `/v1/tokens`: what machines sign in with, for admins.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use lobar_core::accounts::{KeyOwner, TokenId};
use lobar_core::audit::Action;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::people::settle;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::people::TokenItem;
use crate::problem::{Kind, Problem};
use crate::record::on;

/// Longest life of a token, in days.
pub(super) const DAYS_MAX: u32 = 3_650;

/// All tokens, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    items: Vec<TokenItem>,
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenBody {
    /// What it is for: 1 to 64 characters.
    name: String,
    /// Roles at sites: `uploader@north`, `reader@north`.
    grants: Vec<String>,
    /// Days until it expires, 1 to 3,650; 365 when left out.
    days: Option<u32>,
    /// Whether it gets an S3 key pair for the embedded endpoint too.
    #[serde(default)]
    s3: bool,
}

/// A new token.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewTokenItem {
    token: TokenItem,
    /// Shown this once. A machine sends it as `Authorization: Bearer`.
    secret: String,
    /// Where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    s3: Option<S3KeyPairItem>,
}

/// What an S3 client signs with at the embedded endpoint. It allows what the token does, and ends with it.
#[derive(Serialize, ToSchema)]
pub(crate) struct S3KeyPairItem {
    access_key_id: String,
    /// Shown this once.
    secret_access_key: String,
}

/// All tokens, also those that are over, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "people", responses((status = 200, body = TokenList)))]
pub(crate) async fn list(
    _: Allowed<need::ManagePeople>,
    context: Data<Context>,
) -> Result<Json<TokenList>, Problem> {
    let tokens =
        context.ask_port(&context.accounts, |accounts| async move { accounts.tokens().await });
    Ok(Json(TokenList { items: tokens.await?.into_iter().map(TokenItem::from).collect() }))
}

/// Makes a token.
#[utoipa::path(post, path = "/v1/tokens", tag = "people", request_body = TokenBody, responses(
    (status = 201, body = NewTokenItem),
    (status = 400, description = "No name, no grant, or no number of days.", content_type = "application/problem+json"),
    (status = 409, description = "The name is taken.", content_type = "application/problem+json"),
    (status = 422, description = "`unknown-site`, `useless-grant`: a grant that would give nothing.", content_type = "application/problem+json"),
))]
pub(crate) async fn add(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    body: Json<TokenBody>,
) -> Result<HttpResponse, Problem> {
    let TokenBody { name, grants, days, s3 } = body.into_inner();
    let grants = settle(&context, &grants).await?;
    let days = days.unwrap_or(365);
    if !(1..=DAYS_MAX).contains(&days) {
        let detail = format!("`days` is a number from 1 to {DAYS_MAX}.");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let keys = context.settings.s3_keys.clone().filter(|_| s3);
    if s3 && keys.is_none() {
        let detail = "Nothing here makes S3 key pairs: the bucket is not at the embedded endpoint, or the secret key of the \
                      settings has fewer than 32 characters.";
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let expires_at = context.clock.now().plus(Duration::from_secs(u64::from(days) * 24 * 3600));
    let sign_in = Arc::clone(&context.sign_in);
    let added =
        context.run(async move { sign_in.add_token(&name, grants, Some(expires_at)).await });
    let (token, secret) = added.await??;
    let grants: Vec<_> = token.grants.iter().map(|grant| grant.to_string()).collect();
    let detail = json!({ "change": "added", "grants": grants, "s3": s3 });
    context.record(on(&allowed, Action::TokenChanged, token.id.0, detail)).await?;
    let s3 = keys.map(|keys| keys.pair(KeyOwner::Machine(token.id))).map(|pair| S3KeyPairItem {
        access_key_id: pair.access_key,
        secret_access_key: pair.secret_key,
    });
    let added = NewTokenItem { token: token.into(), secret: secret.expose(), s3 };
    Ok(HttpResponse::Created().json(added))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "people",
    params(("id" = Uuid, Path, description = "The token's id.")),
    responses(
        (status = 204, description = "Revoked."),
        (status = 404, description = "There is none that could be used.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn revoke(
    allowed: Allowed<need::ManagePeople>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let id = TokenId(id.into_inner());
    let revoked = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.revoke_token(id).await
    });
    match revoked.await? {
        true => {
            context.identity.forget(id.0);
            let detail = json!({ "change": "revoked" });
            context.record(on(&allowed, Action::TokenChanged, id.0, detail)).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        false => {
            Err(Problem::new(Kind::UnknownPerson, "There is no such token that could be used."))
        }
    }
}
