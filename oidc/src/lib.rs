//! Signing in at another provider (OpenID Connect Core 1.0): authorization code with PKCE (RFC 7636), ended by the provider
//! with back-channel logout. A client of the provider alone: it serves nothing, stores nothing, and knows no account.
//!
//! ```text
//! begin ─▶ browser at the provider ─▶ finish: code for an ID token, which is verified ─▶ Person: subject, name, groups
//! ```
//!
//! - [`Oidc`]: the client. `provider`: what the provider says of itself, fetched when it is first needed and kept.
//! - [`GroupRoles`]: what members of the provider's groups may do here. [`ClaimPath`]: where a token names them.
//! - `logout`: what a logout token must be.
//!
//! Nothing that the provider sent reaches a log: an [`OidcError`] is words of this crate.

mod claims;
mod error;
mod flow;
mod http;
mod jws;
mod logout;
mod provider;
mod roles;
mod settings;

use std::fmt;
use std::sync::Arc;

use lobar_core::time::Clock;

pub use claims::ClaimPath;
pub use error::OidcError;
pub use flow::{Answer, Flow, Person};
pub use logout::Ended;
pub use roles::GroupRoles;
pub use settings::{ClientSecret, Issuer, OidcSettings};

use provider::Provider;

/// How far the provider's clock may be from this machine's, in seconds: what was issued or begins later than so long from
/// now, or has ended longer ago, is refused.
const SKEW: i64 = 60;

/// A client of one provider. Clones share what is known of it.
#[derive(Clone)]
pub struct Oidc {
    settings: Arc<OidcSettings>,
    provider: Arc<Provider>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Oidc {
    /// Asks nobody yet: a provider that is away stops nothing from starting.
    ///
    /// # Errors
    /// When the client of HTTP cannot be made.
    pub fn new(settings: OidcSettings, clock: Arc<dyn Clock>) -> Result<Self, OidcError> {
        let provider = Provider::new(settings.issuer.clone())?;
        Ok(Self { settings: Arc::new(settings), provider: Arc::new(provider), clock })
    }

    /// What was set.
    pub fn settings(&self) -> &OidcSettings {
        &self.settings
    }

    /// Seconds since 1970, UTC.
    fn now(&self) -> i64 {
        self.clock.now().0 / 1_000_000
    }
}
