//! The second proof, beside `Origin`, that a request which changes something comes from the own page: a token that only
//! a page which could read an answer of this server knows.

use actix_web::HttpRequest;
use uuid::Uuid;

use super::cookie;
use crate::problem::{Kind, Problem};

/// The header that carries it.
pub(crate) const HEADER: &str = "lobar-csrf";
/// Names the tokens of this release. A version 5 UUID is a hash: nobody comes from the token to the session's secret, or
/// from another session's token to this one's.
const TOKENS: Uuid = Uuid::from_u128(0x7f6c_2b1e_0a3d_4c58_9e61_52d8_b7a4_10cf);

/// The token of a session.
pub(crate) fn token(secret: &str) -> String {
    Uuid::new_v5(&TOKENS, secret.as_bytes()).simple().to_string()
}

/// Refuses a request that bears a session's cookie and not its token.
pub(crate) fn check(request: &HttpRequest) -> Result<(), Problem> {
    let sent = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let expected = cookie::read(request).map(|secret| token(&secret));
    if sent.is_some() && sent == expected.as_deref() {
        return Ok(());
    }
    let detail = "Send the `csrf_token` of GET /v1/session in the header `Lobar-CSRF`.";
    Err(Problem::new(Kind::WrongCsrfToken, detail))
}
