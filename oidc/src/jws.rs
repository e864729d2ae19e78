//! Signed tokens: which signatures are taken, and what is said of those that are not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm};
use openidconnect::{
    ClaimsVerificationError, JsonWebKey as _, JsonWebKeyId, JsonWebKeySet,
    SignatureVerificationError,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Signatures by keys that the provider publishes. None by a shared secret: where that is a public key's own text, or a
/// client's that others know, anybody makes them (RFC 8725, 2.1). And never none.
pub(crate) const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Whether the provider may have changed its keys since they were fetched.
pub(crate) fn may_be_a_new_key(error: &ClaimsVerificationError) -> bool {
    use SignatureVerificationError::{AmbiguousKeyId, CryptoError, NoMatchingKey};
    matches!(
        error,
        ClaimsVerificationError::SignatureVerification(
            NoMatchingKey | CryptoError(_) | AmbiguousKeyId(_)
        )
    )
}

/// What was wrong with an ID token, without a word of it.
pub(crate) fn words(error: &ClaimsVerificationError) -> &'static str {
    use ClaimsVerificationError as Wrong;
    match error {
        Wrong::Expired(_) => "the token has expired, or comes from the future",
        Wrong::InvalidAudience(_) => "the token is meant for somebody else (aud)",
        Wrong::InvalidIssuer(_) => "the token comes from another issuer (iss)",
        Wrong::InvalidNonce(_) => "the token belongs to another sign-in (nonce)",
        Wrong::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => {
            "the token is signed in a way that is not taken (alg)"
        }
        Wrong::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            "the token is signed with a key that the provider does not publish (kid)"
        }
        Wrong::SignatureVerification(_) => "the token's signature is wrong",
        _ => "the token is none that is taken",
    }
}

/// Why a token's signature proves nothing.
pub(crate) enum Unproven {
    /// None of the keys has its name, or made it.
    Key,
    /// It is none that is taken, whatever the keys.
    Form,
}

#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<JsonWebKeyId>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// The claims of a signed token in the compact form (RFC 7515, 7.1), if one of these keys signed it and its type is none, or
/// one of `types`.
pub(crate) fn open(
    token: &str,
    keys: &JsonWebKeySet<CoreJsonWebKey>,
    types: &[&str],
) -> Result<Map<String, Value>, Unproven> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Unproven::Form)?;
    let (header, payload) = signed.split_once('.').ok_or(Unproven::Form)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Unproven::Form);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Unproven::Form)?;
    let is_type = |typ: &String| {
        let short = typ.to_ascii_lowercase();
        types.contains(&short.strip_prefix("application/").unwrap_or(&short))
    };
    let is_ours = ALGORITHMS.contains(&header.alg)
        && header.crit.is_none()
        && header.typ.as_ref().is_none_or(is_type);
    if !is_ours {
        return Err(Unproven::Form);
    }
    let (payload, signature) = (decode(payload)?, decode(signature)?);
    let named = |key: &&CoreJsonWebKey| header.kid.is_none() || key.key_id() == header.kid.as_ref();
    let mut keys = keys.keys().iter().filter(named);
    let signed_by = |key: &CoreJsonWebKey| {
        key.verify_signature(&header.alg, signed.as_bytes(), &signature).is_ok()
    };
    if !keys.any(signed_by) {
        return Err(Unproven::Key);
    }
    serde_json::from_slice(&payload).map_err(|_| Unproven::Form)
}
