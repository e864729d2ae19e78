//! Logout tokens (OpenID Connect Back-Channel Logout 1.0): the provider says that somebody's session is over.

use lobar_core::accounts::ExternalEnd;
use lobar_core::time::Stamp;
use serde_json::{Map, Value};

use crate::jws::{self, Unproven};
use crate::provider::Provider;
use crate::{Oidc, OidcError, SKEW};

/// The event that a logout token tells of (2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// `logout+jwt` (2.4); many providers say `JWT`, or nothing.
const TYPES: [&str; 2] = ["logout+jwt", "jwt"];
/// How old a token may be, in seconds, beside the difference of clocks: providers send them at once.
const OLDEST: i64 = 120;
/// Longest token that is looked at, in bytes.
const LONGEST: usize = 16 << 10;

/// What a provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whose sessions, or which.
    pub end: ExternalEnd,
    /// Names the token (`jti`): it is good once. Nothing personal.
    pub id: String,
    /// After which it would be refused anyhow.
    pub until: Stamp,
}

impl Oidc {
    /// Reads a logout token (2.6). The caller sees to it that it is used once.
    ///
    /// # Errors
    /// See [`OidcError`].
    pub async fn logged_out(&self, token: &str) -> Result<Ended, OidcError> {
        if token.len() > LONGEST {
            return Err(OidcError::Refused("the logout token is too long"));
        }
        let metadata = self.provider.metadata().await?;
        let opened = match jws::open(token, Provider::keys(&metadata), &TYPES) {
            Err(Unproven::Key) => {
                let metadata = self.provider.renewed().await?;
                jws::open(token, Provider::keys(&metadata), &TYPES)
            }
            opened => opened,
        };
        let claims = opened.map_err(|_| OidcError::Refused("the logout token's signature"))?;
        self.read(&claims).map_err(OidcError::Refused)
    }

    fn read(&self, claims: &Map<String, Value>) -> Result<Ended, &'static str> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(self.settings.issuer.as_str()) {
            return Err("the logout token comes from another issuer (iss)");
        }
        let is_ours = match claims.get("aud") {
            Some(Value::String(one)) => *one == self.settings.client_id,
            Some(Value::Array(all)) => {
                all.iter().any(|one| one.as_str() == Some(&self.settings.client_id))
            }
            _ => false,
        };
        if !is_ours {
            return Err("the logout token is meant for somebody else (aud)");
        }
        let now = self.now();
        let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
        let issued = seconds("iat").ok_or("the logout token does not say when it was issued")?;
        if issued > (now + SKEW) as f64 || issued < (now - OLDEST - SKEW) as f64 {
            return Err("the logout token is too old, or comes from the future (iat)");
        }
        // Asked for by the standard, and left out by providers of before 2022.
        if claims.contains_key("exp") && seconds("exp").is_none_or(|exp| exp <= (now - SKEW) as f64)
        {
            return Err("the logout token has expired (exp)");
        }
        let event = claims.get("events").and_then(|events| events.get(EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err("the logout token tells of no logout (events)");
        }
        // It could be an ID token otherwise.
        if claims.contains_key("nonce") {
            return Err("the logout token has a nonce");
        }
        let id = text("jti").filter(|id| !id.is_empty());
        let id = id.ok_or("the logout token has no name (jti)")?.to_owned();
        let (subject, sid) = (text("sub").map(str::to_owned), text("sid").map(str::to_owned));
        if subject.is_none() && sid.is_none() {
            return Err("the logout token names nobody (sub, sid)");
        }
        let end = ExternalEnd { issuer: self.settings.issuer.as_str().to_owned(), subject, sid };
        let until = Stamp((now + OLDEST + 2 * SKEW + 1).saturating_mul(1_000_000));
        Ok(Ended { end, id, until })
    }
}
