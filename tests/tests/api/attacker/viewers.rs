//! Viewers that are listed, and pages that would pass for one.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Ward;
use crate::fixture::{Fixture, PASSWORD};

const VIEWER: &str = "https://viewer.example";
const STUDIES: &str = "/dicom-web/studies";

async fn with_a_viewer() -> Fixture {
    Fixture::open_with(|settings| settings.viewers = vec![VIEWER.parse().expect("an origin")]).await
}

/// Status and headers of an answer.
async fn asked(
    fixture: &Fixture,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, HeaderMap) {
    let mut request = fixture.http.request(method, fixture.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.headers().clone())
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().expect("text"))
}

/// What a browser would let other pages do with the answer.
fn grants(headers: &HeaderMap) -> Vec<&str> {
    let names = headers.keys().map(reqwest::header::HeaderName::as_str);
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_viewer_asks_before_without_a_token_and_then_with_one() {
    let fixture = with_a_viewer().await;
    let token = format!("Bearer {}", fixture.token("clinician@north").await);
    let before = [
        ("origin", VIEWER),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "cors"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "accept,authorization"),
        ("access-control-request-private-network", "true"),
    ];
    let (status, headers) = asked(&fixture, Method::OPTIONS, STUDIES, &before).await;
    assert_eq!(status, 204);
    assert_eq!(value(&headers, "access-control-allow-origin"), Some(VIEWER));
    assert_eq!(value(&headers, "access-control-allow-methods"), Some("GET, HEAD, POST"));
    let allowed = value(&headers, "access-control-allow-headers").expect("set");
    for name in ["Accept", "Authorization", "Content-Type"] {
        assert!(allowed.split(", ").any(|it| it == name), "{allowed}");
    }
    assert_eq!(value(&headers, "access-control-allow-private-network"), Some("true"));
    assert_eq!(value(&headers, "access-control-max-age"), Some("7200"));
    assert_eq!(value(&headers, "access-control-allow-credentials"), None);

    let request = [("origin", VIEWER), ("authorization", &token), ("sec-fetch-mode", "cors")];
    let (status, headers) = asked(&fixture, Method::GET, STUDIES, &request).await;
    assert_eq!(status, 200);
    assert_eq!(value(&headers, "access-control-allow-origin"), Some(VIEWER));
    let exposed = value(&headers, "access-control-expose-headers").expect("set");
    for name in ["Warning", "Retry-After", "Content-Location"] {
        assert!(exposed.split(", ").any(|it| it == name), "{exposed}");
    }
    assert_eq!(value(&headers, "access-control-allow-credentials"), None);
    // What is refused it reads too, to tell its user.
    for (path, authorization, expected) in [
        ("/dicom-web/studies/1.2.99", token.as_str(), 404),
        ("/dicom-web/studies/none", token.as_str(), 400),
        ("/dicom-web/nothing", token.as_str(), 404),
        (STUDIES, "Bearer wrong", 401),
    ] {
        let request = [("origin", VIEWER), ("authorization", authorization)];
        let (status, headers) = asked(&fixture, Method::GET, path, &request).await;
        assert_eq!(status, expected, "{path}");
        assert_eq!(value(&headers, "access-control-allow-origin"), Some(VIEWER), "{path}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_viewer_is_let_in_by_a_token_and_by_nothing_that_a_browser_sends_by_itself() {
    let fixture = with_a_viewer().await;
    let get = async |headers: &[(&str, &str)]| {
        asked(&fixture, Method::GET, STUDIES, &[&[("origin", VIEWER)][..], headers].concat())
            .await
            .0
    };
    // Nobody has an account yet: whoever sits at this machine is let in, and the viewer in their browser is not.
    assert_eq!(asked(&fixture, Method::GET, STUDIES, &[]).await.0, 200);
    assert_eq!(get(&[]).await, 401);

    fixture.person("jane", "clinician@north").await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    let signed_in = fixture.http.post(fixture.url("/v1/session")).json(&body).send().await;
    let cookie = signed_in.expect("an answer").headers()["set-cookie"].clone();
    let cookie = cookie.to_str().expect("text").split(';').next().expect("a cookie").to_owned();
    assert_eq!(asked(&fixture, Method::GET, STUDIES, &[("cookie", &cookie)]).await.0, 200);
    assert_eq!(get(&[("cookie", &cookie)]).await, 401);
    assert_eq!(get(&[("cookie", &cookie), ("authorization", "Bearer wrong")]).await, 401);
    let kind = ("content-type", "multipart/related; type=\"application/dicom\"; boundary=b");
    let stow = [("origin", VIEWER), ("cookie", cookie.as_str()), kind];
    assert_eq!(asked(&fixture, Method::POST, STUDIES, &stow).await.0, 401);
    // Her session is no word of the viewer's, and does not spoil the token's.
    let token = format!("Bearer {}", fixture.token("clinician@north").await);
    assert_eq!(get(&[("cookie", &cookie), ("authorization", &token)]).await, 200);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_listed_to_the_letter_gets_nothing_whatever_token_they_have() {
    let fixture = with_a_viewer().await;
    let token = format!("Bearer {}", fixture.token("admin@* clinician@*").await);
    let refused = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let headers = [&[("authorization", token.as_str())][..], headers].concat();
        let (status, told) = asked(&fixture, method.clone(), path, &headers).await;
        assert_eq!(status, 403, "{method} {path} {headers:?}");
        assert_eq!(grants(&told), [""; 0], "{method} {path} {headers:?}");
        let varies = value(&told, "vary") == Some("Origin");
        assert_eq!(varies, path.starts_with("/dicom-web/"), "{path}");
    };
    let preflight = ("access-control-request-method", "GET");
    for origin in [
        "https://viewer.example.evil.example",
        "https://evilviewer.example",
        "https://evil.viewer.example",
        "https://example",
        "https://viewer.example:8443",
        "https://viewer.example:443",
        "https://viewer.example/",
        "https://viewer.example@evil.example",
        "http://viewer.example",
        "https://VIEWER.example",
        "null",
        "*",
        "file://",
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            refused(method, STUDIES, &[("origin", origin), preflight]).await;
        }
    }
    refused(Method::GET, STUDIES, &[("origin", VIEWER), ("origin", VIEWER)]).await;
    refused(Method::GET, STUDIES, &[("origin", VIEWER), ("origin", "https://evil.example")]).await;
    // Nor does a listed one get more than DICOMweb, or by other means than a script.
    for path in ["/v1/images", "/v1/session", "/v1/people", "/dicom-web", "/dicom-webs/studies"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            refused(method, path, &[("origin", VIEWER), preflight]).await;
        }
    }
    for mode in ["no-cors", "navigate", "websocket"] {
        let sent = [("origin", VIEWER), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode)];
        refused(Method::POST, STUDIES, &sent).await;
        refused(Method::GET, STUDIES, &sent).await;
    }
    let without = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    refused(Method::GET, STUDIES, &without).await;
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_of_writing_an_address_leads_a_viewer_out_of_dicomweb() {
    let fixture = with_a_viewer().await;
    let token = fixture.token("admin@* clinician@*").await;
    let host = fixture.base.trim_start_matches("http://");
    for path in [
        "/dicom-web/../v1/images",
        "/dicom-web/%2e%2e/v1/images",
        "/dicom-web/..%2fv1/images",
        "/dicom-web//../v1/images",
        "/dicom-web/./../v1/images",
        "//v1/images",
        "/v1/../dicom-web/studies",
        "/v1/images?/dicom-web/",
        "/v1/images;/dicom-web/",
        "/V1/images",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\norigin: {VIEWER}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        let mut stream = TcpStream::connect(host).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let status = answer.split(' ').nth(1).expect("a status");
        assert!(["403", "404"].contains(&status), "{path}: {answer}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_dicomweb_says_that_it_is_for_one_origin_and_no_other_does() {
    let fixture = with_a_viewer().await;
    for (path, varies) in [
        (STUDIES, true),
        ("/dicom-web/studies/1.2.99/metadata", true),
        ("/dicom-web/nothing", true),
        ("/v1/images", false),
        ("/", false),
    ] {
        let (_, headers) = asked(&fixture, Method::GET, path, &[]).await;
        let said = headers.get_all("vary").iter().any(|said| said == "Origin");
        assert_eq!(said, varies, "{path}");
        assert_eq!(grants(&headers), [""; 0], "{path}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_browser_a_listed_page_reads_with_a_token_and_the_doctor_s_session_is_of_no_use_to_it()
{
    // Of the same site as Lobar: browsers send it the cookie.
    let ward = Ward::open_listing(&["127.0.0.1"]).await;
    let before = ward.stored().await;
    ward.browser.page.goto(&ward.elsewhere.at("127.0.0.1")).await.expect("goes");
    for script in [
        "read(`${API}/dicom-web/studies`)",
        "read(`${API}/dicom-web/studies`, { mode: 'no-cors' })",
        "read(`${API}/dicom-web/studies`, { method: 'POST', body: 'an X-ray' })",
        "form(`${API}/dicom-web/studies`, 'multipart/form-data', { file: 'an X-ray' })",
        "form(`${API}/dicom-web/studies`, 'text/plain', { file: 'an X-ray' })",
        "load('img', `${API}/dicom-web/studies`)",
        "load('img', `${API}/dicom-web/studies`, { crossOrigin: 'use-credentials' })",
        "load('script', `${API}/dicom-web/studies`)",
        "frame(`${API}/dicom-web/studies`)",
        "hold(`${API}/dicom-web/studies`)",
        "read(`${API}/v1/images`, { credentials: 'omit' })",
        "read(`${API}/dicom-web/studies`, { method: 'DELETE', credentials: 'omit' })",
    ] {
        assert_eq!(ward.attack(script).await, "nothing", "{script}");
        ward.close_others().await;
    }
    let without = "read(`${API}/dicom-web/studies`, { credentials: 'omit' })";
    let said = ward.attack(without).await.to_string();
    assert!(said.contains("401 ") && said.contains("not-signed-in"), "{said}");
    let after = ward.stored().await;
    for (table, rows) in &before {
        assert_eq!(&after[table], rows, "{table} is as it was");
    }

    let token = ward.fixture.token("clinician@north").await;
    let with = |path: &str| {
        let headers = "{ Authorization: 'Bearer TOKEN', Accept: 'multipart/related; type=\"application/dicom\"' }";
        let headers = headers.replace("TOKEN", &token);
        format!("read(`${{API}}{path}`, {{ credentials: 'omit', headers: {headers} }})")
    };
    let said = ward.attack(&with("/dicom-web/studies/1.2.99")).await.to_string();
    assert!(said.contains("404 "), "what it is told it reads: {said}");
    assert_eq!(ward.attack(&with("/v1/images")).await, "nothing");
    ward.browser.page.goto(&ward.elsewhere.at("localhost")).await.expect("goes");
    assert_eq!(ward.attack(&with("/dicom-web/studies/1.2.99")).await, "nothing", "not listed");
    ward.browser.close().await;
}
