//! Bodies that are slow, many, large, compressed, or of an older time.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::fixture::{Fixture, PATIENCE, eventually};

impl Fixture {
    /// A connection on which something was sent.
    async fn connection(&self, bytes: &[u8]) -> TcpStream {
        let address = self.base.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).await.expect("connects");
        connection.write_all(bytes).await.expect("sent");
        connection
    }

    /// A POST of a body of which only the beginning comes.
    async fn unfinished(&self, path: &str, kind: &str, declared: usize, sent: usize) -> TcpStream {
        let mut bytes = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {declared}\r\n\r\n"
        )
        .into_bytes();
        bytes.resize(bytes.len() + sent, b' ');
        self.connection(&bytes).await
    }

    /// A body that holds 99,000 bytes and goes on, so that it does not give way.
    async fn alive(&self) -> JoinHandle<()> {
        let mut connection = self.unfinished("/v1/predict", JSON, 200_000, 99_000).await;
        tokio::spawn(async move {
            while connection.write_all(b" ").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        })
    }

    async fn upload(&self, bytes: usize) -> reqwest::Response {
        let sending = self.http.post(self.url("/v1/images")).body(vec![7; bytes]).send();
        timeout(PATIENCE, sending).await.expect("nobody is in its way").expect("an answer")
    }
}

