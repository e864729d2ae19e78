//! Who asks: a machine by its token, a person by their session, or the local user.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use lobar_core::access::{Caller, Grants, Right, Who};
use lobar_core::accounts::{AccountId, Session, TokenId};
use lobar_core::audit::{Action, Actor};
use lobar_core::failure::PortError;
use lobar_core::time::Stamp;
use serde_json::json;
use tokio::sync::broadcast;
use tokio::time::timeout;
use uuid::Uuid;

use super::Granted;
use super::cookie;
use super::csrf;
use super::recent::RecentCallers;
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::record::by;
use crate::viewer::Viewer;

/// Sent with a request that a person has just caused: it keeps a session from ending for want of use. What the page does
/// by itself, such as following events, does not.
const ACTIVITY: &str = "lobar-activity";
/// How long the store may take to say who asks. It is timed on the thread that answers, so that whoever was known not long
/// ago reads figures also while the runtime that asks stands still.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where pages tell by themselves what they painted.
const EXPOSURE: &str = "/v1/exposure";
/// Beginnings of the names of headers that proxies add: what bears one does not come from this machine's own user.
const FORWARDED: [&str; 7] =
    ["forwarded", "x-forwarded-", "x-real-ip", "via", "x-envoy-", "cf-", "true-client-ip"];

/// Finds out who asks.
pub(crate) struct Identity {
    local_user: bool,
    /// Whether somebody is known to have an account. Accounts are disabled, never deleted, so it stays so.
    somebody: AtomicBool,
    /// Whether the store has said at least once that nobody has one.
    nobody: AtomicBool,
    /// Callers of the last minutes, for while the store is away.
    recent: RecentCallers,
    /// Accounts and tokens about which something changed, for streams, which outlive the request that opened them.
    forgotten: broadcast::Sender<Uuid>,
}

/// Accounts that one may hear of late before everybody asks the store.
const FORGOTTEN: usize = 64;

/// Who asks, before it is known what for.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) caller: Arc<Caller>,
    pub(crate) session: Option<Session>,
}

impl Known {
    /// Whether the session has ended by itself.
    pub(crate) fn is_over(&self, now: Stamp) -> bool {
        self.session.as_ref().is_some_and(|session| session.expires_at <= now)
    }
}

impl Identity {
    /// With a local user, or without.
    pub(crate) fn new(local_user: bool) -> Self {
        let (somebody, nobody) = (AtomicBool::new(false), AtomicBool::new(false));
        let (recent, forgotten) = (RecentCallers::default(), broadcast::Sender::new(FORGOTTEN));
        Self { local_user, somebody, nobody, recent, forgotten }
    }

    /// Who asks.
    ///
    /// # Errors
    /// When nobody has signed in, or the request does not prove that it comes from the own page.
    pub(crate) async fn check(
        &self,
        context: &Context,
        request: &HttpRequest,
    ) -> Result<Known, Problem> {
        let known = self.of(context, request).await?.ok_or_else(|| not_signed_in(request))?;
        if known.session.is_some() && !request.method().is_safe() {
            csrf::check(request)?;
        }
        Ok(known)
    }

    /// The caller, if they have this right somewhere.
    pub(crate) fn grant(
        &self,
        context: &Context,
        known: Known,
        right: Right,
    ) -> Result<Granted, Problem> {
        let sites = known.caller.grants.reach(right);
        if sites.is_empty() {
            let mut refused = by(Actor::from(&known.caller.who), None, Action::Refused, None);
            refused.detail = json!({ "right": right.as_str() });
            context.recorder.note_refused(refused)?;
            let detail =
                format!("It needs the right `{}`, which an admin can grant.", right.as_str());
            return Err(Problem::new(Kind::NotAllowed, detail).with("right", right.as_str()));
        }
        let session = known.session.map(|session| session.id);
        Ok(Granted { caller: known.caller, session, right, sites })
    }

