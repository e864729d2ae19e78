//! Pages elsewhere that would use a browser inside the network, and what is served to browsers.

use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object_store::ObjectStore as _;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{PAGE, http, python, start, start_with};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_a_page_elsewhere_stores_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nx.html\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n<script>\r\n--b--\r\n";
    for origin in [None, Some("https://elsewhere.example"), Some(PAGE)] {
        let mut request = http()
            .post(format!("{}/xrays", endpoint.url()))
            .header("content-type", "multipart/form-data; boundary=b")
            .body(form);
        if let Some(origin) = origin {
            request = request.header("origin", origin).header("sec-fetch-site", "cross-site");
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 403);
        let said = answer.text().await.expect("a body");
        assert!(said.contains("s3_forms"), "{said}");
    }
    assert!(endpoint.events(0).await.is_empty());
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_form_is_taken_where_forms_are_switched_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start_with(folder.path(), |options| options.forms = true).await;
    python(&endpoint.url(), "s3_forms.py").await;
    endpoint.stop().await;
}

/// The beginning of a form that asks to be told when it is read.
async fn begin_form(url: &str) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "POST /xrays HTTP/1.1\r\nhost: {address}\r\ncontent-type: multipart/form-data; boundary=b\r\n\
         content-length: 100\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

/// Waits until the server reads the form.
async fn is_read(stream: &mut TcpStream) {
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_forms_are_held_in_memory_at_once_and_the_next_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start_with(folder.path(), |options| options.forms = true).await;
    let url = endpoint.url();
    let mut read = Vec::new();
    for _ in 0..3 {
        let mut form = begin_form(&url).await;
        is_read(&mut form).await;
        read.push(form);
    }
    let mut next = begin_form(&url).await;
    // Long enough for the next one to be read, if it were.
    for _ in 0..50 {
        http().get(&url).send().await.expect("an answer");
    }
    assert!(next.try_read(&mut [0]).is_err(), "nothing is there to be read");
    drop(read.pop());
    is_read(&mut next).await;
    drop((read, next));
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_made_to_point_here_is_not_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let hosts = vec!["store.example".to_owned()];
    let endpoint = start_with(folder.path(), |options| options.hosts = hosts).await;
    let ask = async |host: &str| {
        let request = http().get(endpoint.url()).header("host", host);
        request.send().await.expect("an answer").text().await.expect("a body")
    };
    // Nobody signed: that is why our own names are refused, and not for their sake.
    for own in ["localhost:9000", "STORE.example", "[::1]:9000"] {
        let said = ask(own).await;
        assert!(said.contains("Signature is required"), "{own}: {said}");
    }
    for foreign in ["rebound.example", "store.example.rebound.example:9000"] {
        let said = ask(foreign).await;
        assert!(said.contains("AccessDenied") && said.contains("hosts"), "{foreign}: {said}");
    }
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_url_serves_our_page_and_no_other_for_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let url = objects
        .presign_put("k", Lane::Routine, &Default::default(), HOUR, None)
        .await
        .expect("signed");
    let put = async |origin: &str| {
        let request = http().put(&url).header("origin", origin).body("picture");
        request.header("sec-fetch-site", "cross-site").send().await.expect("an answer")
    };
    assert_eq!(put("https://elsewhere.example").await.status(), 403);
    let answer = put(PAGE).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
    endpoint.stop().await;
}

fn assert_nothing_runs(headers: &HeaderMap) {
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["content-security-policy"], "sandbox");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_object_holds_is_saved_by_a_browser_and_never_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    python(&endpoint.url(), "s3_served.py").await;
    // Answers that hold no object are no page either.
    let answer = http().get(format!("{}/xrays/k", endpoint.url())).send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
    assert_nothing_runs(answer.headers());
    let preflight = http().request(reqwest::Method::OPTIONS, endpoint.url()).send();
    assert_nothing_runs(preflight.await.expect("an answer").headers());
    endpoint.stop().await;
}
