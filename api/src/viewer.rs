//! Viewers in the browser, served from elsewhere: what a page of a listed origin may ask of `/dicom-web/` (Fetch Standard,
//! CORS protocol).
//!
//! A viewer brings a token of its own and nothing else counts: no cookie, and not that somebody sits at this machine. So
//! `Access-Control-Allow-Credentials` is never sent, and a listed page has no more than whoever has its token. To all
//! other pages, and of all other addresses, the server answers as it does without a list ([`lobar_core::browser`]).

use std::fmt;
use std::str::FromStr;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpResponse};
use url::Url;

/// Whose addresses viewers may ask.
const PLACE: &str = "/dicom-web/";
const METHODS: &str = "GET, HEAD, POST";
/// What DICOMweb needs of a request, and what joins a trace. `Accept` with quotes in it is not safelisted.
const HEADERS: &str = "Accept, Authorization, Content-Type, Traceparent, X-Request-Id";
/// What a script may read of an answer beyond the safelisted headers.
const EXPOSED: &str = "Content-Location, RateLimit, RateLimit-Policy, Retry-After, Warning, WWW-Authenticate, X-Request-Id";
/// How long a browser may remember a preflight, in seconds: the most that Chromium does. Each request is checked all the same.
const REMEMBERED: &str = "7200";
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// An origin, as browsers write it in `Origin` (RFC 6454, 6.2): `https://viewer.example`, `http://localhost:3000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerOrigin(String);

impl ViewerOrigin {
    /// As browsers write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ViewerOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // Without the text: somebody may have put a password into it.
        let wrong = || {
            "it is no origin such as https://viewer.example or http://localhost:3000; each is named whole, and neither * \
             nor null is one"
                .to_owned()
        };
        let url = Url::parse(text).map_err(|_| wrong())?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_[:]".contains(c);
        let is_host = url.host_str().is_some_and(|host| host.chars().all(allowed));
        if !matches!(url.scheme(), "http" | "https") || !is_host || !url.username().is_empty() {
            return Err(wrong());
        }
        let origin = url.origin().ascii_serialization();
        match origin == text {
            true => Ok(Self(origin)),
            false => Err(format!(
                "it is not written as browsers send it: without a path, a slash at the end or the usual port, in small \
                 letters; perhaps {origin}"
            )),
        }
    }
}

impl fmt::Display for ViewerOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request that a page of a listed origin sends by a script.
#[derive(Clone, Debug)]
pub(crate) struct Viewer(());

impl Viewer {
    /// The page that sent it, if it is a listed one, and asks where viewers may.
    pub(crate) fn of(request: &ServiceRequest, listed: &[ViewerOrigin]) -> Option<Self> {
        // Forms, frames and windows of that page are none of its scripts; where browsers tell nothing, only a script brings
        // a token.
        let mode = request.headers().get(FETCH_MODE);
        let by_script = mode.is_none_or(|mode| mode.as_bytes() == b"cors");
        (by_script && listed_origin(request, listed).is_some()).then_some(Self(()))
    }

    /// Whether the request was found to be one.
    pub(crate) fn sent(request: &impl HttpMessage) -> bool {
        request.extensions().get::<Self>().is_some()
    }
}

/// Decoded, as routes see it.
fn is_place(request: &ServiceRequest) -> bool {
    request.match_info().as_str().starts_with(PLACE)
}

/// The one origin of a request to [`PLACE`], where it is listed: to the letter.
fn listed_origin(request: &ServiceRequest, listed: &[ViewerOrigin]) -> Option<HeaderValue> {
    let mut sent = request.headers().get_all(header::ORIGIN);
    let origin = sent.next().filter(|_| is_place(request) && sent.next().is_none())?;
    let is_listed = |known: &ViewerOrigin| known.0.as_bytes() == origin.as_bytes();
    listed.iter().any(is_listed).then(|| origin.clone())
}

/// The answer to a preflight, if the request is one: before anybody has to say who they are, since browsers send no token
/// with it.
pub(crate) fn preflight(request: &ServiceRequest) -> Option<HttpResponse> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks {
        return None;
    }
    let mut answer = HttpResponse::NoContent();
    answer
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, REMEMBERED));
    // A viewer on a public address asks a server in the hospital: whoever lists it wants that (Private Network Access).
    if request.headers().contains_key(PRIVATE_NETWORK) {
        answer.insert_header((ALLOW_PRIVATE_NETWORK, "true"));
    }
    Some(answer.finish())
}

