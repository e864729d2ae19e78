//! What is known of the provider beforehand.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::{Host, Url};

use crate::{ClaimPath, GroupRoles};

/// The provider and what is asked of it.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// Who the provider is.
    pub issuer: Issuer,
    /// Who Lobar is there.
    pub client_id: String,
    /// What Lobar proves it with; `None` for a public client, which has PKCE alone.
    pub client_secret: Option<ClientSecret>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Where the token names the person's groups.
    pub groups_claim: ClaimPath,
    /// Where the token names the person.
    pub name_claim: ClaimPath,
    /// What members of groups may do.
    pub roles: GroupRoles,
    /// What the page calls the provider: `Sign in with …`.
    pub label: String,
    /// How long a session lasts at most; the server's own bound when it is shorter.
    pub longest: Duration,
}

/// The URL that names the provider, under which it describes itself (OpenID Connect Discovery 1.0, 4). With TLS, but for
/// this machine's own loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// The URL, as it was given: it is compared letter by letter.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Issuer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url =
            Url::parse(text).map_err(|_| "it is no URL such as https://login.example/realm")?;
        if !is_private(&url) {
            return Err("it must begin with https:// (http:// is for loopback alone)");
        }
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain {
            return Err("it holds more than an issuer's URL does: no user, password, `?` or `#`");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether nobody on the way can read or change what is sent there.
pub(crate) fn is_private(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether it is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What Lobar proves with that it is the client. In no output.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(pub String);

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_reached_over_tls_or_on_this_machine() {
        for good in [
            "https://login.example/realms/x",
            "http://127.0.0.1:9",
            "http://localhost",
            "http://[::1]:1/",
        ] {
            assert_eq!(good.parse::<Issuer>().expect("an issuer").as_str(), good);
        }
        for bad in [
            "",
            "login.example",
            "http://login.example",
            "ftp://x",
            "https://me:pw@x",
            "https://x/?a",
            "https://x/#a",
        ] {
            assert!(bad.parse::<Issuer>().is_err(), "{bad}");
        }
    }
}
