//! Figures of the event stream, measured on request, since they mean little on a busy machine:
//! `cargo test --release -p lobar-tests --test api figures -- --ignored --nocapture --test-threads 1`

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::{Duration, Instant};

use lobar_core::image::Lane;
use lobar_core::object_store::Upload;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, new_image};

/// Both ends of a connection are in this process: twice as many files must be allowed (`ulimit -n`).
const CLIENTS: usize = 9_000;
const ROUNDS: usize = 200;

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = status.split(' ').nth(1).expect("a field").parse::<u64>().expect("a number");
    pages * 4096
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", at(0.5), at(0.99), at(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn from_a_put_to_the_event_in_a_client_s_hands() {
    let fixture = Fixture::open().await;
    let mut stream = fixture.events("?after=0").await;
    let mut times = Vec::new();
    for n in 0..ROUNDS {
        let key = format!("incoming/north/{n}");
        let upload = Upload {
            key,
            body: vec![7; 1000].into(),
            lane: Lane::Routine,
            metadata: Default::default(),
        };
        fixture.objects.put(upload).await.expect("stored");
        // The bucket's answer is the moment from which its event counts.
        let stored = Instant::now();
        stream.image().await;
        times.push(stored.elapsed());
    }
    show("S3 answer to SSE event, idle", times);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn from_a_commit_to_the_event_in_a_client_s_hands() {
    let fixture = Fixture::open().await;
    let mut stream = fixture.events("?after=0").await;
    let mut times = Vec::new();
    for n in 0..ROUNDS {
        let image = new_image(&format!("incoming/north/{n}"));
        fixture.store.admit(&[image]).await.expect("admitted");
        let committed = Instant::now();
        fixture.signal.publish().await.expect("published");
        stream.image().await;
        times.push(committed.elapsed());
        // As after a quiet time: the follower has nothing to wait for.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    show("commit to SSE event, idle", times);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn from_a_commit_to_the_last_of_many_clients() {
    let fixture = Fixture::open().await;
    let address = fixture.base.trim_start_matches("http://").to_owned();
    let before = resident();
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(&address).await.expect("a connection");
        let request = format!("GET /v1/events?after=0 HTTP/1.1\r\nhost: {address}\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("sent");
        clients.push(client);
    }
    let mut buffer = vec![0; 4096];
    for client in &mut clients {
        assert!(client.read(&mut buffer).await.expect("an answer") > 0);
    }
    println!("{CLIENTS} clients: {} bytes each, both ends", (resident() - before) / CLIENTS as u64);
    let began = Instant::now();
    let mut reading = JoinSet::new();
    for mut client in clients {
        reading.spawn(async move {
            let (mut text, mut buffer) = (Vec::new(), vec![0; 4096]);
            while !text.windows(12).any(|part| part == b"event: image") {
                let read = client.read(&mut buffer).await.expect("an open stream");
                assert!(read > 0);
                text.extend_from_slice(&buffer[..read]);
            }
            began.elapsed()
        });
    }
    fixture.admit(["incoming/north/a".to_owned()]).await;
    let times = reading.join_all().await;
    assert_eq!(times.len(), CLIENTS);
    show("commit to SSE event", times);
}
