//! SIGKILL at chosen moments: between a confirmed job and the deletion of its notification, before
//! decoding, in the network, between the commit and the acknowledgement (T1, T2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lobar_testkit::services::http_proxy::{Fault, HttpProxy};
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_tests::kit::{BulkUpload, Follower, Lobar};
use tokio::sync::Notify;

use super::accounts::{account, until_quiet};
use super::cluster::{Cluster, Jobs};

const UPLOADS: usize = 12;
/// Longer than any of this takes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Uploads, lets `victim` be killed at its moment, starts another in its place and counts.
async fn survives(
    name: &str,
    seed: u64,
    roles: &'static str,
    others: &'static str,
    victim: impl AsyncFnOnce(&Arc<Cluster>, &Follower) -> Lobar,
) {
    let cluster = Arc::new(Cluster::open(Jobs::RabbitMq).await);
    let beside = run(&cluster, others, Vec::new()).await;
    let page = cluster.follow();
    let uploaded = BulkUpload::plan(seed, UPLOADS).run(cluster.bucket.clone()).await;
    victim(&cluster, &page).await.kill();
    let kill = std::time::Instant::now();
    let again = run(&cluster, roles, Vec::new()).await;
    let worker = match others.contains("worker") || roles == "worker" {
        true => None,
        false => Some(run(&cluster, "worker", Vec::new()).await),
    };
    until_quiet(&cluster.client(), &uploaded).await;
    let account = account(&cluster.client(), &page, &uploaded, UPLOADS, &[kill]).await;
    println!("{name}, seed {seed}: {account:?}");
    assert_eq!((account.lost, account.duplicated, account.unexpected), (0, 0, 0), "{account:?}");
    assert!(account.slowest_recovery < Duration::from_secs(60), "{account:?}");
    for process in [Some(again), worker, Some(beside)].into_iter().flatten() {
        assert_eq!(process.stop(), 0, "a clean stop");
    }
}

async fn run(
    cluster: &Arc<Cluster>,
    roles: &'static str,
    settings: Vec<(&'static str, String)>,
) -> Lobar {
    let cluster = cluster.clone();
    let started = tokio::task::spawn_blocking(move || cluster.run_with(roles, &settings));
    started.await.expect("started")
}

/// A proxy in front of S3 and SQS that holds up requests which `held` picks, and tells of the first.
async fn holding(
    cluster: &Cluster,
    how_long: Duration,
    held: impl Fn(&str, &str) -> bool + Send + 'static,
) -> (HttpProxy, Arc<Notify>) {
    let proxy = HttpProxy::open(cluster.s3.port).await;
    let seen = Arc::new(Notify::new());
    let tell = seen.clone();
    proxy.rule(move |request| {
        if held(&request.method, request.action()) {
            tell.notify_one();
            return Fault::Late(how_long);
        }
        Fault::Pass
    });
    (proxy, seen)
}

fn is_get(method: &str, action: &str) -> bool {
    method == "GET" && action.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingest_killed_between_the_confirmed_job_and_the_deletion_doubles_nothing() {
    for seed in [21, 22] {
        survives("killed before deletion", seed, "ingest", "api", async |cluster, _| {
            let deletion = |_: &str, action: &str| action.starts_with("DeleteMessage");
            let (proxy, seen) = holding(cluster, FOR_EVER, deletion).await;
            let settings = vec![("AWS_ENDPOINT_URL_SQS", proxy.url())];
            let ingest = run(cluster, "ingest", settings).await;
            seen.notified().await;
            ingest
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_before_decoding_loses_nothing() {
    for seed in [31, 32] {
        survives("killed before decoding", seed, "worker", "ingest,api", async |cluster, _| {
            let (proxy, seen) = holding(cluster, FOR_EVER, is_get).await;
            let settings = vec![("LOBAR_S3_ENDPOINT", proxy.url())];
            let worker = run(cluster, "worker", settings).await;
            seen.notified().await;
            worker
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_the_network_loses_nothing() {
    for seed in [41, 42, 43] {
        survives("killed in the network", seed, "worker", "ingest,api", async |cluster, page| {
            let worker = run(cluster, "worker", Vec::new()).await;
            page.until_results(1 + seed as usize % 3).await;
            worker
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_between_the_commit_and_the_acknowledgement_doubles_nothing() {
    for seed in [51, 52] {
        survives(
            "killed before acknowledging",
            seed,
            "worker",
            "ingest,api",
            async |cluster, page| {
                // The pictures come once RabbitMQ hears nothing more of this worker.
                let (s3, seen) = holding(cluster, Duration::from_secs(3), is_get).await;
                let broker: SocketAddr = cluster.rabbitmq.address();
                let cut = Proxy::open(broker).await;
                let jobs = cluster.setting("LOBAR_JOBS");
                let through = jobs.replace(&broker.to_string(), &cut.address.to_string());
                assert_ne!(jobs, through);
                let settings = vec![("LOBAR_S3_ENDPOINT", s3.url()), ("LOBAR_JOBS", through)];
                let worker = run(cluster, "worker", settings).await;
                seen.notified().await;
                cut.set(Weather::Blackhole);
                page.until_results(1).await;
                // Its connection ends with it.
                cut.set(Weather::Down);
                worker
            },
        )
        .await;
    }
}
