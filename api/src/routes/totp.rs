//! `/v1/totp`: one-time codes beside one's own password (RFC 6238).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use lobar_core::audit::Action;
use lobar_signin::totp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::password::proven;
use super::session::account_of;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::json::Json;
use crate::problem::{Kind, Problem};
use crate::rate::RateLimits;
use crate::record::on;

/// What an app that makes codes takes in.
#[derive(Serialize, ToSchema)]
pub(crate) struct TotpOffer {
    /// In base32, to be typed in.
    secret: String,
    /// The same as `otpauth://totp/…`, to be shown as a QR code.
    uri: String,
}

/// Proof that the app has the secret, and that it is the account's own person who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TotpBody {
    secret: String,
    code: String,
    password: String,
}

/// Proof that it is the account's own person who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TotpRemoval {
    password: String,
}

/// Makes a secret. Nothing is kept until it is confirmed.
#[utoipa::path(post, path = "/v1/totp", tag = "people", responses((status = 200, body = TotpOffer)))]
pub(crate) async fn begin(allowed: Allowed<need::Own>) -> Result<Json<TotpOffer>, Problem> {
    let secret = totp::random();
    let uri = totp::uri(&secret, allowed.name())
        .map_err(|why| Problem::internal("one-time codes", &why))?;
    Ok(Json(TotpOffer { secret: totp::text(&secret), uri }))
}

/// From now on a code is asked for at sign-in.
#[utoipa::path(put, path = "/v1/totp", tag = "people", request_body = TotpBody, responses(
    (status = 204, description = "Kept."),
    (status = 401, description = "The password or the code is wrong.", content_type = "application/problem+json"),
    (status = 429, description = "Tried too often; `Retry-After` says when to come back.", content_type = "application/problem+json"),
))]
pub(crate) async fn confirm(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
    limits: Data<RateLimits>,
    body: Json<TotpBody>,
) -> Result<HttpResponse, Problem> {
    let TotpBody { secret, code, password } = body.into_inner();
    let secret = totp::parse(&secret)
        .ok_or_else(|| Problem::new(Kind::BadParameter, "`secret` is what POST has answered."))?;
    let (account, sign_in) = (account_of(&allowed), Arc::clone(&context.sign_in));
    limits.check_proof(account.0)?;
    let kept =
        context.run(async move { sign_in.enrol_codes(account, &password, &secret, &code).await });
    proven(&context, &allowed, kept.await?)?;
    context
        .record(on(&allowed, Action::PersonChanged, account.0, json!({ "change": "codes set" })))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// No code is asked for any more.
#[utoipa::path(delete, path = "/v1/totp", tag = "people", request_body = TotpRemoval, responses(
    (status = 204, description = "Removed."),
    (status = 401, description = "The password is wrong.", content_type = "application/problem+json"),
    (status = 429, description = "Tried too often; `Retry-After` says when to come back.", content_type = "application/problem+json"),
))]
pub(crate) async fn remove(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
    limits: Data<RateLimits>,
    body: Json<TotpRemoval>,
) -> Result<HttpResponse, Problem> {
    let (account, sign_in) = (account_of(&allowed), Arc::clone(&context.sign_in));
    limits.check_proof(account.0)?;
    let removed = context.run(async move { sign_in.remove_codes(account, &body.password).await });
    proven(&context, &allowed, removed.await?)?;
    context
        .record(on(
            &allowed,
            Action::PersonChanged,
            account.0,
            json!({ "change": "codes removed" }),
        ))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
