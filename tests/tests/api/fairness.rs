//! What one client may have of what all share: streams, bodies, answers that are not taken, guesses.

use std::net::SocketAddr;
use std::time::Duration;

use lobar_api::ApiSettings;
use lobar_core::audit::{Action, Cursor, Filter};
use lobar_tests::kit::radiograph_jpeg;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::fixture::{Fixture, PASSWORD, blank, eventually};

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

/// Which limit refuses a request.
async fn limit_of(answer: Response) -> String {
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key("retry-after"));
    let problem: Value = answer.json().await.expect("JSON");
    problem["limit"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_takes_a_few_streams_and_others_find_room() {
    let fixture = Fixture::open_with(|settings| settings.streams = 8).await;
    fixture.person("somebody", "admin@*").await;
    let [one, other] = [fixture.token("reader@north").await, fixture.token("reader@north").await];
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(fixture.events_of("", &one).await);
    }
    let refused = send(fixture.http.get(fixture.url("/v1/events")).bearer_auth(&one)).await;
    assert_eq!(refused.headers()["retry-after"], "10");
    assert_eq!(limit_of(refused).await, "caller-streams");
    let _others = fixture.events_of("", &other).await;
    open.pop();
    eventually("a stream that was closed makes room", async || {
        let answer = send(fixture.http.get(fixture.url("/v1/events")).bearer_auth(&one)).await;
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
}

/// A body of which nearly all has come, and which goes on.
async fn body_that_goes_on(fixture: &Fixture, token: &str) -> JoinHandle<()> {
    let address = fixture.base.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.expect("connects");
    let head = format!(
        "POST /v1/images HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: image/jpeg\r\nContent-Length: 200000\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.expect("sent");
    connection.write_all(&[7; 190_000]).await.expect("sent");
    tokio::spawn(async move {
        while connection.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_one_caller_hold_their_share_of_the_room_and_no_more() {
    let fixture = Fixture::open_with(|settings| {
        settings.body_bytes = 4 << 20;
        settings.body_grace = Duration::from_secs(3600);
    })
    .await;
    fixture.person("somebody", "admin@*").await;
    let [one, other] =
        [fixture.token("uploader@north").await, fixture.token("uploader@north").await];
    let upload = async |token: &str| {
        let request = fixture.http.post(fixture.url("/v1/images")).bearer_auth(token);
        send(request.body(vec![7; 150_000])).await
    };
    let mut open = Vec::new();
    for _ in 0..11 {
        open.push(body_that_goes_on(&fixture, &one).await);
    }
    let refused = eventually("the share is taken", async || {
        let answer = upload(&one).await;
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    })
    .await;
    let problem: Value = refused.json().await.expect("JSON");
    assert!(problem["detail"].as_str().expect("text").starts_with("Your other"), "{problem}");
    assert_eq!(upload(&other).await.status(), StatusCode::ACCEPTED);
    open.iter().for_each(JoinHandle::abort);
    eventually("there is room again", async || {
        (upload(&one).await.status() == StatusCode::ACCEPTED).then_some(())
    })
    .await;
}

/// An image whose picture is larger than the buffers of a connection, and its address.
async fn picture(fixture: &Fixture) -> String {
    let token = fixture.token("uploader@north").await;
    let request = fixture.http.post(fixture.url("/v1/images")).bearer_auth(token);
    let receipt: Value =
        send(request.body(radiograph_jpeg(1600, 1500, 1))).await.json().await.expect("JSON");
    let id: lobar_core::object::ImageId =
        receipt["id"].as_str().expect("an id").parse().expect("an id");
    eventually("it is admitted", async || fixture.store.image(id).await.expect("asked")).await;
    fixture.finish(&[id], &blank()).await;
    format!("/v1/images/{id}/picture")
}

/// Asks for something and takes nothing of the answer.
async fn ask_and_take_nothing(fixture: &Fixture, path: &str, token: &str) -> TcpStream {
    let address: SocketAddr =
        fixture.base.trim_start_matches("http://").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("set");
    let mut connection = socket.connect(address).await.expect("connects");
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("sent");
    connection
}

fn for_pictures(settings: &mut ApiSettings) {
    settings.limits.max_bytes = 16 << 20;
    settings.body_bytes = 64 << 20;
    // Room for the largest picture four times.
    settings.answer_bytes = 4 * 2_700_000;
}

/// Opens readers that take nothing until their caller is refused.
async fn fill(fixture: &Fixture, path: &str, token: &str) -> Vec<TcpStream> {
    let mut slow = Vec::new();
    loop {
        assert!(slow.len() < 200, "answers that nobody takes are not bounded");
        slow.push(ask_and_take_nothing(fixture, path, token).await);
        let answer = send(fixture.http.get(fixture.url(path)).bearer_auth(token)).await;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            return slow;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_take_nothing_hold_the_share_of_their_caller_and_others_see_pictures() {
    let fixture = Fixture::open_with(for_pictures).await;
    fixture.person("somebody", "admin@*").await;
    let [one, other] = [fixture.token("reader@north").await, fixture.token("reader@north").await];
    let path = picture(&fixture).await;
    let get = async |token: &str| {
        let answer = send(fixture.http.get(fixture.url(&path)).bearer_auth(token)).await;
        let status = answer.status();
        (status, answer.bytes().await.expect("whole").len())
    };
    let (status, bytes) = get(&other).await;
    assert_eq!(status, StatusCode::OK);
    assert!(bytes > 700_000, "{bytes} bytes fit into a connection's buffers");
    let slow = fill(&fixture, &path, &one).await;
    assert_eq!(get(&other).await, (StatusCode::OK, bytes));
    drop(slow);
    eventually("there is room again", async || {
        (get(&one).await == (StatusCode::OK, bytes)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_takes_nothing_for_long_is_cut_off() {
    let fixture = Fixture::open_with(|settings| {
        for_pictures(settings);
        settings.reader_patience = Duration::from_secs(8);
    })
    .await;
    fixture.person("somebody", "admin@*").await;
    let token = fixture.token("reader@north").await;
    let path = picture(&fixture).await;
    let slow = fill(&fixture, &path, &token).await;
    eventually("what they held is free, though they stay", async || {
        let answer = send(fixture.http.get(fixture.url(&path)).bearer_auth(&token)).await;
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    drop(slow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_tokens_is_held_back_by_address_and_nobody_who_signed_in_there_is() {
    let fixture = Fixture::open_with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        settings.address_burst = 5;
    })
    .await;
    fixture.person("jane", "clinician@north").await;
    let token = fixture.token("reader@north uploader@north").await;
    let from = |request: RequestBuilder, address: &str| {
        send(request.header("x-forwarded-for", address.to_owned()))
    };
    let hospital = "192.0.2.1";
    let body = json!({ "name": "jane", "password": PASSWORD });
    let signed_in = from(fixture.http.post(fixture.url("/v1/session")).json(&body), hospital).await;
    assert_eq!(signed_in.status(), StatusCode::OK);
    let cookie = signed_in.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let list = |of_jane: bool| {
        let request = fixture.http.get(fixture.url("/v1/images"));
        match of_jane {
            true => from(request.header("cookie", cookie.clone()), hospital),
            false => from(request.bearer_auth(&token), hospital),
        }
    };
    assert_eq!(list(true).await.status(), StatusCode::OK);
    assert_eq!(list(false).await.status(), StatusCode::OK);
    let upload = |token: &str, address: &str| {
        let request = fixture.http.post(fixture.url("/v1/images")).bearer_auth(token).body("x");
        from(request, address)
    };
    let mut refused = None;
    for n in 0..50 {
        let guess = format!("lobar_t_{}{n:03}", "A".repeat(40));
        let answer = upload(&guess, hospital).await;
        if answer.status() != StatusCode::UNAUTHORIZED {
            refused = Some(answer);
            break;
        }
    }
    assert_eq!(limit_of(refused.expect("guesses are counted")).await, "address");
    for _ in 0..20 {
        for of_jane in [true, false] {
            let answer = list(of_jane).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["ratelimit-policy"], "\"caller\";q=200;w=4");
        }
        assert_eq!(upload(&token, hospital).await.status(), StatusCode::ACCEPTED);
    }
    let elsewhere = upload("lobar_t_guess", "192.0.2.2").await;
    assert_eq!(elsewhere.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_stolen_is_no_way_to_guess_the_password() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    let answer = send(fixture.http.post(fixture.url("/v1/session")).json(&body)).await;
    let cookie = answer.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let session: Value = answer.json().await.expect("JSON");
    let csrf = session["csrf_token"].as_str().expect("a token").to_owned();
    let mut limit = String::new();
    for n in 0..100 {
        let guess = format!("a wrong sentence {n}");
        let (path, body) = match n % 2 {
            0 => ("/v1/password", json!({ "current": guess, "new": "another long sentence" })),
            _ => {
                let secret = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
                ("/v1/totp", json!({ "secret": secret, "code": "000000", "password": guess }))
            }
        };
        let request = fixture.http.put(fixture.url(path)).header("cookie", cookie.clone());
        let answer = send(request.header("lobar-csrf", csrf.clone()).json(&body)).await;
        // Wrong at first, then in a pause after failures, which is another limit.
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            limit = limit_of(answer).await;
        } else {
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        }
        if !limit.is_empty() {
            break;
        }
    }
    assert_eq!(limit, "proof");
    let filter =
        Filter { action: Some(Action::SignInFailed), actor: Some(jane.0), ..Filter::default() };
    eventually("the failures are on record", async || {
        let entries = fixture.audit.page(&filter, Cursor::NEWEST, 10).await.expect("read");
        (!entries.is_empty() && entries.iter().all(|entry| entry.subject == Some(jane.0)))
            .then_some(())
    })
    .await;
}
