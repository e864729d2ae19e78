//! SIGTERM at full load: nothing is lost, no attempt is counted, everybody leaves in time (T11).

use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_tests::kit::{BulkUpload, Lobar};
use sqlx::postgres::PgPoolOptions;

use super::accounts::{account, until_quiet};
use super::cluster::{Cluster, Jobs};

/// The drain's default and the time to notice.
const GRACE: Duration = Duration::from_secs(40);

/// Attempts that were counted beyond the first of each image.
pub async fn wasted_attempts(cluster: &Cluster) -> i64 {
    let pool = PgPoolOptions::new().max_connections(1).connect(&cluster.database.url()).await;
    let pool = pool.expect("connected");
    let wasted: i64 =
        sqlx::query_scalar("select coalesce(sum(greatest(attempts - 1, 0)), 0)::bigint from image")
            .fetch_one(&pool)
            .await
            .expect("answers");
    pool.close().await;
    wasted
}

async fn run(cluster: &Arc<Cluster>, roles: &'static str) -> Lobar {
    let cluster = cluster.clone();
    tokio::task::spawn_blocking(move || cluster.run(roles)).await.expect("started")
}

async fn stop(process: Lobar) {
    let began = Instant::now();
    let code = tokio::task::spawn_blocking(move || process.stop()).await.expect("ended");
    assert_eq!(code, 0, "a clean stop");
    assert!(began.elapsed() < GRACE, "it took {:?}", began.elapsed());
}

/// Scales workers in and out, and replaces ingest and api, while images arrive.
async fn rolling(jobs: Jobs, seed: u64) {
    const UPLOADS: usize = 120;
    let cluster = Arc::new(Cluster::open(jobs).await);
    let api = run(&cluster, "api").await;
    let page = cluster.follow();
    let ingest = run(&cluster, "ingest").await;
    let first = run(&cluster, "worker").await;
    let upload = tokio::spawn(BulkUpload::plan(seed, UPLOADS).run(cluster.bucket.clone()));

    // Each of them is told to stop with work in its hands.
    page.until_results(UPLOADS / 8).await;
    let second = run(&cluster, "worker").await;
    stop(first).await;
    page.until_results(UPLOADS / 4).await;
    stop(ingest).await;
    let ingest = run(&cluster, "ingest").await;
    stop(api).await;
    let api = run(&cluster, "api").await;
    page.until_results(UPLOADS / 2).await;
    let third = run(&cluster, "worker").await;
    stop(second).await;

    let uploaded = upload.await.expect("uploaded");
    until_quiet(&cluster.client(), &uploaded).await;
    let account = account(&cluster.client(), &page, &uploaded, UPLOADS, &[]).await;
    println!("rolling through {jobs:?}: {account:?}");
    assert_eq!((account.lost, account.duplicated, account.unexpected), (0, 0, 0), "{account:?}");
    assert_eq!(wasted_attempts(&cluster).await, 0, "scale-in costs no attempt");
    for process in [third, ingest, api] {
        stop(process).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_can_be_replaced_under_load_with_jobs_on_rabbitmq() {
    rolling(Jobs::RabbitMq, 11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_can_be_replaced_under_load_with_jobs_on_sqs() {
    rolling(Jobs::Sqs, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_can_be_replaced_under_load_with_jobs_in_postgres() {
    rolling(Jobs::Postgres, 13).await;
}
