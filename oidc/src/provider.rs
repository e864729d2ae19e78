//! What the provider says of itself: its endpoints and keys. Fetched when first needed, kept, and fetched again after an
//! hour or when a token names a key that is not known.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, DiscoveryError, IssuerUrl, JsonWebKeySet, ProviderMetadata,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;

use crate::http::{Http, Unanswered, client};
use crate::settings::is_private;
use crate::{Issuer, OidcError};

/// How long what was fetched is used without asking again.
const FRESH: Duration = Duration::from_secs(3600);
/// How soon after a try the next one may come: whoever sends tokens with unknown keys, or reloads the page while the
/// provider is away, has it asked no oftener.
const REST: Duration = Duration::from_secs(2);

/// Members of the description that matter here and are no part of Discovery itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct More {
    /// Where a browser goes to sign out (OpenID Connect RP-Initiated Logout 1.0, 2.1).
    pub(crate) end_session_endpoint: Option<String>,
    /// Whether its answers bear `iss` (RFC 9207, 3).
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

/// What a provider says of itself, with its keys.
pub(crate) type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// See the module's documentation.
pub(crate) struct Provider {
    issuer: Issuer,
    http: Http,
    known: RwLock<Option<Known>>,
    /// When it was last tried, and how that ended. Held while it is being asked, so that it is asked once.
    tried: Mutex<Option<(Instant, Result<(), OidcError>)>>,
}

#[derive(Clone)]
struct Known {
    metadata: Arc<Metadata>,
    fetched: Instant,
}

impl Provider {
    pub(crate) fn new(issuer: Issuer) -> Result<Self, OidcError> {
        let http = client(issuer.as_str())?;
        Ok(Self { issuer, http, known: RwLock::default(), tried: Mutex::default() })
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// What is known of it already, however old.
    pub(crate) fn known(&self) -> Option<Arc<Metadata>> {
        self.kept().map(|known| known.metadata)
    }

    fn kept(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it was never heard of, and cannot be asked.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let kept = self.kept();
        if let Some(known) = kept.as_ref().filter(|known| known.fetched.elapsed() < FRESH) {
            return Ok(Arc::clone(&known.metadata));
        }
        match (self.fetch().await, kept) {
            (Ok(()), _) => self.known().ok_or(OidcError::Away("it is not known yet")),
            // It said so an hour ago. What changed since, it will say when it is back.
            (Err(_), Some(known)) => Ok(known.metadata),
            (Err(error), None) => Err(error),
        }
    }

    /// The same, asked for anew: a token names a key that is not known. What is known already, when it was asked only just.
    pub(crate) async fn renewed(&self) -> Result<Arc<Metadata>, OidcError> {
        self.fetch().await?;
        self.metadata().await
    }

    async fn fetch(&self) -> Result<(), OidcError> {
        let mut tried = self.tried.lock().await;
        if let Some((at, outcome)) = *tried
            && at.elapsed() < REST
        {
            return outcome;
        }
        let fetched = self.discover().await;
        let outcome = fetched.as_ref().map(drop).map_err(|error| *error);
        *tried = Some((Instant::now(), outcome));
        if let Err(error) = outcome {
            tracing::warn!(%error, "the OpenID provider's description was not fetched; trying again when it is next needed");
        }
        if let Ok(metadata) = fetched {
            let known = Known { metadata: Arc::new(metadata), fetched: Instant::now() };
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        }
        outcome
    }

    async fn discover(&self) -> Result<Metadata, OidcError> {
        let issuer = IssuerUrl::new(self.issuer.as_str().to_owned());
        let issuer = issuer.map_err(|_| OidcError::Away("the issuer is no URL"))?;
        let metadata = Metadata::discover_async(issuer, &self.http).await.map_err(away)?;
        let browsers = [
            Some(metadata.authorization_endpoint().url().as_str()),
            metadata.additional_metadata().end_session_endpoint.as_deref(),
        ];
        let safe = |text: &str| Url::parse(text).is_ok_and(|url| is_private(&url));
        if !browsers.into_iter().flatten().all(safe) {
            return Err(OidcError::Away("it sends browsers to an address without TLS"));
        }
        Ok(metadata)
    }

    /// Its keys of now.
    pub(crate) fn keys(metadata: &Metadata) -> &JsonWebKeySet<CoreJsonWebKey> {
        metadata.jwks()
    }
}

/// Without a word of what it sent.
fn away(error: DiscoveryError<Unanswered>) -> OidcError {
    OidcError::Away(match error {
        DiscoveryError::Request(Unanswered(why)) => why,
        DiscoveryError::Response(..) => "it has no description, or no keys, where they should be",
        DiscoveryError::Parse(_) => "its description or its keys cannot be read",
        DiscoveryError::Validation(_) => "it calls itself otherwise than the issuer that was set",
        _ => "its description cannot be used",
    })
}
