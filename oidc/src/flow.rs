//! One sign-in: from sending the browser to the provider to knowing who came back.

use chrono::{DateTime, Utc};
use lobar_core::accounts::External;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AdditionalClaims, AuthType, AuthorizationCode, Client, ClientId, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenClaims,
    IdTokenFields, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, StandardErrorResponse, StandardTokenResponse,
    SubjectIdentifier, TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::http::Unanswered;
use crate::jws;
use crate::provider::Metadata;
use crate::{ClaimPath, Oidc, OidcError, SKEW};

/// Claims that Discovery's standard ones do not name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
struct Others(Map<String, Value>);

impl AdditionalClaims for Others {}

type Claims = IdTokenClaims<Others, CoreGenderClaim>;
type Fields = IdTokenFields<
    Others,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
/// Its endpoints: to authorize, of devices, to introspect, to revoke, of tokens, of the person.
type OfProvider = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What must be known when the browser comes back: kept by that browser, and by nobody else.
#[derive(Clone, Deserialize, Serialize)]
pub struct Flow {
    state: String,
    nonce: String,
    verifier: String,
}

/// What the browser brings back (RFC 6749, 4.1.2; RFC 9207, 2).
#[derive(Clone, Default, Deserialize)]
pub struct Answer {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Who came back.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Who they are at the provider.
    pub external: External,
    /// What they are called, where the token says so.
    pub name: Option<String>,
    /// Their groups; `None` where the token names none at all.
    pub groups: Option<Vec<String>>,
    /// The provider's session.
    pub sid: Option<String>,
}

impl Flow {
    /// What one sign-in, and no other, is called.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Whether this is the answer to it: anything else was begun in another browser, or by nobody.
    pub fn is_answered_by(&self, answer: &Answer) -> bool {
        answer.state.as_deref() == Some(&self.state)
    }
}

