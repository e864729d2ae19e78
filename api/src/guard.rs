//! Checks of every request: who sent it, Host, Origin and Sec-Fetch-Site; security headers of every response.
//!
//! The rules are those of every server of this program: [`lobar_core::browser`].

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, ResponseError as _, web};
use lobar_core::browser::{is_from_own_page, is_own_host, may_read};

use crate::connection;
use crate::context::Context;
use crate::peer::Peer;
use crate::problem::{Kind, Problem};
use crate::sending;
use crate::settings::ApiSettings;
use crate::viewer::{Readers, Viewer, preflight};

/// No inline script or style, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// Swagger UI writes style attributes of its own.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// What no page of this server needs, so that nothing that is brought into one can ask for it.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), usb=(), xr-spatial-tracking=()";
/// A browser that has seen the server over TLS asks it in no other way for a year (RFC 6797).
const TRANSPORT: &str = "max-age=31536000";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Checks a request and adorns its answer.
pub(crate) async fn guard(
    context: web::Data<Context>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let docs = request.path().starts_with("/docs");
    let settings = &context.settings;
    let peer = Peer::resolve(&request, &settings.trusted_proxies);
    let secure = peer.as_ref().map_or_else(|_| request.app_config().secure(), |peer| peer.secure);
    let readers = Readers::of(&request, &settings.viewers);
    let passed = peer.and_then(|peer| {
        let viewer = check(&request, &peer, settings)?;
        let asked_before = viewer.as_ref().and_then(|_| preflight(&request));
        if let Some(viewer) = viewer {
            request.extensions_mut().insert(viewer);
        }
        request.extensions_mut().insert(peer);
        Ok((connection::enter(&request)?, asked_before))
    });
    let mut response = match passed {
        Ok((_, Some(answer))) => request.into_response(answer),
        Ok((None, None)) => next.call(request).await?.map_into_boxed_body(),
        Ok((Some(place), None)) => {
            sending::hold(next.call(request).await?.map_into_boxed_body(), place)
        }
        Err(problem) => request.into_response(problem.error_response()),
    };
    if secure {
        let value = HeaderValue::from_static(TRANSPORT);
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    without_chunks(&mut response);
    let policy = if docs { DOCS_POLICY } else { POLICY };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::PERMISSIONS_POLICY, PERMISSIONS),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    readers.tell(&mut response);
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

/// Whether a request may go on, and whether it is one of a viewer elsewhere.
fn check(
    request: &ServiceRequest,
    peer: &Peer,
    settings: &ApiSettings,
) -> Result<Option<Viewer>, Problem> {
    // Probes and scrapers use whatever address they have, and see nothing personal.
    if matches!(request.path(), "/livez" | "/readyz" | "/metrics") {
        return Ok(None);
    }
    let names = &settings.hosts;
    let asked = asked_for(request)?;
    // Both: what a proxy passes on may be the client's own word, and a page elsewhere may have chosen it.
    let host = peer.host.as_deref().unwrap_or(asked);
    if !is_own_host(asked, names) || !is_own_host(host, names) {
        let detail = "Use localhost or an IP address, or add the name to the server's settings.";
        return Err(Problem::new(Kind::ForeignHost, detail));
    }
    let headers = request.headers();
    let (origin, site) = (text(headers, &header::ORIGIN), text(headers, &FETCH_SITE));
    let is_safe = request.method().is_safe();
    let passes = if is_safe {
        let (mode, dest) = (text(headers, &FETCH_MODE), text(headers, &FETCH_DEST));
        // Decoded, as routes see it.
        let path = request.match_info().as_str();
        may_read(host, path, origin, site, mode, dest)
    } else {
        is_from_own_page(host, origin, site)
    };
    let viewer = if passes { None } else { Viewer::of(request, &settings.viewers) };
    if !passes && viewer.is_none() {
        let detail = "Send this request from the server's own page.";
        return Err(Problem::new(Kind::ForeignOrigin, detail));
    }
    if !is_safe {
        check_encoding(headers)?;
    }
    Ok(viewer)
}

/// The host that is asked for: `:authority` of HTTP/2 (RFC 9113, 8.3.1) and the authority of an absolute URL (RFC 9112,
/// 3.2.2) say what `Host` says otherwise. Where both are there, they say the same.
fn asked_for(request: &ServiceRequest) -> Result<&str, Problem> {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = text(request.headers(), &header::HOST);
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Problem::new(Kind::ForeignHost, "The request names two hosts."))
        }
        _ => Ok(authority.or(host).unwrap_or_default()),
    }
}

