//! TLS in the process: both protocols, the rules of the page over HTTP/2, and certificates that are replaced.

use reqwest::{StatusCode, Version, tls};
use serde_json::Value;

use crate::certificates::{Authority, Files};
use crate::fixture::{Fixture, eventually};

const NAMES: [&str; 3] = ["127.0.0.1", "xrays.example", "evil.example"];

/// A server with a certificate of an authority that its client trusts.
async fn open(authority: &Authority, files: &Files) -> Fixture {
    let tls = files.settings();
    let mut fixture = Fixture::open_with(|settings| {
        settings.tls = Some(tls);
        settings.hosts = vec!["xrays.example".into()];
    })
    .await;
    fixture.base = fixture.base.replace("http://", "https://");
    fixture.http = authority.client().build().expect("a client");
    fixture
}

/// A metric without labels.
async fn metric(fixture: &Fixture, name: &str) -> f64 {
    let metrics = fixture.metrics().await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test]
async fn both_protocols_are_spoken_over_both_versions_of_tls_and_tell_browsers_to_stay() {
    let authority = Authority::new();
    let files = Files::with(&authority.pair(&NAMES, 2100));
    let fixture = open(&authority, &files).await;
    let old = || authority.client().max_tls_version(tls::Version::TLS_1_2);
    for (client, version) in [
        (authority.client(), Version::HTTP_2),
        (authority.client().http1_only(), Version::HTTP_11),
        (old(), Version::HTTP_2),
        (old().http1_only(), Version::HTTP_11),
    ] {
        let client = client.build().expect("a client");
        let answer = client.get(fixture.url("/")).send().await.expect("an answer");
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, version));
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
        let permissions = answer.headers()["permissions-policy"].to_str().expect("text");
        assert!(permissions.contains("camera=()"), "{permissions}");
    }
    let plain = fixture.url("/").replace("https://", "http://");
    assert!(reqwest::get(plain).await.is_err(), "plain HTTP is not answered here");
    let stranger = Authority::new().client().build().expect("a client");
    assert!(stranger.get(fixture.url("/")).send().await.is_err());
    fixture.stop().await;
}

#[tokio::test]
async fn uploads_and_live_events_go_over_http_2_and_a_stop_waits_for_nobody() {
    let authority = Authority::new();
    let files = Files::with(&authority.pair(&NAMES, 2100));
    let fixture = open(&authority, &files).await;
    let mut events = fixture.events("?after=0").await;
    let mut ids = Vec::new();
    for n in 0..3_u8 {
        let request = fixture.http.post(fixture.url("/v1/images")).body(vec![n; 150_000]);
        let answer = request.send().await.expect("an answer");
        assert_eq!((answer.status(), answer.version()), (StatusCode::ACCEPTED, Version::HTTP_2));
        let receipt: Value = answer.json().await.expect("JSON");
        ids.push(receipt["id"].as_str().expect("an id").to_owned());
    }
    let mut seen = Vec::new();
    while seen.len() < ids.len() {
        seen.push(events.image().await.id);
    }
    seen.sort();
    ids.sort();
    assert_eq!(seen, ids);
    let large = fixture.http.post(fixture.url("/v1/images")).body(vec![0; 300_000]).send().await;
    assert_eq!(large.expect("an answer").status(), StatusCode::PAYLOAD_TOO_LARGE);
    fixture.tell_to_stop();
    while events.block().await.is_some() {}
    fixture.stop().await;
}

