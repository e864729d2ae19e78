//! How long an upload takes to the page on an idle system, without the network.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object_store::{ObjectStore, Upload};
use lobar_s3::S3ObjectStore;
use lobar_tests::aws::s3_options;
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
    print("SQS", measure(&cluster, &cluster.bucket).await);
    for process in fleet {
        assert_eq!(process.stop(), 0, "a clean stop");
    }
}

/// The same with Lobar's own S3 server, whose notifications travel on RabbitMQ or PostgreSQL: no emulator that looks for
/// messages now and then is on the way.
///
/// `cargo test --workspace --test services -- --ignored --nocapture own_s3_server`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; docs/benchmarks.md has its figures"]
async fn an_upload_to_the_own_s3_server_of_an_idle_system_is_on_the_page_after() {
    let cluster = Arc::new(Cluster::open(Jobs::RabbitMq).await);
    let rabbitmq = format!("{}?prefix={}", cluster.rabbitmq.url(), cluster.rabbitmq.prefix());
    for (name, uploads) in [("RabbitMQ", rabbitmq), ("PostgreSQL", cluster.database.url())] {
        let started = cluster.clone();
        let settings = [("LOBAR_UPLOADS", uploads), ("LOBAR_S3_ENDPOINT", String::new())];
        let process =
            tokio::task::spawn_blocking(move || started.run_with("s3,ingest,api", &settings));
        let process = process.await.expect("started");
        let options = s3_options(&cluster.setting("LOBAR_BUCKET"), process.s3.clone());
        let bucket: Arc<dyn ObjectStore> = Arc::new(S3ObjectStore::connect(options).await);
        print(name, measure(&cluster, &bucket).await);
        assert_eq!(process.stop(), 0, "a clean stop");
    }
}

/// How long each of many uploads, one after the other, takes from its answer to the page's event.
async fn measure(cluster: &Cluster, bucket: &Arc<dyn ObjectStore>) -> Vec<Duration> {
    let page = cluster.follow();
    let body: bytes::Bytes = kit::radiograph_jpeg(320, 300, 1).into();
    let mut took = Vec::new();
    for _ in 0..UPLOADS {
        let key = format!("incoming/north/{}.jpeg", uuid::Uuid::new_v4());
        let upload =
            Upload { key, body: body.clone(), lane: Lane::Routine, metadata: Default::default() };
        let image = bucket.put(upload).await.expect("stored").id().to_string();
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
    took
}

fn print(uploads: &str, took: Vec<Duration>) {
    println!(
        "uploads on {uploads}: S3's answer to the page's event: p50 {:?}, p99 {:?}, longest {:?}",
        took[UPLOADS / 2],
        took[UPLOADS * 99 / 100],
        took[UPLOADS - 1]
    );
}