/// A header's text; what is no text is as foreign as an empty one.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::test::TestRequest;

    use super::*;

    fn named(hosts: &[&str]) -> ApiSettings {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        ApiSettings { hosts, ..ApiSettings::default() }
    }

    fn peer(host: Option<&str>) -> Peer {
        let address = [192, 0, 2, 1].into();
        Peer { address, secure: false, forwarded: host.is_some(), host: host.map(str::to_owned) }
    }

    #[test]
    fn the_host_is_own_wherever_it_stands_and_however_often() {
        let passes = |uri: &str, host: Option<&'static str>, forwarded| {
            let mut request = TestRequest::get().uri(uri);
            if let Some(host) = host {
                request = request.insert_header(("host", host));
            }
            check(&request.to_srv_request(), &peer(forwarded), &named(&["a.example"])).is_ok()
        };
        assert!(passes("/", Some("a.example"), None));
        assert!(passes("https://a.example/", None, None));
        assert!(passes("https://A.example:1/", Some("a.example:1"), None));
        assert!(passes("/", Some("127.0.0.1:8080"), Some("a.example")));
        assert!(!passes("/", None, None));
        assert!(!passes("https://evil.example/", None, None));
        assert!(!passes("https://evil.example/", Some("a.example"), None));
        assert!(!passes("https://a.example/", Some("b.example"), None));
        assert!(!passes("/", Some("a.example"), Some("evil.example")));
        assert!(!passes("/", Some("evil.example"), Some("a.example")), "DNS rebinding");
    }

    #[test]
    fn a_page_behind_a_proxy_comes_from_the_host_that_the_proxy_was_asked_for() {
        let passes = |origin: &'static str| {
            let request = TestRequest::post().insert_header(("host", "127.0.0.1:8080"));
            let request = request.insert_header(("origin", origin)).to_srv_request();
            check(&request, &peer(Some("a.example")), &named(&["a.example"])).is_ok()
        };
        assert!(passes("https://a.example"));
        assert!(!passes("https://127.0.0.1:8080"));
        assert!(!passes("https://evil.example"));
    }

    #[test]
    fn a_request_that_changes_something_must_come_from_the_own_page_or_from_none() {
        let passes = |pairs: &[(&'static str, &'static str)]| {
            let mut request = TestRequest::post().insert_header(("host", "localhost:1"));
            for pair in pairs {
                request = request.insert_header(*pair);
            }
            check(&request.to_srv_request(), &peer(None), &named(&[])).is_ok()
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

    #[test]
    fn a_window_that_a_page_elsewhere_leads_here_opens_pages_and_no_answer_of_the_api() {
        let passes = |path: &str| {
            let request = TestRequest::get().uri(path).insert_header(("host", "localhost:1"));
            let request = request.insert_header(("sec-fetch-site", "cross-site"));
            let request = request.insert_header(("sec-fetch-mode", "navigate"));
            let request = request.insert_header(("sec-fetch-dest", "document")).to_srv_request();
            check(&request, &peer(None), &named(&[])).is_ok()
        };
        for page in ["/", "/docs", "/v1/oidc/callback?code=1&state=2"] {
            assert!(passes(page), "{page}");
        }
        for answer in [
            "/v1/images",
            "/v1/images?site=north",
            "/%761/images",
            "/v1/session",
            "/dicom-web/studies",
            "/%64icom-web/studies/1.2.3",
        ] {
            assert!(!passes(answer), "{answer}");
        }
    }

    #[test]
    fn a_listed_viewer_asks_for_dicomweb_and_the_own_page_is_none() {
        let viewer = |method: Method, uri: &str, origin: &'static str| {
            let settings = ApiSettings {
                viewers: ["https://viewer.example", "http://localhost:1"]
                    .map(|it| it.parse().expect("an origin"))
                    .into(),
                ..ApiSettings::default()
            };
            let request = TestRequest::with_uri(uri).method(method);
            let request = request.insert_header(("host", "localhost:1"));
            let request = request.insert_header(("origin", origin)).to_srv_request();
            check(&request, &peer(None), &settings).map(|it| it.is_some())
        };
        let (studies, listed) = ("/dicom-web/studies", "https://viewer.example");
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
            assert!(matches!(viewer(method.clone(), studies, listed), Ok(true)), "{method}");
            assert!(viewer(method.clone(), studies, "https://evil.example").is_err(), "{method}");
            assert!(viewer(method.clone(), "/v1/images", listed).is_err(), "{method}");
            // Of the server's own page sessions count, also where somebody lists it.
            assert!(matches!(viewer(method, studies, "http://localhost:1"), Ok(false)));
        }
    }
}