    /// Who asks; `None` for nobody who is known.
    async fn of(&self, context: &Context, request: &HttpRequest) -> Result<Option<Known>, Problem> {
        if let Some(token) = bearer(request.headers()) {
            let found = in_time(machine(context, token.clone())).await;
            let known = self.or_recent(context, request, &token, found)?;
            return known.map(Some).ok_or_else(|| {
                Problem::new(Kind::NotSignedIn, "The token is wrong, has expired or was revoked.")
            });
        }
        // What a browser sends by itself is not the word of a page elsewhere.
        if Viewer::sent(request) {
            return Ok(None);
        }
        if let Some(secret) = cookie::read(request) {
            let found = in_time(person(context, request, secret.clone())).await;
            if let Some(known) = self.or_recent(context, request, &secret, found)? {
                return Ok(Some(known));
            }
        }
        let is_local = self.local_user && is_from_this_machine(request);
        if is_local && !self.is_somebody_known(context).await? {
            return Ok(Some(Known { caller: Arc::new(Caller::local()), session: None }));
        }
        Ok(None)
    }

    /// Whether what a request signs in with was good before: such a request is counted by its caller, others by their
    /// address.
    pub(crate) fn knows(&self, request: &HttpRequest) -> bool {
        let cookie = || cookie::read(request).filter(|_| !Viewer::sent(request));
        let secret = bearer(request.headers()).or_else(cookie);
        secret.is_some_and(|secret| self.recent.knows(&secret))
    }

    /// Nobody of this account or token is let in any more while the store is away, and their streams ask at once whether
    /// they may go on.
    pub(crate) fn forget(&self, id: Uuid) {
        self.recent.forget(id);
        // Nobody listening is no error.
        let _ = self.forgotten.send(id);
    }

    /// Hears of everybody who is forgotten from now on.
    pub(crate) fn hear(&self) -> broadcast::Receiver<Uuid> {
        self.forgotten.subscribe()
    }

    /// While the store is away, who was known not long ago may read on, and change nothing.
    fn or_recent(
        &self,
        context: &Context,
        request: &HttpRequest,
        secret: &str,
        found: Result<Option<Known>, Problem>,
    ) -> Result<Option<Known>, Problem> {
        if found.is_err() && !request.method().is_safe() {
            return found;
        }
        self.recent.or_recent(secret, context.clock.now(), found)
    }

    async fn is_somebody_known(&self, context: &Context) -> Result<bool, Problem> {
        if self.somebody.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let any =
            context.ask_port(&context.accounts, |accounts| async move { accounts.any().await });
        match in_time(any).await {
            Ok(any) => {
                self.somebody.store(any, Ordering::Relaxed);
                self.nobody.store(!any, Ordering::Relaxed);
                Ok(any)
            }
            // What is kept can be read while the store is away.
            Err(_) if self.nobody.load(Ordering::Relaxed) => Ok(false),
            Err(problem) => Err(problem),
        }
    }
}

/// Whether the session or token is still good, and gives the right at the same sites as before: asked by streams, which
/// outlive the request that opened them. It counts as no use.
pub(crate) async fn still(context: &Context, granted: &Granted) -> Result<bool, Problem> {
    let (who, session) = (granted.caller.who.clone(), granted.session);
    let idle = context.settings.sign_in.idle;
    let grants = context.ask_port(&context.accounts, move |accounts| async move {
        Ok::<_, PortError>(match who {
            Who::Person { id, .. } => {
                let id = AccountId(id);
                let open = accounts.sessions(id, idle).await?;
                let is_open = open.iter().any(|open| Some(open.id) == session);
                let account = accounts.account(id).await?.filter(|account| !account.disabled);
                account.filter(|_| is_open).map(|account| account.grants)
            }
            Who::Machine { id, .. } => {
                accounts.token_by_id(TokenId(id)).await?.map(|token| token.grants)
            }
            Who::Local => (!accounts.any().await?).then(Grants::everything),
        })
    });
    Ok(grants.await?.is_some_and(|grants| grants.reach(granted.right) == granted.sites))
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        let detail =
            "Who asks cannot be looked up now: the store does not answer, or nobody asks it.";
        Err(Problem::new(Kind::Unavailable, detail))
    })
}

