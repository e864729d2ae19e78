//! Checks of every request: Host, Origin and Sec-Fetch-Site; security headers of every response.
//!
//! The rules are those of every server of this program: [`lobar_core::browser`].

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _, web};
use lobar_core::browser::{is_from_own_page, is_own_host};

use crate::context::Context;
use crate::problem::{Kind, Problem};

/// No inline script or style, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// Swagger UI writes style attributes of its own.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Checks a request and adorns its answer.
pub(crate) async fn guard(
    context: web::Data<Context>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let docs = request.path().starts_with("/docs");
    let mut response = match check(&request, &context.settings.hosts) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(problem) => request.into_response(problem.error_response()),
    };
    without_chunks(&mut response);
    let policy = if docs { DOCS_POLICY } else { POLICY };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // What says nothing about caching is personal.
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    }
    Ok(response)
}

/// HTTP/1.0 knows no chunked coding: a stream ends with its connection (RFC 9112, 6.1).
fn without_chunks(response: &mut ServiceResponse<BoxBody>) {
    let is_old = response.request().version() < Version::HTTP_11;
    if is_old && response.response().body().size() == BodySize::Stream {
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
}

/// Refuses what was compressed: what it comes to is unknown before it is unpacked.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &HeaderValue| {
        let coding = value.to_str().unwrap_or("not text").trim();
        coding.is_empty() || coding.eq_ignore_ascii_case("identity")
    };
    if headers.get_all(header::CONTENT_ENCODING).all(plain) {
        return Ok(());
    }
    Err(Problem::new(Kind::WrongEncoding, "Send it without Content-Encoding."))
}

fn check(request: &ServiceRequest, names: &[String]) -> Result<(), Problem> {
    // Probes and scrapers use whatever address they have, and see nothing personal.
    if matches!(request.path(), "/livez" | "/readyz" | "/metrics") {
        return Ok(());
    }
    let host = text(request.headers(), &header::HOST).unwrap_or_default();
    if !is_own_host(host, names) {
        let detail = "Use localhost or an IP address, or add the name to the server's settings.";
        return Err(Problem::new(Kind::ForeignHost, detail));
    }
    if request.method().is_safe() {
        return Ok(());
    }
    if from_here(request.headers(), host) {
        return check_encoding(request.headers());
    }
    Err(Problem::new(Kind::ForeignOrigin, "Send this request from the server's own page."))
}

/// Whether a request that changes something comes from our own page or from no page at all.
fn from_here(headers: &HeaderMap, host: &str) -> bool {
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    is_from_own_page(host, text(headers, &header::ORIGIN), site)
}

/// A header's text; what is no text is as foreign as an empty one.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_request_that_changes_something_must_come_from_the_own_page_or_from_none() {
        let passes = |pairs: &[(&'static str, &'static str)]| {
            let mut request = TestRequest::post().insert_header(("host", "localhost:1"));
            for pair in pairs {
                request = request.insert_header(*pair);
            }
            check(&request.to_srv_request(), &[]).is_ok()
        };
        assert!(passes(&[]));
        assert!(passes(&[("origin", "http://localhost:1"), ("sec-fetch-site", "same-origin")]));
        assert!(!passes(&[("origin", "http://localhost:2")]));
        assert!(!passes(&[("origin", "null")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("sec-fetch-site", "same-site")]));
        assert!(passes(&[("content-encoding", "identity")]));
        assert!(!passes(&[("content-encoding", "gzip")]));
    }
}
