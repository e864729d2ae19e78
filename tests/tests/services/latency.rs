//! How long an upload takes to the page on an idle system, without the network.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object_store::Upload;
use lobar_tests::kit;

use super::cluster::{Cluster, Jobs};

const UPLOADS: usize = 200;

/// From S3's answer to a PUT to the page's event that the image is queued: the emulator's notification, SQS,
/// ingest, PostgreSQL, Redis, api.
///
/// `cargo test --workspace --test services -- --ignored --nocapture idle`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; docs/benchmarks.md has its figures"]
async fn an_upload_to_an_idle_system_is_on_the_page_after() {
    let cluster = Arc::new(Cluster::open(Jobs::RabbitMq).await);
    let started = cluster.clone();
    let fleet = tokio::task::spawn_blocking(move || [started.run("api"), started.run("ingest")]);
    let fleet = fleet.await.expect("started");
    let page = cluster.follow();
    let body: bytes::Bytes = kit::radiograph_jpeg(320, 300, 1).into();
    let mut took = Vec::new();
    for n in 0..UPLOADS {
        let key = format!("incoming/north/{n}.jpeg");
        let upload =
            Upload { key, body: body.clone(), lane: Lane::Routine, metadata: Default::default() };
        let image = cluster.bucket.put(upload).await.expect("stored").id().to_string();
        let answered = std::time::Instant::now();
        let seen = loop {
            if let Some(seen) = page.seen().into_iter().find(|seen| seen.image == image) {
                break seen.at;
            }
            assert!(answered.elapsed() < Duration::from_secs(60), "it is not shown");
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        took.push(seen.saturating_duration_since(answered));
    }
    took.sort();
    println!(
        "S3's answer to the page's event: p50 {:?}, p99 {:?}, longest {:?}",
        took[UPLOADS / 2],
        took[UPLOADS * 99 / 100],
        took[UPLOADS - 1]
    );
    for process in fleet {
        assert_eq!(process.stop(), 0, "a clean stop");
    }
}
