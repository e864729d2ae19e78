//! `/v1/oidc`: signing in at another provider (OpenID Connect).
//!
//! ```text
//! page ─▶ /start ─303─▶ provider's page ─303─▶ /callback ─303─▶ page
//! ```
//!
//! The session's cookie is `SameSite=Strict`. A browser takes it from the callback's answer, but sends it with no request that
//! another site's page began: that is of no harm, since the page's own file needs none, and what the page asks for then
//! comes from the page. What goes wrong is told on the page: `/#/sign-in/WHY`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::http::header;
use actix_web::web::{Data, Form, Json, Query};
use actix_web::{HttpRequest, HttpResponse};
use lobar_core::access::Who;
use lobar_core::accounts::{Account, AccountId, SessionId};
use lobar_core::audit::{Action, Actor, NewEntry};
use lobar_core::failure::PortError;
use lobar_oidc::{Answer, Flow, Oidc, OidcError, Person};
use lobar_signin::{Became, ExternalError, Guest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::session::{end_earlier, in_session};
use crate::access::oidc_cookie::{self, Begun, Earlier};
use crate::access::{Open, cookie};
use crate::client_name::client_name;
use crate::context::Context;
use crate::peer::Peer;
use crate::people::words;
use crate::problem::{Kind, Problem};
use crate::rate::RateLimits;
use crate::record::by;

/// Longest address of the page to which somebody comes back, in bytes.
const RETURN_TO: usize = 1024;

/// How somebody can sign in without a password here.
#[derive(Serialize, ToSchema)]
pub(crate) struct Provider {
    /// What the provider is called: `Sign in with …`; null where there is none.
    label: Option<String>,
}

/// Where to go afterwards.
#[derive(Deserialize, IntoParams)]
pub(crate) struct Start {
    /// An address of the page: `/`, `/?…`, `/#…`. Anything else is taken for `/`.
    return_to: Option<String>,
    /// `true`: the provider asks anew, also whom it still knows. So the page has it while a session is over, since whoever
    /// sits there then may be somebody else.
    anew: Option<bool>,
}

/// What the provider sends (OpenID Connect Back-Channel Logout 1.0, 2.5).
#[derive(Deserialize, ToSchema)]
pub(crate) struct Logout {
    logout_token: String,
}

/// Why nobody was signed in: the last part of the page's address. The page has a sentence for each.
#[derive(Clone, Copy)]
enum Why {
    /// The provider cannot be asked, or the store cannot.
    Away,
    /// It took too long, was begun in another browser, or was done already.
    Expired,
    /// The provider signed nobody in, or its answer is not taken.
    Refused,
    /// No group is granted anything.
    NoRole,
    /// Somebody else has the name, or there is none.
    Name,
    /// The account is disabled.
    Disabled,
    /// An admin has to mend something here.
    Settings,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Away => "away",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::NoRole => "no-role",
            Self::Name => "name",
            Self::Disabled => "disabled",
            Self::Settings => "settings",
        })
    }
}

/// The provider, if there is one.
#[utoipa::path(get, path = "/v1/oidc", tag = "people", responses((status = 200, body = Provider)))]
pub(crate) async fn provider(_: Open, context: Data<Context>) -> Json<Provider> {
    Json(Provider { label: context.oidc.as_ref().map(|oidc| oidc.settings().label.clone()) })
}