/// Everything until the other side closes.
async fn all(mut connection: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, connection.read_to_end(&mut bytes)).await;
    // A connection that is reset has said what it had to.
    let _ = read.expect("it ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// So that nothing but what is tested ends a body.
const NEVER: Duration = Duration::from_secs(3600);

const RAW: &str = "application/octet-stream";
const FORM: &str = "multipart/form-data; boundary=b";
const JSON: &str = "application/json";

/// Every route that takes a body.
fn routes() -> [(String, &'static str); 6] {
    let verdicts = format!("/v1/images/{}/verdicts", uuid::Uuid::nil());
    [
        ("/v1/images".into(), RAW),
        ("/v1/images".into(), FORM),
        ("/v1/predict".into(), JSON),
        ("/v1/uploads".into(), JSON),
        ("/v1/uploads/identify".into(), JSON),
        (verdicts, JSON),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_never_go_on_delay_no_other_one() {
    let fixture = Fixture::open_with(|settings| settings.body_grace = NEVER).await;
    let mut open = Vec::new();
    for _ in 0..20 {
        for (path, kind) in routes() {
            open.push(fixture.unfinished(&path, kind, 1_000, 1).await);
        }
    }
    assert_eq!(fixture.upload(100_000).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stands_still_is_given_up_on_every_route() {
    let grace = Duration::from_millis(300);
    let fixture = Fixture::open_with(|settings| settings.body_grace = grace).await;
    for (path, kind) in routes() {
        let answer = all(fixture.unfinished(&path, kind, 1_000, 3).await).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains("/problems/upload-timeout"), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_too_slowly_is_given_up_though_it_never_stands_still() {
    let fixture = Fixture::open_with(|settings| {
        settings.body_grace = Duration::from_millis(500);
        settings.body_rate = 1_000;
    })
    .await;
    let connection = fixture.unfinished("/v1/images", RAW, 100_000, 1).await;
    let (mut read, mut write) = connection.into_split();
    let trickle = async {
        while write.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
        // Closed: whether it was answered is seen on the other half.
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let answered = async {
        while !String::from_utf8_lossy(&answer).contains("upload-timeout") {
            assert_ne!(read.read_buf(&mut answer).await.expect("read"), 0, "it is answered");
        }
    };
    tokio::select! {
        () = trickle => {}
        done = timeout(PATIENCE, answered) => done.expect("it is given up"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_stand_still_give_way_when_others_need_the_room() {
    let fixture = Fixture::open_with(|settings| {
        settings.body_bytes = 250_000;
        settings.body_grace = NEVER;
    })
    .await;
    let mut open = Vec::new();
    for (path, kind) in routes().into_iter().filter(|(_, kind)| *kind != FORM) {
        open.push(fixture.unfinished(&path, kind, 100_000, 99_000).await);
    }
    eventually("there is room again", async || {
        (fixture.upload(150_000).await.status() == 202).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_no_room_is_told_when_to_come_back_and_the_room_comes_back() {
    let fixture = Fixture::open_with(|settings| settings.body_bytes = 250_000).await;
    let busy = Mutex::new(Vec::new());
    let refused = eventually("the room is taken", async || {
        let both = [fixture.alive().await, fixture.alive().await];
        busy.lock().expect("whole").extend(both);
        let answer = fixture.upload(150_000).await;
        (answer.status() == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.headers()["retry-after"], "2");
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!(problem["type"], "/problems/busy");
    busy.into_inner().expect("whole").iter().for_each(JoinHandle::abort);
    eventually("there is room again", async || {
        (fixture.upload(150_000).await.status() == 202).then_some(())
    })
    .await;
    // Nothing of what was refused or taken is held.
    assert_eq!(fixture.upload(200_000).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_refused_by_name_and_what_is_accepted_is_said() {
    let fixture = Fixture::open().await;
    for (path, kind) in routes() {
        let request = fixture.http.post(fixture.url(&path)).header("content-type", kind);
        let request = request.header("content-encoding", "gzip").body(vec![0x1f, 0x8b, 8, 0]);
        let answer = request.send().await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["accept-encoding"]),
            (415, &"identity".parse().expect("a value")),
            "{path}"
        );
        let problem: Value = answer.json().await.expect("JSON");
        assert_eq!(problem["type"], "/problems/wrong-content-encoding", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_name_in_latin_1_is_taken() {
    let fixture = Fixture::open().await;
    let heads: [&[u8]; 2] = [
        b"form-data; name=\"file\"; filename=\"M\xfcller.jpg\"",
        "form-data; name=\"file\"; filename=\"M\u{fc}ller.jpg\"".as_bytes(),
    ];
    for head in heads {
        let body = [
            b"--b\r\nContent-Disposition: ".as_slice(),
            head,
            b"\r\nContent-Type: image/jpeg\r\n\r\nhello\r\n--b--\r\n",
        ]
        .concat();
        let request = fixture.http.post(fixture.url("/v1/images")).header("content-type", FORM);
        let answer = request.body(body).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let receipt: Value = answer.json().await.expect("JSON");
        assert_eq!(status, 202, "{receipt}");
        let id = receipt["id"].as_str().expect("an id").parse().expect("an id");
        let image =
            eventually("admitted", async || fixture.store.image(id).await.expect("asked")).await;
        assert!(image.object.key.ends_with("/M_ller.jpg"), "the name is the file's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn base64url_without_padding_is_an_image_too() {
    let fixture = Fixture::open_with(|settings| {
        settings.predict_timeout = Duration::from_millis(300);
    })
    .await;
    for image in ["_-8", "/+8=", "data:image/png;base64,/-8"] {
        let request =
            fixture.http.post(fixture.url("/v1/predict")).json(&json!({ "image": image }));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 504, "{image}: it was stored, and nobody assesses it");
        let problem: Value = answer.json().await.expect("JSON");
        let id = problem["id"].as_str().expect("an id").parse().expect("an id");
        let kept =
            eventually("admitted", async || fixture.store.image(id).await.expect("asked")).await;
        let bytes = fixture.objects.fetch(&kept.object, 100).await.expect("there").bytes;
        assert_eq!(bytes.as_ref(), [0xff, 0xef], "{image}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_http_1_0_gets_the_events_without_chunks_until_the_connection_ends() {
    let fixture = Fixture::open().await;
    fixture.admit(["incoming/north/a.jpg".to_owned()]).await;
    let request = b"GET /v1/events?after=0 HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let connection = fixture.connection(request).await;
    connection.readable().await.expect("it is answered");
    fixture.stop().await;
    let text = all(connection).await;
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    assert!(body.starts_with("retry: 2000\n"), "{body:?}");
    assert!(body.ends_with("is stopping\"}\n\n"), "{body:?}");
}

/// Resident memory of this process, in MiB.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = pages.split(' ').nth(1).expect("resident").parse().expect("a number");
    pages * 4 / 1_024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process, so it runs alone"]
async fn of_24_unfinished_bodies_of_60_mib_no_more_is_held_than_the_bound_and_it_comes_back() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 64 << 20).await;
    assert_eq!(fixture.upload(100_000).await.status(), 202);
    let (before, mut most) = (resident(), 0);
    let mut senders = Vec::new();
    for _ in 0..24 {
        let mut connection = fixture.unfinished("/v1/predict", JSON, 60 << 20, 0).await;
        senders.push(tokio::spawn(async move {
            let chunk = vec![b' '; 1 << 16];
            for _ in 0..(60 << 4) - 1 {
                if connection.write_all(&chunk).await.is_err() {
                    break;
                }
            }
            all(connection).await
        }));
    }
    let mut statuses = std::collections::BTreeMap::<String, usize>::new();
    while !senders.iter().all(JoinHandle::is_finished) {
        most = most.max(resident());
        sleep(Duration::from_millis(50)).await;
    }
    for sender in senders {
        let answer = sender.await.expect("no panic");
        *statuses.entry(answer.chars().take(12).collect()).or_default() += 1;
    }
    assert_eq!(fixture.upload(60 << 20).await.status(), 202);
    let after = resident();
    eprintln!(
        "resident: {before} MiB before, {most} at most, {after} after; answers: {statuses:?}"
    );
    assert!(most < before + 400, "{most} MiB");
    assert!(after < before + 150, "{after} MiB");
}