impl Oidc {
    /// Where to send the browser, and what it must keep meanwhile. `redirect` is the address to which it comes back. With
    /// `anew` the provider asks who it is even where it knows (`prompt=login`, OpenID Connect Core 1.0, 3.1.2.1).
    ///
    /// # Errors
    /// [`OidcError::Away`] when the provider was never heard of and cannot be asked.
    pub async fn begin(&self, redirect: &str, anew: bool) -> Result<(Url, Flow), OidcError> {
        let metadata = self.provider.metadata().await?;
        let client = self.client(&metadata, redirect)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new_random_len(32),
            || Nonce::new_random_len(32),
        );
        let scopes = self.settings.scopes.iter().cloned().map(Scope::new);
        let request = match anew {
            true => request.add_prompt(CoreAuthPrompt::Login),
            false => request,
        };
        let (url, state, nonce) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
        let (state, nonce) = (state.into_secret(), nonce.secret().clone());
        Ok((url, Flow { state, nonce, verifier: verifier.into_secret() }))
    }

    /// Who came back, from the answer to a flow. The caller sees to it that a flow ends once.
    ///
    /// # Errors
    /// See [`OidcError`].
    pub async fn finish(
        &self,
        flow: Flow,
        redirect: &str,
        answer: Answer,
    ) -> Result<Person, OidcError> {
        if !flow.is_answered_by(&answer) {
            return Err(OidcError::Refused("it answers another sign-in"));
        }
        let metadata = self.provider.metadata().await?;
        self.check_issuer(&metadata, answer.iss.as_deref())?;
        if answer.error.is_some() {
            return Err(OidcError::Refused("the provider signed nobody in"));
        }
        let code = answer.code.ok_or(OidcError::Refused("it has no code"))?;
        let client = self.client(&metadata, redirect)?;
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|_| OidcError::Away("it has no token endpoint"))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(flow.verifier));
        let tokens = request.request_async(self.provider.http()).await.map_err(no_token)?;
        let claims = self.verified(&metadata, redirect, &tokens, Nonce::new(flow.nonce)).await?;
        let said = object(&claims)?;
        self.check_others(&said)?;
        let missing = self.settings.groups_claim.find(&said).is_none()
            || self.settings.name_claim.find(&said).is_none();
        let more = match metadata.userinfo_endpoint() {
            Some(_) if missing => {
                self.user_info(&client, tokens.access_token(), claims.subject()).await?
            }
            _ => Map::new(),
        };
        // Each is looked for as a whole, first in the token: one part of a nested claim hides no other part.
        let texts = |path: &ClaimPath| match path.find(&said) {
            Some(_) => path.texts(&said),
            None => path.texts(&more),
        };
        Ok(Person {
            external: External {
                issuer: self.settings.issuer.as_str().to_owned(),
                subject: claims.subject().as_str().to_owned(),
            },
            name: texts(&self.settings.name_claim).and_then(|texts| texts.into_iter().next()),
            groups: texts(&self.settings.groups_claim),
            sid: said.get("sid").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Where a browser signs out at the provider, which sends it to `back` then (OpenID Connect RP-Initiated Logout 1.0,
    /// 2). `None` where it has no such address, or was not heard of yet. The token that signed the person in is not kept,
    /// so the provider may ask them whether they mean it.
    pub fn sign_out_at(&self, back: &str) -> Option<Url> {
        let metadata = self.provider.known()?;
        let address = metadata.additional_metadata().end_session_endpoint.as_deref()?;
        let mut url = Url::parse(address).ok()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("post_logout_redirect_uri", back);
        Some(url)
    }

    fn client(&self, metadata: &Metadata, redirect: &str) -> Result<OfProvider, OidcError> {
        let secret = self.settings.client_secret.as_ref();
        let secret = secret.map(|secret| openidconnect::ClientSecret::new(secret.0.clone()));
        let redirect = RedirectUrl::new(redirect.to_owned());
        let redirect = redirect.map_err(|_| OidcError::Refused("its host is none"))?;
        let id = ClientId::new(self.settings.client_id.clone());
        let client = OfProvider::from_provider_metadata(metadata.clone(), id, secret);
        Ok(client.set_auth_type(auth_type(metadata)).set_redirect_uri(redirect))
    }

    /// Two providers of which one is hostile cannot be mixed up (RFC 9207, 2.4).
    fn check_issuer(&self, metadata: &Metadata, iss: Option<&str>) -> Result<(), OidcError> {
        let is_promised =
            metadata.additional_metadata().authorization_response_iss_parameter_supported;
        match iss {
            Some(iss) if iss == self.settings.issuer.as_str() => Ok(()),
            None if !is_promised => Ok(()),
            _ => Err(OidcError::Refused("another provider answered")),
        }
    }

    /// The ID token, verified (OpenID Connect Core 1.0, 3.1.3.7). A key that is not known may be a new one.
    async fn verified(
        &self,
        metadata: &Metadata,
        redirect: &str,
        tokens: &Tokens,
        nonce: Nonce,
    ) -> Result<Claims, OidcError> {
        let token = tokens.id_token().ok_or(OidcError::Refused("it holds no ID token"))?;
        let now = self.now();
        let verify = |client: &OfProvider| {
            let verifier = client
                .id_token_verifier()
                .set_allowed_algs(jws::ALGORITHMS)
                .set_time_fn(move || time(now - SKEW))
                .set_issue_time_verifier_fn(move |issued| match issued > time(now + SKEW) {
                    true => Err("issued in the future".into()),
                    false => Ok(()),
                });
            token.claims(&verifier, &nonce).cloned()
        };
        let verified = match verify(&self.client(metadata, redirect)?) {
            Err(error) if jws::may_be_a_new_key(&error) => {
                let renewed = self.provider.renewed().await?;
                verify(&self.client(&renewed, redirect)?)
            }
            verified => verified,
        };
        verified.map_err(|error| OidcError::Refused(jws::words(&error)))
    }

    /// What the library leaves to its user: who the token was made for, and when it begins.
    fn check_others(&self, claims: &Map<String, Value>) -> Result<(), OidcError> {
        if let Some(party) = claims.get("azp")
            && party.as_str() != Some(&self.settings.client_id)
        {
            return Err(OidcError::Refused("the token was made for another client (azp)"));
        }
        let begins = claims.get("nbf").map(|nbf| nbf.as_f64().unwrap_or(f64::MAX));
        match begins {
            Some(begins) if begins > (self.now() + SKEW) as f64 => {
                Err(OidcError::Refused("the token is not good yet (nbf)"))
            }
            _ => Ok(()),
        }
    }

    /// What the provider says of the person beside the token (OpenID Connect Core 1.0, 5.3), of the same subject.
    async fn user_info(
        &self,
        client: &OfProvider,
        token: &AccessToken,
        subject: &SubjectIdentifier,
    ) -> Result<Map<String, Value>, OidcError> {
        let request = client.user_info(token.clone(), Some(subject.clone()));
        let request = request.map_err(|_| OidcError::Away("it says nothing of people"))?;
        let said: UserInfoClaims<Others, CoreGenderClaim> = request
            .request_async(self.provider.http())
            .await
            .map_err(|_| OidcError::Away("what it says of the person cannot be fetched"))?;
        object(&said)
    }
}

fn object(claims: &impl Serialize) -> Result<Map<String, Value>, OidcError> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(OidcError::Refused("the claims are no object")),
    }
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// How Lobar proves that it is the client: in the header, unless the provider takes the secret in the body alone.
fn auth_type(metadata: &Metadata) -> AuthType {
    use openidconnect::core::CoreClientAuthMethod::{ClientSecretBasic, ClientSecretPost};
    match metadata.token_endpoint_auth_methods_supported() {
        Some(ways) if ways.contains(&ClientSecretPost) && !ways.contains(&ClientSecretBasic) => {
            AuthType::RequestBody
        }
        _ => AuthType::BasicAuth,
    }
}

/// Without a word of what it sent.
fn no_token(
    error: RequestTokenError<Unanswered, StandardErrorResponse<CoreErrorResponseType>>,
) -> OidcError {
    match error {
        RequestTokenError::ServerResponse(said) => match said.error() {
            CoreErrorResponseType::InvalidGrant => {
                OidcError::Refused("the provider does not take the code")
            }
            CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                OidcError::Away("it does not take this client's id and secret")
            }
            _ => OidcError::Away("it gives no token"),
        },
        RequestTokenError::Request(Unanswered(why)) => OidcError::Away(why),
        RequestTokenError::Parse(..) => OidcError::Refused("the provider's answer is no token"),
        RequestTokenError::Other(_) => OidcError::Away("its answer is none"),
    }
}