/// Sends a browser to the provider.
#[utoipa::path(get, path = "/v1/oidc/start", tag = "people", params(Start), responses(
    (status = 303, description = "To the provider's page; where it cannot be used, to the own page, which says why."),
    (status = 404, description = "No provider is set.", content_type = "application/problem+json"),
))]
pub(crate) async fn start(
    _: Open,
    context: Data<Context>,
    request: HttpRequest,
    query: Query<Start>,
) -> Result<HttpResponse, Problem> {
    let oidc = known(&context)?;
    let redirect = callback_address(&request)?;
    let Start { return_to, anew } = query.into_inner();
    let anew = anew.unwrap_or_default();
    let begun = context.run(async move { oidc.begin(&redirect, anew).await }).await?;
    let (url, flow) = match begun {
        Ok(begun) => begun,
        Err(error) => return Ok(refuse(&request, told(&error))),
    };
    let return_to = return_to.filter(|address| is_of_page(address)).unwrap_or_else(|| "/".into());
    // Its cookie does not come back with the browser, which another site's page sends (`SameSite=Strict`).
    let earlier = session_of(&context, &request).await;
    let begun = Begun { flow, return_to, earlier };
    Ok(HttpResponse::SeeOther()
        .cookie(oidc_cookie::issue(&request, &begun))
        .insert_header((header::LOCATION, url.as_str()))
        .finish())
}

/// Takes the provider's answer, and signs its person in.
#[utoipa::path(get, path = "/v1/oidc/callback", tag = "people", responses(
    (status = 303, description = "To the page, with the session's cookie, or with the reason for which there is none."),
    (status = 404, description = "No provider is set.", content_type = "application/problem+json"),
    (status = 429, description = "Too many tries from this address.", content_type = "application/problem+json"),
))]
pub(crate) async fn callback(
    _: Open,
    context: Data<Context>,
    limits: Data<RateLimits>,
    request: HttpRequest,
    query: Query<Answer>,
) -> Result<HttpResponse, Problem> {
    let oidc = known(&context)?;
    let answer = query.into_inner();
    let begun = oidc_cookie::read(&request).filter(|begun| begun.flow.is_answered_by(&answer));
    // Again: the cookie is the browser's own, and not signed.
    let begun = begun.filter(|begun| is_of_page(&begun.return_to));
    let Some(begun) = begun else { return Ok(refuse(&request, Why::Expired)) };
    if let Some(peer) = Peer::of(&request) {
        limits.check_sign_in_address(peer.address)?;
    }
    match sign_in(&context, &request, oidc, begun.flow, answer).await {
        Ok(cookie) => {
            // Nobody else's can be handed on to whoever signs in.
            if let Some(Earlier { account, session }) = begun.earlier {
                end_earlier(&context, AccountId(account), SessionId(session)).await;
            }
            Ok(HttpResponse::SeeOther()
                .cookie(cookie)
                .cookie(oidc_cookie::expire(&request))
                .insert_header((header::LOCATION, begun.return_to))
                .finish())
        }
        Err(why) => {
            let mut failed = by(Actor::nobody(), None, Action::SignInFailed, None);
            failed.detail = json!({ "way": "oidc", "why": why.to_string() });
            context.recorder.note_each(failed)?;
            Ok(refuse(&request, why))
        }
    }
}

/// Ends sessions because the provider says so (OpenID Connect Back-Channel Logout 1.0).
#[utoipa::path(post, path = "/v1/oidc/logout", tag = "people",
    request_body(content = Logout, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "They are over, also when there were none."),
        (status = 400, description = "The token is none that is taken, or was used before.", content_type = "application/problem+json"),
        (status = 404, description = "No provider is set.", content_type = "application/problem+json"),
        (status = 503, description = "The provider's keys cannot be had, or the store is away.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn logout(
    _: Open,
    context: Data<Context>,
    form: Form<Logout>,
) -> Result<HttpResponse, Problem> {
    let oidc = known(&context)?;
    let token = form.into_inner().logout_token;
    let read = context.run(async move { oidc.logged_out(&token).await }).await?;
    let ended = read.map_err(|error| {
        tracing::warn!(%error, "a logout token was not taken: no session ends");
        match error {
            OidcError::Away(_) => Problem::new(Kind::Unavailable, format!("{error}.")),
            OidcError::Refused(_) => Problem::new(Kind::BadRequest, format!("{error}.")),
        }
    })?;
    let sign_in = Arc::clone(&context.sign_in);
    let done = context.run(async move {
        sign_in.end_external(&ended.end, &format!("jti {}", ended.id), ended.until).await
    });
    let Some(people) = done.await?? else {
        return Err(Problem::new(Kind::BadRequest, "The logout token was used before."));
    };
    for account in people {
        context.identity.forget(account.0);
        let mut entry = by(Actor::system(), None, Action::SignedOut, None);
        (entry.subject, entry.detail) = (Some(account.0), json!({ "way": "oidc" }));
        context.record(entry).await?;
    }
    Ok(HttpResponse::Ok().finish())
}