#[tokio::test]
async fn the_host_of_http_2_is_guarded_as_that_of_http_1() {
    let authority = Authority::new();
    let files = Files::with(&authority.pair(&NAMES, 2100));
    let fixture = open(&authority, &files).await;
    let address = fixture.base.trim_start_matches("https://").parse().expect("an address");
    let port = fixture.base.rsplit_once(':').expect("a port").1;
    let client = authority.client();
    let client = client.resolve("xrays.example", address).resolve("evil.example", address);
    let client = client.build().expect("a client");
    let token = fixture.token("clinician@*").await;
    let get = |host: &str| {
        client.get(format!("https://{host}:{port}/v1/images")).bearer_auth(&token).send()
    };
    let own = get("xrays.example").await.expect("an answer");
    assert_eq!((own.status(), own.version()), (StatusCode::OK, Version::HTTP_2));
    let foreign = get("evil.example").await.expect("an answer");
    assert_eq!(
        (foreign.status(), foreign.version()),
        (StatusCode::MISDIRECTED_REQUEST, Version::HTTP_2)
    );

    let post = |origin: String| {
        let url = format!("https://xrays.example:{port}/v1/images");
        client.post(url).header("origin", origin).bearer_auth(&token).body("x").send()
    };
    let own = post(format!("https://xrays.example:{port}")).await.expect("an answer");
    assert_eq!(own.status(), StatusCode::ACCEPTED);
    let foreign = post("https://evil.example".into()).await.expect("an answer");
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn one_connection_of_http_2_carries_so_many_requests_of_such_a_size_and_no_more() {
    let authority = Authority::new();
    let files = Files::with(&authority.pair(&NAMES, 2100));
    let fixture = open(&authority, &files).await;
    let mut request = fixture.http.get(fixture.url("/v1/images"));
    for _ in 0..100 {
        request = request.header("x-a", "a");
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let request = fixture.http.get(fixture.url("/v1/images")).header("x-a", "a".repeat(140_000));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);

    let stream = || fixture.http.get(fixture.url("/v1/events")).send();
    let mut open = Vec::new();
    let refused = loop {
        let answer = stream().await.expect("an answer");
        if answer.status() != StatusCode::OK {
            break answer;
        }
        open.push(answer);
        assert!(open.len() < 1_000, "there is no bound");
    };
    assert_eq!((open.len(), refused.status()), (128, StatusCode::TOO_MANY_REQUESTS));
    assert!(refused.headers().contains_key("retry-after"));
    // Another connection is another matter, and each end makes room.
    let other = authority.client().build().expect("a client");
    let answer = other.get(fixture.url("/v1/images")).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    open.clear();
    eventually("there is room again", async || {
        let answer = fixture.http.get(fixture.url("/v1/images")).send().await.expect("an answer");
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart_and_a_broken_one_leaves_the_one_before() {
    let (first, second) = (Authority::new(), Authority::new());
    let old = first.pair(&NAMES, 2098);
    let files = Files::with(&old);
    let mut fixture = open(&first, &files).await;
    let name = "lobar_tls_certificate_expiration_timestamp_seconds";
    let current = "lobar_tls_certificate_last_reload_successful";
    let ends = |year| rcgen::date_time_ymd(year, 1, 1).unix_timestamp() as f64;
    assert_eq!(metric(&fixture, name).await, ends(2099));
    assert_eq!(metric(&fixture, current).await, 1.0);

    let new = second.pair(&NAMES, 2099);
    let expired = second.pair(&NAMES, 2021);
    for broken in [
        (new.0.clone(), old.1.clone()), // not its key
        (new.0.clone(), "no key at all".into()),
        ("no certificate".into(), new.1.clone()),
        expired,
    ] {
        files.write(&broken);
        eventually("it is seen", async || (metric(&fixture, current).await == 0.0).then_some(()))
            .await;
        let fresh = first.client().build().expect("a client");
        let answer = fresh.get(fixture.url("/")).send().await.expect("answers as before");
        assert_eq!(answer.status(), StatusCode::OK);
        files.write(&old);
        eventually("and its end", async || (metric(&fixture, current).await == 1.0).then_some(()))
            .await;
    }

    files.write(&new);
    let fresh = || second.client().build().expect("a client");
    eventually("the new one is in use", async || fresh().get(fixture.url("/")).send().await.ok())
        .await;
    let fresh_of_first = first.client().build().expect("a client");
    assert!(fresh_of_first.get(fixture.url("/")).send().await.is_err());
    fixture.http = fresh();
    assert_eq!(metric(&fixture, name).await, ends(2100));
    assert_eq!(metric(&fixture, current).await, 1.0);
}
