//! Lets pages of named origins use the endpoint: `s3s` knows no CORS.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Content-Range, x-amz-version-id, x-amz-request-id, x-amz-delete-marker",
);
/// How long a browser may remember a preflight's answer, in seconds.
const REMEMBER: HeaderValue = HeaderValue::from_static("600");

/// The origins that may use the endpoint from a browser; `*` stands for all.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    allowed: Vec<String>,
}

impl Cors {
    pub(super) fn new(allowed: Vec<String>) -> Self {
        Self { allowed }
    }

    /// Whether the request names the origin of a page that may use the endpoint.
    pub(super) fn is_allowed(&self, request: &HeaderMap) -> bool {
        self.origin(request).is_some()
    }

    fn origin<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let allowed = self.allowed.iter().any(|a| a == "*" || a.as_bytes() == origin.as_bytes());
        allowed.then_some(origin)
    }

    /// The answer to a preflight; `None` when the request is none.
    pub(super) fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<(StatusCode, HeaderMap)> {
        if method != Method::OPTIONS {
            return None;
        }
        let mut answer = HeaderMap::new();
        let asked = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let Some(origin) = self.origin(headers).filter(|_| asked) else {
            return Some((StatusCode::FORBIDDEN, answer));
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBER);
        // Every header is allowed: the signature decides what counts.
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        answer.insert(header::VARY, vary());
        Some((StatusCode::OK, answer))
    }

    /// What to add to the answer of any other request.
    pub(super) fn headers(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let Some(origin) = self.origin(request) else { return Vec::new() };
        vec![
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
            (header::VARY, vary()),
        ]
    }
}

fn vary() -> HeaderValue {
    HeaderValue::from_static(
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "http://127.0.0.1:8080";

    fn request(origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        let put = HeaderValue::from_static("PUT");
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, put);
        headers
    }

    #[test]
    fn a_preflight_of_an_allowed_page_passes_and_of_another_does_not() {
        let cors = Cors::new(vec![PAGE.to_owned()]);
        let status = |origin| {
            let answer = cors.preflight(&Method::OPTIONS, &request(origin));
            answer.expect("a preflight").0
        };
        assert_eq!(status(PAGE), StatusCode::OK);
        assert_eq!(status("http://127.0.0.1:80801"), StatusCode::FORBIDDEN);
        assert_eq!(status("null"), StatusCode::FORBIDDEN);
        assert!(cors.preflight(&Method::PUT, &request(PAGE)).is_none());
    }

    #[test]
    fn an_answer_names_the_origin_only_when_it_is_allowed() {
        let cors = Cors::new(vec![PAGE.to_owned()]);
        assert_eq!(cors.headers(&request(PAGE))[0].1, PAGE);
        assert!(cors.headers(&request("http://elsewhere")).is_empty());
        assert!(cors.headers(&HeaderMap::new()).is_empty());
    }
}