/// The session that the browser has when it goes to the provider.
async fn session_of(context: &Context, request: &HttpRequest) -> Option<Earlier> {
    let (session, account) = in_session(context, cookie::read(request)?).await.ok()?;
    Some(Earlier { account: account.id.0, session: session.id.0 })
}

/// Where whoever signs out goes on to sign out at the provider too, if it is the provider that signed them in: otherwise the
/// next person at this browser would be signed in as them by a click.
pub(super) async fn sign_out_at(
    context: &Context,
    request: &HttpRequest,
    account: AccountId,
) -> Option<String> {
    let oidc = context.oidc.as_ref()?;
    let asked = context.ask_port(&context.accounts, move |accounts| async move {
        accounts.account(account).await
    });
    let external = asked.await.ok().flatten()?.external?;
    if external.issuer != oidc.settings().issuer.as_str() {
        return None;
    }
    let back = own_address(request).ok()? + "/";
    oidc.sign_out_at(&back).map(|url| url.to_string())
}

/// The cookie of the session of whoever came back.
async fn sign_in(
    context: &Data<Context>,
    request: &HttpRequest,
    oidc: Oidc,
    flow: Flow,
    answer: Answer,
) -> Result<Cookie<'static>, Why> {
    let until = context.clock.now().plus(Duration::from_secs(oidc_cookie::LASTS.into()));
    let redirect = callback_address(request).map_err(|_| Why::Refused)?;
    let (sign_in, client) = (Arc::clone(&context.sign_in), client_name(request.headers()));
    let longest = oidc.settings().longest;
    let done = context.run(async move {
        // Before the code is sent: an answer that is brought twice asks the provider once.
        let used = sign_in.use_once(&format!("state {}", flow.state()), until).await;
        if !used.map_err(|error| stored(&error))? {
            return Err(Why::Expired);
        }
        let person = oidc.finish(flow, &redirect, answer).await.map_err(|error| told(&error))?;
        let guest = guest(&oidc, person);
        let admitted = sign_in.admit(&guest).await;
        Ok((sign_in, guest, admitted))
    });
    let (sign_in, guest, admitted) = done.await.map_err(|_| Why::Away)??;
    if let Some(change) = changed(&admitted) {
        if let Some(account) = change.subject {
            context.identity.forget(account);
        }
        context.record(change).await.map_err(|_| Why::Away)?;
    }
    let (account, _) = admitted.map_err(|error| not_admitted(&error))?;
    let opened =
        context.run(async move { sign_in.open(account, guest.sid, longest, &client).await });
    let opened = opened.await.map_err(|_| Why::Away)?.map_err(|error| not_admitted(&error))?;
    let who = Who::Person { id: opened.account.id.0, name: opened.account.name };
    let mut signed_in = by(Actor::from(&who), None, Action::SignedIn, None);
    signed_in.detail = json!({ "way": "oidc" });
    context.record(signed_in).await.map_err(|_| Why::Away)?;
    let lasts = opened.session.expires_at.since(context.clock.now());
    Ok(cookie::issue(request, opened.secret.expose(), lasts))
}

fn guest(oidc: &Oidc, person: Person) -> Guest {
    let groups = person.groups.unwrap_or_else(|| {
        let claim = &oidc.settings().groups_claim;
        tracing::warn!(%claim, "the provider says nothing of a person's groups: no claim of this name is a text or a list of texts");
        Vec::new()
    });
    let grants = oidc.settings().roles.grants(groups.iter().map(String::as_str));
    Guest { external: person.external, name: person.name, grants, sid: person.sid }
}

