//! Versions that were replaced or deleted go when their time is over, and their files with them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::image::Lane;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{ObjectListing as _, ObjectStore as _, Upload};
use lobar_core::time::{Clock as _, ManualClock, SystemClock};

use crate::fixture::{Running, aws, noise, start_with};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SIZE: usize = 100_000;

/// Puts an object, by a client of its own: one that has seen the time of an answer signs by that, and the endpoint checks
/// signatures by the machine's.
async fn put(endpoint: &Running, key: &str, seed: u64) -> ObjectVersion {
    let objects = endpoint.objects().await;
    let upload = Upload {
        key: key.into(),
        body: noise(SIZE, seed).into(),
        lane: Lane::Routine,
        metadata: Default::default(),
    };
    objects.put(upload).await.expect("stored")
}

/// Bytes of the files of bodies, as `du` counts them.
fn used(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.filter_map(Result::ok).map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => used(&entry.path()),
        Ok(metadata) => usize::try_from(metadata.len()).expect("a size"),
        // Deleted meanwhile.
        Err(_) => 0,
    });
    sizes.sum()
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_replaced_or_deleted_goes_when_its_time_is_over_and_what_is_current_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let bodies = folder.path().join("s3/bodies");
    let clock = ManualClock::new(SystemClock.now());
    let endpoint = start_with(folder.path(), |options| {
        options.clock = Arc::new(clock.clone());
        options.noncurrent = Some(7 * DAY);
        options.expire_every = Duration::from_millis(20);
    })
    .await;
    let replaced = put(&endpoint, "incoming/a.jpg", 1).await;
    let current = put(&endpoint, "incoming/a.jpg", 2).await;
    let deleted = put(&endpoint, "incoming/b.jpg", 3).await;
    endpoint
        .objects()
        .await
        .remove(&ObjectVersion { version: None, ..deleted.clone() })
        .await
        .expect("hidden");
    assert_eq!(used(&bodies), 3 * SIZE);
    let events = endpoint.events(4).await.len();
    assert_eq!(events, 4);

    // Old, but not for long replaced: it counts from then.
    clock.advance(6 * DAY);
    let newest = put(&endpoint, "incoming/a.jpg", 4).await;
    clock.advance(2 * DAY);
    until("two versions are gone", || used(&bodies) == 2 * SIZE).await;
    for gone in [&replaced, &deleted] {
        assert!(endpoint.objects().await.fetch(gone, 1_000_000).await.is_err());
    }
    for kept in [&current, &newest] {
        assert_eq!(
            endpoint.objects().await.fetch(kept, 1_000_000).await.expect("there").bytes.len(),
            SIZE
        );
    }
    clock.advance(6 * DAY);
    until("the second is gone, too", || used(&bodies) == SIZE).await;
    assert_eq!(
        endpoint.objects().await.fetch(&newest, 1_000_000).await.expect("there").bytes.len(),
        SIZE
    );
    let listed = endpoint.objects().await.versions("", None).await.expect("listed").versions;
    assert_eq!(listed.len(), 1);
    // Nobody is told: what was found out of a replaced upload is kept.
    assert_eq!(endpoint.events(1).await.len(), 1, "of the newest upload alone");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_a_copy_shares_stays_and_an_undeleted_version_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let bodies = folder.path().join("s3/bodies");
    let clock = ManualClock::new(SystemClock.now());
    let endpoint = start_with(folder.path(), |options| {
        options.clock = Arc::new(clock.clone());
        options.noncurrent = Some(DAY);
        options.expire_every = Duration::from_millis(20);
    })
    .await;
    let source = put(&endpoint, "incoming/a.jpg", 1).await;
    let url = endpoint.url();
    let copy = ["s3api", "copy-object", "--bucket", "xrays", "--key", "incoming/copy.jpg"];
    let copied = aws(&url, &[&copy[..], &["--copy-source", "xrays/incoming/a.jpg"]].concat()).await;
    assert!(copied.contains("ETag"), "{copied}");
    put(&endpoint, "incoming/a.jpg", 2).await;
    // A version whose delete marker was taken off is current.
    let back = put(&endpoint, "incoming/b.jpg", 3).await;
    let hidden = ["s3api", "delete-object", "--bucket", "xrays", "--key", "incoming/b.jpg"];
    let marker: serde_json::Value = serde_json::from_str(&aws(&url, &hidden).await).expect("JSON");
    let marker = marker["VersionId"].as_str().expect("an id").to_owned();
    endpoint
        .objects()
        .await
        .remove(&ObjectVersion { version: Some(marker), ..back.clone() })
        .await
        .expect("shown");
    clock.advance(3 * DAY);
    let objects_of =
        async || endpoint.objects().await.versions("", None).await.expect("listed").versions;
    let began = Instant::now();
    while objects_of().await.iter().any(|one| one.object.id() == source.id()) {
        assert!(began.elapsed() < Duration::from_secs(60), "the source stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(objects_of().await.len(), 3);
    assert_eq!(used(&bodies), 3 * SIZE, "the copy has the file of its source");
    assert_eq!(
        endpoint.objects().await.fetch(&back, 1_000_000).await.expect("there").bytes.len(),
        SIZE
    );
    endpoint.stop().await;
}
