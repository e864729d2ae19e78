//! The cookie of a session.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as Age;
use actix_web::cookie::{Cookie, SameSite};

use crate::peer::Peer;

/// Over plain HTTP. Browsers send a cookie to every port of a host, so another server there may have one that is called
/// `session`.
const PLAIN: &str = "lobar_session";
/// Over TLS: browsers take it only with `Secure`, without `Domain` and with `Path=/`, so that no neighbour under the same
/// domain can plant one (RFC 6265bis, 4.1.3.2).
const SECURE: &str = "__Host-session";

/// The session's secret, if the request bears one. Of two, nobody knows which a neighbour on this host has planted, for a
/// longer path or another port (RFC 6265, 8.6): they are nobody's.
pub(crate) fn read(request: &HttpRequest) -> Option<String> {
    let mut own = secrets(request);
    own.pop().filter(|_| own.is_empty())
}

/// The name of the cookie, where a request bears several.
pub(crate) fn doubled(request: &HttpRequest) -> Option<&'static str> {
    (secrets(request).len() > 1).then(|| name(request))
}

fn secrets(request: &HttpRequest) -> Vec<String> {
    let Ok(cookies) = request.cookies() else { return Vec::new() };
    let own = cookies.iter().filter(|cookie| cookie.name() == name(request));
    own.map(|cookie| cookie.value().to_owned()).collect()
}

/// Gives the secret to a browser, which sends it from this server's own pages only.
pub(crate) fn issue(request: &HttpRequest, secret: String, lasts: Duration) -> Cookie<'static> {
    let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
    cookie(request, secret, Age::seconds(seconds))
}

/// Takes it back.
pub(crate) fn expire(request: &HttpRequest) -> Cookie<'static> {
    cookie(request, String::new(), Age::ZERO)
}

fn cookie(request: &HttpRequest, value: String, age: Age) -> Cookie<'static> {
    Cookie::build(name(request), value)
        .path("/")
        .http_only(true)
        .secure(is_secure(request))
        .same_site(SameSite::Strict)
        .max_age(age)
        .finish()
}

fn name(request: &HttpRequest) -> &'static str {
    if is_secure(request) { SECURE } else { PLAIN }
}

/// Whether the browser speaks TLS, with this process or with a trusted proxy.
pub(super) fn is_secure(request: &HttpRequest) -> bool {
    Peer::of(request).map_or_else(|| request.app_config().secure(), |peer| peer.secure)
}