/// What is on record of an account that the groups changed.
fn changed(admitted: &Result<(Account, Became), ExternalError>) -> Option<NewEntry> {
    let (id, detail) = match admitted {
        Ok((_, Became::Same)) => return None,
        Ok((account, Became::Added)) => (account.id, change("added", &words(&account.grants))),
        Ok((account, Became::Granted)) => (account.id, change("granted", &words(&account.grants))),
        Err(ExternalError::NothingGranted(Some(id))) => (*id, change("granted", &[])),
        Err(_) => return None,
    };
    let mut entry = by(Actor::system(), None, Action::PersonChanged, None);
    (entry.subject, entry.detail) = (Some(id.0), detail);
    Some(entry)
}

fn change(change: &str, grants: &[String]) -> Value {
    json!({ "change": change, "grants": grants, "way": "oidc" })
}

fn told(error: &OidcError) -> Why {
    tracing::warn!(%error, "nobody was signed in by the OpenID provider");
    match error {
        OidcError::Away(_) => Why::Away,
        OidcError::Refused(_) => Why::Refused,
    }
}

fn not_admitted(error: &ExternalError) -> Why {
    if let ExternalError::Port(error) = error {
        return stored(error);
    }
    tracing::warn!(%error, "somebody whom the OpenID provider signed in was not admitted");
    match error {
        ExternalError::NothingGranted(_) => Why::NoRole,
        ExternalError::LastAdmin => Why::Settings,
        ExternalError::NoName | ExternalError::NameTaken => Why::Name,
        ExternalError::Disabled => Why::Disabled,
        ExternalError::Port(_) => Why::Away,
    }
}

fn stored(error: &PortError) -> Why {
    tracing::warn!(operation = error.what, %error, "nobody was signed in: the store does not answer");
    Why::Away
}

fn refuse(request: &HttpRequest, why: Why) -> HttpResponse {
    HttpResponse::SeeOther()
        .cookie(oidc_cookie::expire(request))
        .insert_header((header::LOCATION, format!("/#/sign-in/{why}")))
        .finish()
}

fn known(context: &Context) -> Result<Oidc, Problem> {
    let none = || Problem::new(Kind::UnknownRoute, "No OpenID provider is set: LOBAR_OIDC_ISSUER.");
    context.oidc.clone().ok_or_else(none)
}

/// The address by which the browser reaches this server. Its host is one of the server's own: the guard saw to it.
fn own_address(request: &HttpRequest) -> Result<String, Problem> {
    let peer = Peer::of(request);
    let secure = peer.as_ref().map_or_else(|| request.app_config().secure(), |peer| peer.secure);
    let asked = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = peer.and_then(|peer| peer.host).or(asked).or(host.map(str::to_owned));
    let host = host.ok_or_else(|| Problem::new(Kind::BadRequest, "The request names no host."))?;
    Ok(format!("{}://{host}", if secure { "https" } else { "http" }))
}

fn callback_address(request: &HttpRequest) -> Result<String, Problem> {
    own_address(request).map(|own| own + "/v1/oidc/callback")
}

/// Whether it is an address of the page, which is one file: nobody is sent elsewhere.
fn is_of_page(address: &str) -> bool {
    let rest = address.strip_prefix('/');
    let is_page = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '#']));
    is_page && address.len() <= RETURN_TO && address.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_anywhere_but_to_the_page() {
        for good in ["/", "/?show=all&site=north", "/#/images/0190", "/?a=b#/people"] {
            assert!(is_of_page(good), "{good}");
        }
        let long = format!("/?{}", "a".repeat(RETURN_TO));
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/v1/session",
            "/docs",
            "javascript:alert(1)",
            "/?a\r\nset-cookie: x",
            "/?a b",
            "/?ä",
            " /",
            "evil",
            &long,
        ] {
            assert!(!is_of_page(bad), "{bad}");
        }
    }
}
