//! `/v1/session` and `/v1/sessions`: signing in and out, and one's own sessions.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use actix_web::http::header::{self, HeaderName};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use lobar_core::access::{Caller, Who};
use lobar_core::accounts::{Account, AccountId, Session, SessionId};
use lobar_core::audit::{Action, Actor};
use lobar_signin::{Opened, SignInError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::oidc;
use crate::access::{Allowed, Open, cookie, csrf, need};
use crate::client_name::client_name;
use crate::context::Context;
use crate::json::Json;
use crate::peer::Peer;
use crate::people::{SessionBody, SessionItem};
use crate::problem::{Kind, Problem};
use crate::rate::RateLimits;
use crate::record::{by, entry};

/// A person who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInBody {
    name: String,
    password: String,
    /// A one-time code (RFC 6238), where the account has one.
    code: Option<String>,
}

/// One's own sessions, the last used first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    items: Vec<SessionItem>,
}

/// Whoever the OpenID provider signed in is still signed in there.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedOut {
    /// Where the browser signs out at the provider.
    sign_out_at: String,
}

/// Who is signed in, and what they may.
#[utoipa::path(get, path = "/v1/session", tag = "people", responses(
    (status = 200, body = SessionBody),
    (status = 401, description = "Nobody is signed in.", content_type = "application/problem+json"),
))]
pub(crate) async fn current(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let asked_first = context.asks_first(allowed.caller());
    let Some((secret, _)) = cookie::read(&request).zip(allowed.session()) else {
        let body = SessionBody::of(allowed.caller());
        return Ok(HttpResponse::Ok().json(body.asked_first(asked_first)));
    };
    let (session, account) = in_session(&context, secret.clone()).await?;
    let idle = context.settings.sign_in.idle.as_secs();
    let body = SessionBody::in_session(&session, account, idle, csrf::token(&secret));
    Ok(HttpResponse::Ok().json(body.asked_first(asked_first)))
}

/// Signs a person in: the answer bears the session's cookie.
#[utoipa::path(post, path = "/v1/session", tag = "people", request_body = SignInBody, responses(
    (status = 200, body = SessionBody),
    (status = 401, description = "`wrong-credentials`: one of the members is wrong, nobody says which. `code-needed`: send `code` too.", content_type = "application/problem+json"),
    (status = 429, description = "Too many failures; `Retry-After` says when to come back.", content_type = "application/problem+json"),
    (status = 503, description = "Too many sign in at once.", content_type = "application/problem+json"),
))]
pub(crate) async fn sign_in(
    _: Open,
    context: Data<Context>,
    limits: Data<RateLimits>,
    request: HttpRequest,
    body: Json<SignInBody>,
) -> Result<HttpResponse, Problem> {
    let SignInBody { name, password, code } = body.into_inner();
    let counted = Peer::of(&request).map(|peer| (peer.address, name_hash(&name)));
    if let Some((address, name)) = counted {
        limits.check_sign_in(address, name)?;
    }
    let (sign_in, client) = (Arc::clone(&context.sign_in), client_name(request.headers()));
    let signed_in = context
        .run(async move { sign_in.sign_in(&name, &password, code.as_deref(), &client).await });
    let opened = match signed_in.await? {
        Ok(opened) => opened,
        Err(error) => {
            // Not the name: people type passwords there.
            let mut failed = by(Actor::nobody(), None, Action::SignInFailed, None);
            failed.detail = json!({ "why": error.to_string() });
            context.recorder.note_each(failed)?;
            return Err(error.into());
        }
    };
    if let Some((address, name)) = counted {
        limits.signed_in(address, name);
    }
    let who = Who::Person { id: opened.account.id.0, name: opened.account.name.clone() };
    context.record(by(Actor::from(&who), None, Action::SignedIn, None)).await?;
    // A session that the browser had before is over: nobody else's can be handed on to whoever signs in.
    if let Some(old) = cookie::read(&request) {
        end_old(&context, old).await;
    }
    Ok(welcome(&context, &request, opened))
}

/// Names are counted in this form, whatever their case.
fn name_hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.to_lowercase().hash(&mut hasher);
    hasher.finish()
}

/// The session of a secret, with whose it is.
pub(super) async fn in_session(
    context: &Context,
    secret: String,
) -> Result<(Session, Account), Problem> {
    let sign_in = Arc::clone(&context.sign_in);
    let found = context.run(async move { sign_in.session(&secret).await }).await??;
    found.ok_or_else(|| Problem::new(Kind::NotSignedIn, "The session is over."))
}

/// Answers with the session and its cookie.
pub(super) fn welcome(context: &Context, request: &HttpRequest, opened: Opened) -> HttpResponse {
    let Opened { secret, session, account } = opened;
    let secret = secret.expose();
    let idle = context.settings.sign_in.idle.as_secs();
    let lasts = session.expires_at.since(context.clock.now());
    let who = Who::Person { id: account.id.0, name: account.name.clone() };
    let asked_first = context.asks_first(&Caller { who, grants: account.grants.clone() });
    let body = SessionBody::in_session(&session, account, idle, csrf::token(&secret));
    let body = body.asked_first(asked_first);
    HttpResponse::Ok().cookie(cookie::issue(request, secret, lasts)).json(body)
}

