//! Ten thousand pages that watch one process: each sees every event once and in order, whether it reads slowly or its
//! proxy cuts it off, and everybody else is answered meanwhile (checklist T13).

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // figures are to be read; pages end with the test

mod watcher;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use lobar_testkit::services::proxy::Proxy;
use lobar_tests::kit::{Client, Lobar, ProcessFigures, radiograph_jpeg};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::watcher::{Faults, Watcher, seq};
use super::states;

const STREAMS: usize = 10_000;
/// Of these, pages that read nothing until everything has happened.
const SLOW: usize = 1_000;
/// Of these, pages behind a proxy that is cut.
const PROXIED: usize = 1_000;
/// Events before the pages come: more than the buffers between here and there hold.
const EARLIER: usize = 2_500;
/// What a slow page takes without reading, in bytes.
const WINDOW: u32 = 4096;
const UPLOADS: u32 = 40;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Descriptors for the pages, and two more each for those behind the proxy.
fn make_room() {
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--nofile=16384:"]).status();
    assert!(
        raised.expect("prlimit runs").success(),
        "this test needs a hard limit of 16,384 open files"
    );
}

async fn until(what: &str, reached: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !reached().await {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Uploads a picture as a client of the API does; how long that took.
async fn upload(http: &reqwest::Client, page: &str, name: u32) -> Duration {
    let began = Instant::now();
    let url = format!("{page}/v1/images?site=north");
    let body = radiograph_jpeg(400, 380, name);
    let request = http.post(url).header("content-type", "image/jpeg").body(body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}: {:?}", answer.status(), answer.text().await);
    began.elapsed()
}

/// Events that change no state: what a reader says again and again.
async fn say(http: &reqwest::Client, page: &str, image: &Value, times: usize) {
    let url = format!("{page}/v1/images/{}/verdicts", image["id"].as_str().expect("an id"));
    let verdict = json!({ "model_version": image["result"]["model"]["version"],
        "opinion": "not_assessable", "reason": "once more" });
    stream::iter(0..times)
        .for_each_concurrent(4, async |_| {
            let answer = http.post(&url).json(&verdict).send().await.expect("an answer");
            assert_eq!(answer.status(), 201);
        })
        .await;
}

/// The position after the last event.
async fn newest(client: &Client) -> i64 {
    client.get("/v1/images?limit=1").await["last_event"].as_i64().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and 16,384 descriptors; docs/reliability.md has its figures"]
async fn ten_thousand_pages_see_everything_once_and_everybody_else_is_answered() {
    make_room();
    let dir = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::up(&dir.path().join("data"));
    let (client, http, page) =
        (Client::new(&lobar.page), reqwest::Client::new(), lobar.page.clone());
    upload(&http, &page, 0).await;
    let image = client.settled(1).await.remove(0);
    let image = client.get(&format!("/v1/images/{}", image["id"].as_str().expect("an id"))).await;
    say(&http, &page, &image, EARLIER).await;
    let first = newest(&client).await;
    assert!(seq(first) >= EARLIER as i64);

    let before = ProcessFigures::of(lobar.pid());
    let direct: SocketAddr = page.trim_start_matches("http://").parse().expect("an address");
    let proxy = Proxy::open(direct).await;
    let faults: Arc<Faults> = Arc::default();
    let (mut pages, mut tasks) = (Vec::with_capacity(STREAMS), JoinSet::new());
    let began = Instant::now();
    for n in 0..STREAMS - SLOW {
        let address = if n < PROXIED { proxy.address } else { direct };
        let page = Watcher::new(address, first, &faults);
        tasks.spawn(page.clone().watch());
        pages.push(page);
        // Not all at once: a listener has a line of its own.
        if n % 200 == 199 {
            until("they are open", async || pages.iter().all(|page| page.open.load(Relaxed))).await;
        }
    }
    let slow: Vec<_> = (0..SLOW).map(|_| Watcher::new(direct, 0, &faults)).collect();
    let waiting: Vec<_> = stream::iter(slow.clone())
        .map(async |page| (page.connect(Some(WINDOW)).await.expect("opened"), page))
        .buffer_unordered(100)
        .collect()
        .await;
    let clients = async || client.metric("lobar_sse_clients").await == Some(STREAMS as f64);
    until("all are counted", clients).await;
    let opened = began.elapsed();
    let after = ProcessFigures::of(lobar.pid());

    // Everybody else, while each event goes to all of them and a proxy breaks twice.
    let (mut uploads, mut lists) = (Vec::new(), Vec::new());
    for n in 1..=UPLOADS {
        uploads.push(upload(&http, &page, n).await);
        let began = Instant::now();
        client.get("/v1/images?limit=50").await;
        lists.push(began.elapsed());
        if n % (UPLOADS / 2) == 0 {
            proxy.cut();
        }
    }
    let images = client.settled(UPLOADS as usize + 1).await;
    assert_eq!(states(&images, "ready"), images.len());
    let last = newest(&client).await;
    let caught_up = async || pages.iter().all(|page| page.last.load(Relaxed) == last);
    until("all have seen the last event", caught_up).await;
    let busy = ProcessFigures::of(lobar.pid());
    for (stream, page) in waiting {
        tasks.spawn(async move { page.read(stream).await });
    }
    until("so have those that read late", async || {
        slow.iter().all(|page| page.last.load(Relaxed) == last)
    })
    .await;
    let (gaps, refused, again) =
        (faults.gaps.load(Relaxed), faults.refused.load(Relaxed), faults.again.load(Relaxed));
    let ms = |times: &mut Vec<Duration>| {
        times.sort();
        let of = |n: usize| times[n].as_millis();
        (of(times.len() / 2), of(times.len() - 1))
    };
    println!(
        "{STREAMS} streams: opened in {:.1} s; {} KiB a stream ({} MiB before, {} MiB open, {} MiB at the end), \
         {} descriptors; uploads (median, longest) {:?} ms, lists {:?} ms; {} events to each, {again} came again",
        opened.as_secs_f64(),
        after.resident.saturating_sub(before.resident) / STREAMS as u64 / 1024,
        before.resident >> 20,
        after.resident >> 20,
        busy.resident >> 20,
        after.descriptors,
        ms(&mut uploads),
        ms(&mut lists),
        seq(last) - seq(first),
    );
    println!(
        "attempted {STREAMS}, acknowledged {}, lost 0, duplicated 0, recovered {again}, unexpected {}",
        STREAMS - usize::try_from(refused).expect("few"),
        gaps + refused
    );
    assert_eq!((gaps, refused), (0, 0));
    assert!(again >= 2 * PROXIED as u64, "both cuts were felt: {again}");

    // It says goodbye to all of them.
    let began = Instant::now();
    assert_eq!(lobar.stop(), 0);
    println!("stopped in {:.1} s", began.elapsed().as_secs_f64());
}
