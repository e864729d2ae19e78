//! What a server makes of its network: proxies that it trusts or not, addresses that ask too often, and requests that
//! are none.

use lobar_api::ApiSettings;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE};

fn behind_a_proxy(settings: &mut ApiSettings) {
    settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    settings.hosts = vec!["xrays.example".into()];
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_trusted_proxy_says_that_the_client_speaks_tls_and_anybody_else_is_ignored() {
    let trusting = Fixture::open_with(behind_a_proxy).await;
    let trusting_nobody = Fixture::open().await;
    for (name, value) in [
        ("forwarded", "for=192.0.2.1;proto=https"),
        ("forwarded", "for=\"[2001:db8::1]:4711\";proto=https;host=xrays.example"),
    ] {
        let ask = |fixture: &Fixture| fixture.http.get(fixture.url("/")).header(name, value);
        let answer = send(ask(&trusting)).await;
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000", "{value}");
        let answer = send(ask(&trusting_nobody)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(!answer.headers().contains_key("strict-transport-security"));
    }
    let customary = |fixture: &Fixture, protocol| {
        let request = fixture.http.get(fixture.url("/")).header("x-forwarded-for", "192.0.2.1");
        request.header("x-forwarded-proto", protocol)
    };
    let is_secure = |answer: Response| answer.headers().contains_key("strict-transport-security");
    assert!(is_secure(send(customary(&trusting, "https")).await));
    assert!(!is_secure(send(customary(&trusting, "http")).await));
    assert!(!is_secure(send(customary(&trusting_nobody, "https")).await));
}

#[tokio::test]
async fn the_host_that_a_trusted_proxy_was_asked_for_is_guarded_too() {
    let fixture = Fixture::open_with(behind_a_proxy).await;
    let ask = |host: &str| {
        let request = fixture
            .http
            .get(fixture.url("/problems/internal"))
            .header("x-forwarded-for", "192.0.2.1");
        send(request.header("x-forwarded-host", host.to_owned()))
    };
    assert_eq!(ask("xrays.example").await.status(), StatusCode::OK);
    assert_eq!(ask("evil.example").await.status(), StatusCode::MISDIRECTED_REQUEST);
    let contradiction = fixture.http.get(fixture.url("/v1/images"));
    let contradiction = contradiction.header("x-forwarded-for", "192.0.2.1");
    let answer = send(contradiction.header("forwarded", "for=192.0.2.2")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.headers().contains_key("content-security-policy"), "a problem as any other");
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back_and_no_other_is_harmed() {
    let fixture = Fixture::open_with(|settings| {
        behind_a_proxy(settings);
        settings.address_burst = 2;
    })
    .await;
    let ask = |path: &str, client: &str| {
        send(fixture.http.get(fixture.url(path)).header("x-forwarded-for", client.to_owned()))
    };
    let mut refused = ask("/problems/internal", "2001:db8::1").await;
    assert_eq!(refused.status(), StatusCode::OK);
    assert_eq!(refused.headers()["ratelimit-policy"], "\"address\";q=2;w=10");
    for _ in 0..20 {
        // Its neighbour in the same network.
        refused = ask("/problems/internal", "2001:db8::2").await;
        if refused.status() != StatusCode::OK {
            break;
        }
    }
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 =
        refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=5).contains(&wait), "{wait}");
    assert_eq!(refused.headers()["ratelimit"], "\"address\";r=0;t=10");
    assert!(refused.headers().contains_key("content-security-policy"));
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!(problem["type"], "/problems/too-many-requests");
    assert_eq!(problem["limit"], "address");

    assert_eq!(ask("/problems/internal", "2001:db8:0:1::1").await.status(), StatusCode::OK);
    // Thousands of files at once are an ordinary upload of who is known, and probes ask from one address for ever.
    let token = fixture.token("uploader@*").await;
    let known = fixture.http.get(fixture.url("/v1/session")).bearer_auth(&token);
    let known = send(known.header("x-forwarded-for", "2001:db8:0:2::1")).await;
    assert_eq!(known.status(), StatusCode::OK);
    for _ in 0..20 {
        let upload = fixture.http.post(fixture.url("/v1/images")).bearer_auth(&token).body("x");
        let upload = send(upload.header("x-forwarded-for", "2001:db8::1")).await;
        assert_eq!(upload.status(), StatusCode::ACCEPTED);
        for path in ["/livez", "/readyz"] {
            assert_ne!(ask(path, "2001:db8::1").await.status(), StatusCode::TOO_MANY_REQUESTS);
        }
        // Who uses this very machine.
        assert_eq!(
            send(fixture.http.get(fixture.url("/problems/internal"))).await.status(),
            StatusCode::OK
        );
    }
    let told = "lobar_api_rate_limited_total{limit=\"address\"} ";
    let metrics = fixture.metrics().await;
    let count = metrics.lines().find_map(|line| line.strip_prefix(told)).expect("a counter");
    assert!(count.parse::<u64>().expect("a number") >= 1);
}

/// What comes back for bytes, to the end of the connection.
async fn raw(fixture: &Fixture, bytes: &[u8]) -> String {
    let address = fixture.base.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.expect("connects");
    // The answer may come, and the connection end, before all was sent.
    let _ = connection.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The framework answers what it cannot read as a request, before any part of ours sees it: a status and nothing else,
/// so that no browser can take it for a page.
#[tokio::test]
async fn what_is_no_request_gets_a_status_without_a_body_and_the_end_of_the_connection() {
    let fixture = Fixture::open().await;
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx-a: {}\r\n\r\n", "a".repeat(300_000));
    let fields = "x-a: a\r\n".repeat(200);
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n");
    for (bytes, status) in [
        ("no request\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n", "400"),
        ("POST /v1/images HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n", "400"),
        (&long, "431"),
        (&many, "4"),
    ] {
        let answer = raw(&fixture, bytes.as_bytes()).await;
        let start = bytes.get(..40).unwrap_or(bytes);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{start:?}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.to_lowercase().contains("content-length: 0"), "{start:?}: {answer}");
        assert_eq!(body, "", "{start:?}");
    }
}

/// What no answer of ours may lack.
const HEADERS: [&str; 8] = [
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-resource-policy",
    "cross-origin-opener-policy",
    "cache-control",
    "x-request-id",
];

#[tokio::test]
async fn every_answer_to_an_odd_request_carries_the_security_headers() {
    let fixture = Fixture::open().await;
    let large = format!("content-length: {}\r\n", 1_u64 << 40);
    let json = "content-type: application/json\r\ncontent-length: 1\r\n\r\n{";
    let odd: &[(&str, &str, &str)] = &[
        ("GET /nothing HTTP/1.1", "", "404"),
        ("GET /docs/nothing HTTP/1.1", "", "404"),
        ("GET /web/../../etc/passwd HTTP/1.1", "", "404"),
        ("GET /%00%ff%2e%2e/ HTTP/1.1", "", "404"),
        ("GET //evil.example/ HTTP/1.1", "", "404"),
        ("GET /docs HTTP/1.1", "", "308"),
        ("DELETE /v1/images HTTP/1.1", "", "405"),
        ("OPTIONS /v1/images HTTP/1.1", "", "405"),
        ("TRACE / HTTP/1.1", "", "405"),
        ("PROPFIND /v1/images HTTP/1.1", "", "405"),
        ("HEAD /v1/images HTTP/1.1", "", "200"),
        ("HEAD /nothing HTTP/1.1", "", "404"),
        ("GET /v1/images/no-uuid HTTP/1.1", "", "400"),
        ("GET /v1/images?limit=x HTTP/1.1", "", "400"),
        ("GET /v1/events?after=x HTTP/1.1", "", "400"),
        ("POST /v1/images HTTP/1.1", &large, "413"),
        ("POST /v1/uploads HTTP/1.1", json, "400"),
        ("POST /v1/session HTTP/1.1", json, "400"),
        ("POST /v1/uploads HTTP/1.1", "content-length: 1\r\n\r\n{", "415"),
        ("POST /v1/images HTTP/1.1", "content-encoding: gzip\r\n", "415"),
        ("POST /v1/images HTTP/1.1", "origin: http://evil.example\r\n", "403"),
        ("PUT /v1/password HTTP/1.1", "sec-fetch-site: cross-site\r\n", "403"),
        ("GET http://evil.example/ HTTP/1.1", "", "421"),
        ("GET /metrics HTTP/1.1", "authorization: Bearer x\r\n", "401"),
        ("GET /v1/images HTTP/1.1", "cookie: lobar_session=x\r\nforwarded: for=1.2.3.4\r\n", "401"),
        ("GET /livez HTTP/1.0", "", "200"),
    ];
    for (line, more, status) in odd {
        let end = if more.contains("\r\n\r\n") { "" } else { "\r\n" };
        let request = format!("{line}\r\nhost: localhost\r\nconnection: close\r\n{more}{end}");
        let answer = raw(&fixture, request.as_bytes()).await;
        assert!(answer.get(9..12) == Some(status), "{line} {more}: {answer}");
        let (head, _) = answer.split_once("\r\n\r\n").expect("a head");
        let head = head.to_lowercase();
        for name in HEADERS {
            let count = head.matches(&format!("\r\n{name}: ")).count();
            assert_eq!(count, 1, "{line} {more}: {name}: {head}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_in_its_coding_ends_its_connection_and_is_stored_nowhere() {
    let fixture = Fixture::open().await;
    let head = "POST /v1/images HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let answer = raw(&fixture, format!("{head}zz\r\n").as_bytes()).await.to_lowercase();
    // The framework may end the connection before it is known who asks: then there is nothing a browser could show.
    if !answer.is_empty() {
        assert!(answer.starts_with("http/1.1 400"), "{answer}");
        assert!(answer.contains("\r\ncontent-security-policy: "), "{answer}");
    }
    assert_eq!(fixture.get("/v1/images").await.1["total"], 0);
}