async fn end_old(context: &Context, secret: String) {
    let sign_in = Arc::clone(&context.sign_in);
    match context.run(async move { sign_in.session(&secret).await }).await {
        Ok(Ok(Some((session, account)))) => end_earlier(context, account.id, session.id).await,
        Ok(Ok(None)) => {}
        _ => not_ended(),
    }
}

/// Ends the session that a browser had before somebody signed in there.
pub(super) async fn end_earlier(context: &Context, account: AccountId, session: SessionId) {
    let ended = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.end_session(account, session).await
    });
    match ended.await {
        Ok(_) => context.identity.forget(account.0),
        Err(_) => not_ended(),
    }
}

fn not_ended() {
    tracing::warn!("the session before was not ended; it ends by itself when its time is over");
}

/// Signs out: the session is over, and the browser forgets what it kept.
#[utoipa::path(delete, path = "/v1/session", tag = "people", responses(
    (status = 200, description = "Signed out here; the browser goes on to sign out at the provider.", body = SignedOut),
    (status = 204, description = "Signed out. A token or the local user has no session, and stays."),
    (status = 401, description = "Nobody is signed in.", content_type = "application/problem+json"),
))]
pub(crate) async fn sign_out(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    if let Some(id) = allowed.session() {
        let account = account_of(&allowed);
        context.identity.forget(account.0);
        let ended = context.ask_port(&context.accounts, move |accounts| async move {
            accounts.end_session(account, id).await
        });
        ended.await?;
        context.record(entry(&allowed, Action::SignedOut, None)).await?;
        let elsewhere = oidc::sign_out_at(&context, &request, account).await;
        return Ok(goodbye(&request, elsewhere));
    }
    Ok(goodbye(&request, None))
}

fn goodbye(request: &HttpRequest, elsewhere: Option<String>) -> HttpResponse {
    let mut answer = match elsewhere {
        Some(_) => HttpResponse::Ok(),
        None => HttpResponse::NoContent(),
    };
    answer
        .cookie(cookie::expire(request))
        .insert_header((HeaderName::from_static("clear-site-data"), r#""cache", "storage""#))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    match elsewhere {
        Some(sign_out_at) => answer.json(SignedOut { sign_out_at }),
        None => answer.finish(),
    }
}

/// One's own sessions.
#[utoipa::path(get, path = "/v1/sessions", tag = "people", responses((status = 200, body = SessionList)))]
pub(crate) async fn list(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
) -> Result<Json<SessionList>, Problem> {
    let (account, idle) = (account_of(&allowed), context.settings.sign_in.idle);
    let sessions = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.sessions(account, idle).await
    });
    let items = sessions.await?.into_iter();
    Ok(Json(SessionList {
        items: items.map(|one| SessionItem::new(one, allowed.session())).collect(),
    }))
}

/// Signs out everywhere, here too.
#[utoipa::path(delete, path = "/v1/sessions", tag = "people", responses(
    (status = 200, description = "All are over here; the browser goes on to sign out at the provider.", body = SignedOut),
    (status = 204, description = "All are over."),
))]
pub(crate) async fn end_all(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let account = account_of(&allowed);
    context.identity.forget(account.0);
    let ended = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.end_sessions(account, None).await
    });
    let count = ended.await?;
    let mut everywhere = entry(&allowed, Action::SignedOut, None);
    everywhere.detail = json!({ "sessions": count });
    context.record(everywhere).await?;
    let elsewhere = oidc::sign_out_at(&context, &request, account).await;
    Ok(goodbye(&request, elsewhere))
}

/// Ends one of one's own sessions.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "people",
    params(("id" = Uuid, Path, description = "The session's id.")),
    responses(
        (status = 204, description = "It is over."),
        (status = 404, description = "One has no such session.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn end(
    allowed: Allowed<need::Own>,
    context: Data<Context>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let (account, id) = (account_of(&allowed), SessionId(id.into_inner()));
    let ended = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.end_session(account, id).await
    });
    match ended.await? {
        true => {
            context.record(entry(&allowed, Action::SignedOut, None)).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        false => Err(Problem::new(Kind::UnknownPerson, "You have no such session.")),
    }
}

/// The account of a person; that of a machine or of the local user is nobody's, and has no sessions.
pub(super) fn account_of(allowed: &Allowed<need::Own>) -> AccountId {
    AccountId(allowed.caller().who.id())
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => Self::new(Kind::WrongCredentials, "Nobody says which of them."),
            SignInError::CodeNeeded => Self::new(Kind::CodeNeeded, "Send `code` too."),
            SignInError::Later(wait) => {
                Self::later(Kind::TooManyTries, wait, "There were several failures in a row.")
            }
            SignInError::Busy(_) => {
                Self::new(Kind::Unavailable, "Many sign in at once; try again.")
            }
            SignInError::Port(error) => error.into(),
        }
    }
}
