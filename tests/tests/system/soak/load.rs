//! A steady load within bounds: uploads, pages and event streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use lobar_core::image::Lane;
use lobar_core::object_store::{ObjectStore, Upload};
use lobar_s3::{S3ObjectStore, S3Options};
use lobar_tests::kit::{Follower, Lobar, radiograph_jpeg};
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Different pictures that are uploaded in turn.
const PICTURES: u32 = 48;
/// Uploads without a result beyond which nothing more is uploaded.
const MOST_OPEN: u64 = 60;
/// Event streams that come again from where they were, beside as many that stay.
const COMING_AND_GOING: usize = 10;
/// How long one of those stays.
const VISIT: Duration = Duration::from_secs(30);
/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What the load counts.
#[derive(Default)]
pub(super) struct Counts {
    /// PUTs begun.
    pub(super) attempted: AtomicU64,
    /// PUTs answered.
    pub(super) acknowledged: AtomicU64,
    /// Bytes that event streams brought.
    pub(super) streamed: AtomicU64,
    /// Requests that failed.
    pub(super) failed: AtomicU64,
    /// How long lists took, in milliseconds, since they were taken last.
    lists: Mutex<Vec<f64>>,
}

impl Counts {
    /// The times of lists since the last call, in milliseconds.
    pub(super) fn take_lists(&self) -> Vec<f64> {
        std::mem::take(&mut *self.lists.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs until it is dropped.
pub(super) struct Load {
    /// What it counts.
    pub(super) counts: Arc<Counts>,
    /// A page that follows everything.
    pub(super) page: Arc<Follower>,
    uploads: JoinSet<()>,
    beside: JoinSet<()>,
}

impl Load {
    /// Begins to upload so many images a second, to read pages, and to hold event streams.
    pub(super) async fn begin(lobar: &Lobar, per_second: f64) -> Self {
        let counts: Arc<Counts> = Arc::default();
        let page = Arc::new(Follower::follow(&lobar.page));
        let options = S3Options {
            endpoint: Some(lobar.s3.clone()),
            region: Some("us-east-1".to_owned()),
            credentials: Some(lobar.key_pair()),
            ..S3Options::new("xrays")
        };
        let bucket: Arc<dyn ObjectStore> = Arc::new(S3ObjectStore::connect(options).await);
        let (mut uploads, mut beside) = (JoinSet::new(), JoinSet::new());
        uploads.spawn(upload(bucket, per_second, page.clone(), counts.clone()));
        let http = Client::builder().read_timeout(LIMIT).build().expect("a client");
        let base = lobar.page.clone();
        beside.spawn(read_pages(http.clone(), base.clone(), counts.clone()));
        beside.spawn(break_off(http.clone(), base.clone(), counts.clone()));
        for n in 0..2 * COMING_AND_GOING {
            let visit = if n < COMING_AND_GOING { VISIT } else { Duration::MAX };
            beside.spawn(watch(http.clone(), base.clone(), visit, counts.clone()));
        }
        Self { counts, page, uploads, beside }
    }

    /// Uploads nothing more, and waits until every upload that was acknowledged has its result on the page.
    pub(super) async fn end_uploads(&mut self) {
        self.uploads.shutdown().await;
        self.page.until_results(self.counts.acknowledged.load(Relaxed) as usize).await;
    }

    /// Ends everything else.
    pub(super) async fn end(mut self) {
        self.beside.shutdown().await;
    }
}

/// Uploads at an even pace, each image under a key of its own, one at a time.
async fn upload(
    bucket: Arc<dyn ObjectStore>,
    per_second: f64,
    page: Arc<Follower>,
    counts: Arc<Counts>,
) {
    let pictures: Vec<Bytes> = (0..PICTURES)
        .map(|n| radiograph_jpeg(700 + n % 7 * 150, 600 + n % 5 * 150, n).into())
        .collect();
    let mut pace = interval(Duration::from_secs_f64(1.0 / per_second));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (n, body) in pictures.iter().cycle().enumerate() {
        pace.tick().await;
        while counts.acknowledged.load(Relaxed) > page.results().len() as u64 + MOST_OPEN {
            sleep(Duration::from_millis(200)).await;
        }
        let lane = if n % 20 == 0 { "stat/" } else { "" };
        let key = format!("incoming/north/{lane}soak-{n:06}.jpeg");
        counts.attempted.fetch_add(1, Relaxed);
        let upload =
            Upload { key, body: body.clone(), lane: Lane::Routine, metadata: Default::default() };
        match bucket.put(upload).await {
            Ok(_) => counts.acknowledged.fetch_add(1, Relaxed),
            Err(_) => counts.failed.fetch_add(1, Relaxed),
        };
    }
}

/// GET; what was answered, read to its end. Failures are counted.
async fn get(http: &Client, url: String, counts: &Counts) -> Option<Bytes> {
    let answer = async { http.get(url).send().await?.error_for_status()?.bytes().await };
    match answer.await {
        Ok(body) => Some(body),
        Err(_) => {
            counts.failed.fetch_add(1, Relaxed);
            None
        }
    }
}

/// Reads the list as pages do, and an image with its picture and its heatmap now and then.
async fn read_pages(http: Client, base: String, counts: Arc<Counts>) {
    for turn in 0_u64.. {
        let began = Instant::now();
        let list = get(&http, format!("{base}/v1/images?limit=50"), &counts).await;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        counts.lists.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        let list: Value =
            list.and_then(|list| serde_json::from_slice(&list).ok()).unwrap_or_default();
        let shown = list["items"].as_array().and_then(|items| items.last());
        if let (0, Some(id)) = (turn % 4, shown.and_then(|image| image["id"].as_str())) {
            let image = format!("{base}/v1/images/{id}");
            get(&http, image.clone(), &counts).await;
            get(&http, format!("{image}/picture"), &counts).await;
        }
        if turn % 20 == 0 {
            get(&http, format!("{base}/metrics"), &counts).await;
            get(&http, format!("{base}/v1/images?status=needs_human&limit=50"), &counts).await;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Sends an upload that is broken off in the middle, every ten seconds.
async fn break_off(http: Client, base: String, counts: Arc<Counts>) {
    loop {
        sleep(Duration::from_secs(10)).await;
        let url = format!("{base}/v1/predict");
        let half =
            futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{\"im")) })
                .chain(futures::stream::pending());
        let request = http.post(url).header("content-type", "application/json");
        let request = request.body(reqwest::Body::wrap_stream(half)).send();
        // Given up by the client: neither answered nor failed.
        if timeout(Duration::from_secs(1), request).await.is_ok_and(|answer| answer.is_err()) {
            counts.failed.fetch_add(1, Relaxed);
        }
    }
}

/// Holds an event stream open for so long, and then another from now on.
async fn watch(http: Client, base: String, visit: Duration, counts: Arc<Counts>) {
    loop {
        let Ok(answer) = http.get(format!("{base}/v1/events")).send().await else {
            counts.failed.fetch_add(1, Relaxed);
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        let mut stream = answer.bytes_stream();
        let read = async {
            while let Some(Ok(bytes)) = stream.next().await {
                counts.streamed.fetch_add(bytes.len() as u64, Relaxed);
            }
        };
        if timeout(visit, read).await.is_ok() {
            // Streams end with the server only.
            counts.failed.fetch_add(1, Relaxed);
        }
    }
}
