//! A rolling upgrade: an earlier release and this one at work on the same queues and the same database, role by role,
//! there and back and there again, while images arrive (T15).
//!
//! `OLD_LOBAR_BIN=/path/to/an/earlier/lobar cargo test --workspace --test services -- --ignored --nocapture upgraded`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lobar_tests::kit::{BulkUpload, Follower, Lobar, Uploaded, executable};

use super::accounts::{account, until_quiet};
use super::cluster::{Cluster, Jobs};

/// PUTs of each of the three phases.
const UPLOADS: usize = 60;
/// In the order in which a release is rolled out: who reads goes before who writes.
const ROLES: [&str; 3] = ["worker", "ingest", "api"];

/// The executable of an earlier release.
fn old_executable() -> PathBuf {
    let path = std::env::var_os("OLD_LOBAR_BIN").expect("OLD_LOBAR_BIN names an earlier release");
    let path = PathBuf::from(path);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

async fn start(cluster: &Arc<Cluster>, executable: &Path, roles: &'static str) -> Lobar {
    let (cluster, executable) = (cluster.clone(), executable.to_owned());
    let started = tokio::task::spawn_blocking(move || cluster.run_as(&executable, roles, &[]));
    started.await.expect("started")
}

async fn stop(process: Lobar) {
    let code = tokio::task::spawn_blocking(move || process.stop()).await.expect("ended");
    assert_eq!(code, 0, "a clean stop");
}

/// Puts `to` in the place of what runs, a role at a time, while images arrive. A worker and its successor work side by
/// side for a while; an api has its address alone.
async fn roll(
    cluster: &Arc<Cluster>,
    fleet: &mut Vec<Lobar>,
    to: &Path,
    seed: u64,
) -> Vec<Uploaded> {
    let page = Follower::follow_through_resets(&cluster.page);
    let known = cluster.client().images().await.len();
    let upload = tokio::spawn(BulkUpload::plan(seed, UPLOADS).run(cluster.bucket.clone()));
    for (n, role) in ROLES.into_iter().enumerate() {
        page.until_results(known * 8 / 10 + UPLOADS * (n + 1) / 6).await;
        let before = fleet.remove(0);
        if role == "api" {
            stop(before).await;
            fleet.push(start(cluster, to, role).await);
            continue;
        }
        let successor = start(cluster, to, role).await;
        page.until_results(known * 8 / 10 + UPLOADS * (n + 2) / 6).await;
        stop(before).await;
        fleet.push(successor);
    }
    upload.await.expect("uploaded")
}

async fn upgraded_and_rolled_back(jobs: Jobs, seed: u64) {
    let (old, new) = (old_executable(), executable());
    let cluster = Arc::new(Cluster::open_empty(jobs).await);
    let mut fleet = Vec::new();
    for role in ROLES {
        fleet.push(start(&cluster, &old, role).await);
    }
    let schema = || cluster.database.sql("select max(version) from _sqlx_migrations");
    let before = tokio::task::block_in_place(schema);
    // A position of this release says more than earlier ones know: a rollback gives a reset.
    let page = Follower::follow_through_resets(&cluster.page);
    let mut uploaded: Vec<Uploaded> = Vec::new();
    for (n, release) in [&new, &old, &new].into_iter().enumerate() {
        let more = roll(&cluster, &mut fleet, release, seed + n as u64).await;
        uploaded.extend(more);
        until_quiet(&cluster.client(), &uploaded).await;
    }
    let after = tokio::task::block_in_place(schema);
    let account = account(&cluster.client(), &page, &uploaded, 3 * UPLOADS, &[]).await;
    println!(
        "upgraded, rolled back and upgraded through {jobs:?}, schema {before} to {after}: attempted {}, \
         acknowledged {}, lost {}, duplicated {}, recovered 0, unexpected {}",
        account.attempted,
        account.acknowledged,
        account.lost,
        account.duplicated,
        account.unexpected
    );
    assert_eq!((account.lost, account.duplicated, account.unexpected), (0, 0, 0), "{account:?}");
    let shown = page.results();
    for image in cluster.client().images().await {
        let is_shown = shown.contains_key(image["id"].as_str().expect("an id"));
        assert!(is_shown || image["status"] == "superseded", "the page never saw {image}");
    }
    for process in fleet {
        stop(process).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an earlier release; docs/reliability.md has its counters"]
async fn a_release_is_upgraded_and_rolled_back_under_load_with_jobs_on_rabbitmq() {
    upgraded_and_rolled_back(Jobs::RabbitMq, 101).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an earlier release; docs/reliability.md has its counters"]
async fn a_release_is_upgraded_and_rolled_back_under_load_with_jobs_in_postgres() {
    upgraded_and_rolled_back(Jobs::Postgres, 111).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an earlier release; docs/reliability.md has its counters"]
async fn a_release_is_upgraded_and_rolled_back_under_load_with_jobs_on_sqs() {
    upgraded_and_rolled_back(Jobs::Sqs, 121).await;
}
