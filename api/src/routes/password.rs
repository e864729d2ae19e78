//! `/v1/password` and `/v1/links`: setting a password, with the one before or with a one-time link.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use lobar_core::access::Who;
use lobar_core::audit::{Action, Actor};
use lobar_signin::{ChangeError, Opened, RedeemError, SignInError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::session::{account_of, in_session, welcome};
use crate::access::{Allowed, Open, need};
use crate::context::Context;
use crate::json::Json;
use crate::people::SessionBody;
use crate::problem::{Kind, Problem};
use crate::rate::RateLimits;
use crate::record::{by, entry, on};

/// A new password in the place of the one before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    current: String,
    /// 12 to 128 characters.
    new: String,
}

/// A one-time link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkBody {
    /// What stands after `#/link/` in its address.
    secret: String,
}

/// A one-time link and the password that it sets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemBody {
    secret: String,
    /// 12 to 128 characters.
    password: String,
}

/// Whose password a link sets.
#[derive(Serialize, ToSchema)]
pub(crate) struct Linked {
    /// The name to sign in with.
    name: String,
}

/// Changes one's own password. All one's other sessions are over.
#[utoipa::path(put, path = "/v1/password", tag = "people", request_body = PasswordBody, responses(
    (status = 200, description = "Changed. The session goes on with another cookie and `csrf_token`.", body = SessionBody),
    (status = 401, description = "`current` is wrong, or was replaced meanwhile.", content_type = "application/problem+json"),
    (status = 422, description = "`new` is not accepted; `detail` says why.", content_type = "application/problem+json"),
    (status = 429, description = "Too many failures; `Retry-After` says when to come back.", content_type = "application/problem+json"),
))]
pub(crate) async fn change(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
    request: HttpRequest,
    limits: Data<RateLimits>,
    body: Json<PasswordBody>,
) -> Result<HttpResponse, Problem> {
    let PasswordBody { current, new } = body.into_inner();
    let (account, session) = (account_of(&allowed), allowed.session());
    limits.check_proof(account.0)?;
    let sign_in = Arc::clone(&context.sign_in);
    let changed =
        context.run(async move { sign_in.change_password(account, &current, &new, session).await });
    let secret = proven(&context, &allowed, changed.await?)?;
    context.identity.forget(account.0);
    context
        .record(on(&allowed, Action::PersonChanged, account.0, json!({ "change": "password" })))
        .await?;
    let (session, account) = in_session(&context, secret.expose()).await?;
    Ok(welcome(&context, &request, Opened { secret, session, account }))
}

/// What came of a proof that it is the account's own person who asks. That it failed is on record: it may be whoever
/// found the session open.
pub(super) fn proven<T, E: Into<Problem> + ToString>(
    context: &Context,
    allowed: &Allowed<need::Own>,
    done: Result<T, E>,
) -> Result<T, Problem> {
    let error = match done {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    let mut failed = entry(allowed, Action::SignInFailed, None);
    failed.subject = Some(account_of(allowed).0);
    failed.detail = json!({ "why": error.to_string(), "session": true });
    context.recorder.note_each(failed)?;
    Err(error.into())
}

/// Whose password a one-time link sets. It is not used up by that.
#[utoipa::path(post, path = "/v1/links", tag = "people", request_body = LinkBody, responses(
    (status = 200, body = Linked),
    (status = 404, description = "It was used, replaced, or has expired.", content_type = "application/problem+json"),
))]
pub(crate) async fn linked(
    _: Open,
    context: Data<Context>,
    body: Json<LinkBody>,
) -> Result<Json<Linked>, Problem> {
    let sign_in = Arc::clone(&context.sign_in);
    let account = context.run(async move { sign_in.linked(&body.secret).await }).await??;
    Ok(Json(Linked { name: account.ok_or_else(void)?.name }))
}

/// Sets a password with a one-time link, which is used up by that. All the account's sessions are over.
#[utoipa::path(post, path = "/v1/links/redeem", tag = "people", request_body = RedeemBody, responses(
    (status = 200, body = Linked),
    (status = 404, description = "It was used, replaced, or has expired.", content_type = "application/problem+json"),
    (status = 422, description = "The password is not accepted; `detail` says why. The link stays.", content_type = "application/problem+json"),
))]
pub(crate) async fn redeem(
    _: Open,
    context: Data<Context>,
    body: Json<RedeemBody>,
) -> Result<Json<Linked>, Problem> {
    let RedeemBody { secret, password } = body.into_inner();
    let sign_in = Arc::clone(&context.sign_in);
    let account = context.run(async move { sign_in.redeem(&secret, &password).await }).await??;
    let who = Who::Person { id: account.id.0, name: account.name.clone() };
    let mut changed = by(Actor::from(&who), None, Action::PersonChanged, None);
    changed.subject = Some(account.id.0);
    changed.detail = json!({ "change": "password by a link" });
    context.record(changed).await?;
    Ok(Json(Linked { name: account.name }))
}

fn void() -> Problem {
    Problem::new(Kind::VoidLink, "Ask an admin for another.")
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Weak(weak) => Self::new(Kind::WeakPassword, format!("{weak}.")),
            ChangeError::Refused(refused) => refused.into(),
        }
    }
}

impl From<RedeemError> for Problem {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Gone => void(),
            RedeemError::Weak(weak) => Self::new(Kind::WeakPassword, format!("{weak}.")),
            RedeemError::Busy(busy) => SignInError::Busy(busy).into(),
            RedeemError::Port(error) => error.into(),
        }
    }
}