/// What an answer tells browsers of who may read it.
pub(crate) struct Readers {
    is_place: bool,
    origin: Option<HeaderValue>,
}

impl Readers {
    /// Of the answer to this request.
    pub(crate) fn of(request: &ServiceRequest, listed: &[ViewerOrigin]) -> Self {
        // Of forms, frames and windows nothing is let out: no script reads their answers.
        let asks = Viewer::of(request, listed).is_some() || request.method() == Method::OPTIONS;
        let origin = listed_origin(request, listed).filter(|_| asks);
        Self { is_place: is_place(request), origin }
    }

    /// Says so in its headers, refusals included: a viewer tells its user why.
    pub(crate) fn tell<B>(self, response: &mut ServiceResponse<B>) {
        let headers: &mut HeaderMap = response.headers_mut();
        if self.is_place {
            // What one page is answered is not for another, listed or not.
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static(EXPOSED);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn listed() -> Vec<ViewerOrigin> {
        ["https://viewer.example", "http://localhost:3000"]
            .map(|it| it.parse().expect("one"))
            .into()
    }

    fn is_viewer(path: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut request = TestRequest::get().uri(path);
        for header in headers {
            request = request.append_header(*header);
        }
        Viewer::of(&request.to_srv_request(), &listed()).is_some()
    }

    #[test]
    fn an_origin_is_read_as_browsers_write_it_and_refused_otherwise() {
        for text in [
            "https://viewer.example",
            "http://localhost:3000",
            "https://[2001:db8::1]:8443",
            "http://192.0.2.1",
            "https://xn--rntgen-wxa.example",
        ] {
            assert_eq!(text.parse::<ViewerOrigin>().expect("an origin").as_str(), text);
        }
        for text in [
            "",
            "*",
            "null",
            "viewer.example",
            "https://",
            "https://*",
            "https://*.example",
            "https://viewer.example/",
            "https://viewer.example/ohif",
            "https://viewer.example?x",
            "https://viewer.example#x",
            "https://viewer.example:443",
            "http://viewer.example:80",
            "https://Viewer.example",
            "HTTPS://viewer.example",
            "https://röntgen.example",
            "https://a,https://b",
            "file:///viewer",
            "ftp://viewer.example",
            "chrome-extension://abc",
        ] {
            assert!(text.parse::<ViewerOrigin>().is_err(), "{text:?} was read");
        }
        let error = "https://me:hidden@viewer.example".parse::<ViewerOrigin>();
        assert!(!error.expect_err("refused").contains("hidden"));
        let error = "https://Viewer.example/".parse::<ViewerOrigin>().expect_err("refused");
        assert!(error.contains("https://viewer.example"), "{error}");
    }

    #[test]
    fn a_viewer_is_who_sends_a_listed_origin_to_the_letter() {
        assert!(is_viewer("/dicom-web/studies", &[("origin", "https://viewer.example")]));
        assert!(is_viewer("/%64icom-web/studies", &[("origin", "http://localhost:3000")]));
        for origin in [
            "https://viewer.example.evil.example",
            "https://evilviewer.example",
            "https://evil.viewer.example",
            "https://viewer.example:8443",
            "https://viewer.example:443",
            "https://viewer.example/",
            "https://viewer.example, https://evil.example",
            "http://viewer.example",
            "https://VIEWER.example",
            "http://localhost",
            "http://localhost:30000",
            "null",
            "*",
            "",
        ] {
            assert!(!is_viewer("/dicom-web/studies", &[("origin", origin)]), "{origin}");
        }
        let twice = [("origin", "https://viewer.example"), ("origin", "https://viewer.example")];
        assert!(!is_viewer("/dicom-web/studies", &twice));
        assert!(!is_viewer("/dicom-web/studies", &[]));
    }

    #[test]
    fn nothing_but_a_script_of_a_listed_page_asks_and_of_dicomweb_alone() {
        let origin = ("origin", "https://viewer.example");
        assert!(is_viewer("/dicom-web/studies", &[origin, ("sec-fetch-mode", "cors")]));
        for mode in ["navigate", "no-cors", "same-origin", "websocket", "CORS", ""] {
            assert!(
                !is_viewer("/dicom-web/studies", &[origin, ("sec-fetch-mode", mode)]),
                "{mode}"
            );
        }
        for path in
            ["/", "/v1/images", "/dicom-web", "/dicom-webs/x", "/v1/dicom-web/x", "/metrics"]
        {
            assert!(!is_viewer(path, &[origin]), "{path}");
        }
    }
}
