//! Weights files on another S3 than ours, and on its bad days.

use std::sync::atomic::{AtomicU32, Ordering};

use lobar_core::object_store::FetchError;
use lobar_core::weights::WeightFiles;
use lobar_s3::S3Weights;
use lobar_testkit::services::http_proxy::{Fault, HttpProxy, Response};
use lobar_testkit::services::ministack;

const KEY: &str = "resnet50-2/0123abcd.safetensors";
const LIMIT: u64 = 1 << 20;

struct Bucket {
    proxy: HttpProxy,
    weights: S3Weights,
    folder: tempfile::TempDir,
}

impl Bucket {
    async fn open() -> Self {
        let ministack = ministack::shared().await;
        let name = ministack.quiet_bucket().await;
        let proxy = HttpProxy::open(ministack.port).await;
        let mut options = crate::options(&name, proxy.url());
        options.attempts = 3;
        let weights = S3Weights::connect(options, "models").await;
        Self { proxy, weights, folder: tempfile::tempdir().expect("a folder") }
    }

    async fn put(&self, body: &[u8]) {
        let path = self.folder.path().join("original");
        std::fs::write(&path, body).expect("written");
        self.weights.put(KEY, &path).await.expect("stored");
    }

    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let path = self.folder.path().join("cache/copy");
        self.weights.fetch(KEY, &path, LIMIT).await?;
        Ok(std::fs::read(&path).expect("it is there"))
    }

    /// Files of the cache, whole or begun.
    fn cached(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("cache")).map_or(0, Iterator::count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_stored_once_and_come_back_whole() {
    let bucket = Bucket::open().await;
    let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    bucket.put(&body).await;
    bucket.proxy.rule(|request| match request.method.as_str() {
        "PUT" => Fault::Answer(Response::s3(500, "InternalError")),
        _ => Fault::Pass,
    });
    bucket.put(&body).await;
    assert!(bucket.fetch().await.expect("fetched") == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_is_busy_for_a_moment_is_sent_again() {
    let bucket = Bucket::open().await;
    let turn = AtomicU32::new(0);
    bucket.proxy.rule(move |request| match request.method.as_str() {
        "PUT" if turn.fetch_add(1, Ordering::Relaxed) < 2 => {
            Fault::Answer(Response::s3(503, "SlowDown"))
        }
        _ => Fault::Pass,
    });
    let body = vec![7; 300_000];
    bucket.put(&body).await;
    assert!(bucket.fetch().await.expect("fetched") == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_that_break_off_are_asked_for_again_and_never_taken_for_whole() {
    let bucket = Bucket::open().await;
    let body: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    bucket.put(&body).await;
    let turn = AtomicU32::new(0);
    bucket.proxy.rule(move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0 => Fault::Truncate(1),
        1 => Fault::Truncate(70_000),
        _ => Fault::Pass,
    });
    assert!(bucket.fetch().await.expect("the third time") == body);
    std::fs::remove_file(bucket.folder.path().join("cache/copy")).expect("removed");
    bucket.proxy.rule(|_| Fault::Truncate(70_000));
    let broken = bucket.fetch().await;
    assert!(matches!(&broken, Err(FetchError::Port(error)) if error.is_transient()), "{broken:?}");
    assert_eq!(bucket.cached(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_beyond_the_limit_are_refused_whether_their_length_is_announced_or_not() {
    let bucket = Bucket::open().await;
    bucket.put(&vec![7; LIMIT as usize + 1]).await;
    let too_large = |answer| matches!(answer, Err(FetchError::TooLarge { limit: LIMIT }));
    assert!(too_large(bucket.fetch().await));
    bucket.proxy.rule(|_| Fault::Unannounced);
    assert!(too_large(bucket.fetch().await));
    assert_eq!(bucket.cached(), 0);
}
