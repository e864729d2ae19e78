//! A browser's preflight, and clients that misbehave.

use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object_store::{ObjectStore as _, Upload};
use lobar_endpoint::{Endpoint, EndpointError, EndpointOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{PAGE, http, server_key_pair, start, start_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_is_answered_for_our_page_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let http = http();
    let preflight = async |origin: &str| {
        http.request(reqwest::Method::OPTIONS, format!("{}/xrays/a%20b", endpoint.url()))
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "content-type,x-amz-meta-priority")
            .send()
            .await
            .expect("an answer")
    };
    let answer = preflight(PAGE).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
    let headers = &answer.headers()["access-control-allow-headers"];
    assert_eq!(headers, "content-type,x-amz-meta-priority");
    let answer = preflight("https://elsewhere.example").await;
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));

    // A refusal, too, can be read by the page.
    let url = format!("{}/xrays/k", endpoint.url());
    let answer = http.get(&url).header("origin", PAGE).send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stops_halfway_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let silence = Duration::from_millis(300);
    let endpoint = start_with(folder.path(), |options| options.silence = silence).await;
    let objects = endpoint.objects().await;
    let lane = Lane::Routine;
    let url = objects
        .presign_put("half", lane, &Default::default(), Duration::from_secs(60), None)
        .await
        .expect("signed");
    let target = url.strip_prefix(&endpoint.url()).expect("this endpoint");
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: 4000000\r\n\r\n",
        endpoint.address
    );
    let connect = async || {
        let mut client =
            tokio::net::TcpStream::connect(endpoint.address).await.expect("a connection");
        client.write_all(head.as_bytes()).await.expect("sent");
        client.write_all(&vec![7; 2_000_000]).await.expect("sent");
        client
    };
    // One falls silent, and is told so; one goes away.
    let mut silent = connect().await;
    let mut answer = String::new();
    silent.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("RequestTimeout"), "{answer}");
    drop(connect().await);

    let bodies = folder.path().join("s3/bodies");
    let mut left = usize::MAX;
    for _ in 0..100 {
        left = files(&bodies);
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(left, 0);
    assert!(endpoint.events(0).await.is_empty());
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_in_place_of_100_continue_ends_the_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let lane = Lane::Routine;
    let url = objects
        .presign_put("empty", lane, &Default::default(), Duration::from_secs(60), None)
        .await
        .expect("signed");
    let target = url.strip_prefix(&endpoint.url()).expect("this endpoint");
    for (target, status) in [(target, "200 OK"), ("/xrays/unsigned", "403 Forbidden")] {
        let mut client =
            tokio::net::TcpStream::connect(endpoint.address).await.expect("a connection");
        let head = format!(
            "PUT {target} HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: 0\r\n\r\n",
            endpoint.address
        );
        client.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an end");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    endpoint.stop().await;
}

fn files(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_larger_than_allowed_is_refused_before_it_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start_with(folder.path(), |options| options.max_object_size = 10).await;
    let objects = endpoint.objects().await;
    let put = async |length| {
        let body = vec![1; length].into();
        objects
            .put(Upload {
                key: "k".to_owned(),
                body,
                lane: Lane::Routine,
                metadata: Default::default(),
            })
            .await
    };
    put(10).await.expect("just small enough");
    let refused = put(11).await.expect_err("too large");
    assert!(refused.to_string().contains("EntityTooLarge"), "{refused}");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_in_use_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let any = "127.0.0.1:0".parse().expect("an address");
    let (data, pair) = (folder.path().join("s3"), server_key_pair());
    let options = EndpointOptions::new(data, any, pair, endpoint.uploads.clone());
    let refused = Endpoint::open(options).await.err().expect("in use");
    assert!(matches!(refused, EndpointError::InUse(_)), "{refused}");
    endpoint.stop().await;
}