async fn machine(context: &Context, token: String) -> Result<Option<Known>, Problem> {
    let sign_in = Arc::clone(&context.sign_in);
    let token = context.run(async move { sign_in.token(&token).await }).await??;
    Ok(token.map(|token| {
        let who = Who::Machine { id: token.id.0, name: token.name };
        Known { caller: Arc::new(Caller { who, grants: token.grants }), session: None }
    }))
}

async fn person(
    context: &Context,
    request: &HttpRequest,
    secret: String,
) -> Result<Option<Known>, Problem> {
    let sign_in = Arc::clone(&context.sign_in);
    let found = context.run(async move { sign_in.session(&secret).await }).await??;
    let Some((session, account)) = found else { return Ok(None) };
    // What a page tells of its paintings it tells by itself.
    let by_person = (!request.method().is_safe() && request.path() != EXPOSURE)
        || request.headers().get(ACTIVITY).is_some_and(|value| value == "person");
    if by_person {
        note_use(context, session.clone()).await;
    }
    let who = Who::Person { id: account.id.0, name: account.name };
    let caller = Arc::new(Caller { who, grants: account.grants });
    Ok(Some(Known { caller, session: Some(session) }))
}

/// A use that cannot be noted spoils no request: the session ends a little early at worst.
async fn note_use(context: &Context, session: Session) {
    let sign_in = Arc::clone(&context.sign_in);
    let noted = context.run(async move { sign_in.used(&session).await });
    if !matches!(noted.await, Ok(Ok(()))) {
        tracing::debug!("the use of a session was not noted; its next request notes it");
    }
}

/// Whether nobody but a user of this machine can have sent it: over loopback, under a name of loopback, and not through a
/// proxy.
fn is_from_this_machine(request: &HttpRequest) -> bool {
    let is_loopback = |peer: SocketAddr| peer.ip().to_canonical().is_loopback();
    let by_proxy =
        |name: &HeaderName| FORWARDED.iter().any(|start| name.as_str().starts_with(start));
    request.peer_addr().is_some_and(is_loopback)
        && is_loopback_name(request.connection_info().host())
        && !request.headers().keys().any(by_proxy)
}

/// Whether a host with its port, as a browser sends it, can only be this machine.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The token of `Authorization: Bearer` (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn not_signed_in(request: &HttpRequest) -> Problem {
    if Viewer::sent(request) {
        let detail = "A page elsewhere is let in by a token alone: Authorization: Bearer.";
        return Problem::new(Kind::NotSignedIn, detail);
    }
    match cookie::doubled(request) {
        None => Problem::new(
            Kind::NotSignedIn,
            "Sign in on the page, or send a token: Authorization: Bearer.",
        ),
        Some(name) => {
            let detail = format!(
                "The browser sends two cookies `{name}`, and nobody can tell which one Lobar gave it: delete the cookies of \
                 this address in the browser, then sign in again."
            );
            Problem::new(Kind::NotSignedIn, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn what_came_through_a_proxy_is_not_from_the_local_user() {
        let from = |peer: &str| {
            let request = TestRequest::default().insert_header(("host", "localhost:8080"));
            request.peer_addr(peer.parse().expect("an address"))
        };
        for own in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(is_from_this_machine(&from(own).to_http_request()), "{own}");
        }
        assert!(!is_from_this_machine(&from("10.0.0.1:1").to_http_request()));
        assert!(!is_from_this_machine(&TestRequest::default().to_http_request()));
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "via", "x-real-ip"] {
            let request = from("127.0.0.1:1").insert_header((name, "10.0.0.1"));
            assert!(!is_from_this_machine(&request.to_http_request()), "{name}");
        }
    }

    #[test]
    fn only_names_of_loopback_are_this_machine() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:8080"] {
            assert!(is_loopback_name(own), "{own}");
        }
        for other in ["", "xrays.example", "10.0.0.1:80", "localhost.example", "[2001:db8::1]:80"] {
            assert!(!is_loopback_name(other), "{other}");
        }
    }

    #[test]
    fn only_the_scheme_bearer_bears_a_token() {
        let of = |value: &'static str| {
            let request = TestRequest::default().insert_header(("authorization", value));
            bearer(request.to_http_request().headers())
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("abc"), None);
    }
}
