//! The cookie of a sign-in at another provider, while the browser is there: what must be known when it comes back.
//!
//! `SameSite=Lax`, since the provider's page sends the browser back, and kept for ten minutes. It is the browser's own and no
//! secret to it, so it is neither encrypted nor signed: who could plant one in another browser could plant one that was
//! signed for themselves. Over TLS nobody can (`__Host-`), so nobody is signed in to an account that is not theirs.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as Age;
use actix_web::cookie::{Cookie, SameSite};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lobar_oidc::Flow;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cookie::is_secure;

const PLAIN: &str = "lobar_oidc";
const SECURE: &str = "__Host-oidc";
/// How long somebody may take at the provider, in seconds.
pub(crate) const LASTS: u32 = 600;

/// What the browser keeps.
#[derive(Deserialize, Serialize)]
pub(crate) struct Begun {
    /// The sign-in.
    pub(crate) flow: Flow,
    /// The page's address to go to then.
    pub(crate) return_to: String,
    /// The session that the browser had then, if it had one.
    #[serde(default)]
    pub(crate) earlier: Option<Earlier>,
}

/// A session that ends when somebody signs in. Its id is told to nobody but its own account.
#[derive(Deserialize, Serialize)]
pub(crate) struct Earlier {
    /// Whose it was.
    pub(crate) account: Uuid,
    /// Its id.
    pub(crate) session: Uuid,
}

/// The sign-in that this browser has begun, if it has.
pub(crate) fn read(request: &HttpRequest) -> Option<Begun> {
    let (cookies, name) = (request.cookies().ok()?, name(request));
    let mut named = cookies.iter().filter(|cookie| cookie.name() == name);
    let cookie = named.next()?;
    // One of two was planted by another host of the domain: which, is not told.
    if named.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cookie.value()).ok()?).ok()
}

/// Has the browser keep it.
pub(crate) fn issue(request: &HttpRequest, begun: &Begun) -> Cookie<'static> {
    let value = serde_json::to_vec(begun).unwrap_or_default();
    cookie(request, URL_SAFE_NO_PAD.encode(value), Age::seconds(LASTS.into()))
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
        .same_site(SameSite::Lax)
        .max_age(age)
        .finish()
}

fn name(request: &HttpRequest) -> &'static str {
    if is_secure(request) { SECURE } else { PLAIN }
}
