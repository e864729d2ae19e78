//! A bulk upload through everything, while processes are killed at random.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_tests::kit::{BulkUpload, Lobar};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::accounts::{Account, account, until_quiet};
use super::cluster::{Cluster, Jobs};

/// What the processes are.
const FLEET: [&str; 5] = ["ingest", "ingest", "worker", "worker", "api"];

/// How a journey goes.
struct Journey {
    jobs: Jobs,
    seed: u64,
    uploads: usize,
    /// Between two kills, on average.
    kill_every: Duration,
    /// How long Redis is away in the middle.
    without_redis: Duration,
}

impl Journey {
    async fn run(self) -> Account {
        let cluster = Arc::new(Cluster::open(self.jobs).await);
        let mut fleet = start(&cluster).await;
        let page = cluster.follow();
        let client = cluster.client();
        let plan = BulkUpload::plan(self.seed, self.uploads);
        let upload = tokio::spawn(plan.run(cluster.bucket.clone()));
        let redis = tokio::spawn(outage(cluster.clone(), self.without_redis));

        let mut random = StdRng::seed_from_u64(self.seed);
        let mut kills = Vec::new();
        // Kills go on while there is work: some uploads never give a result, since another follows.
        while !redis.is_finished() || page.results().len() < self.uploads * 8 / 10 {
            tokio::time::sleep(self.kill_every.mul_f64(random.random_range(0.5..1.5))).await;
            let victim = random.random_range(0..FLEET.len());
            let one = fleet.remove(victim);
            let again = cluster.clone();
            one.kill();
            kills.push(Instant::now());
            let roles = FLEET[victim];
            let started = tokio::task::spawn_blocking(move || again.run(roles));
            fleet.insert(victim, started.await.expect("started"));
        }
        redis.await.expect("Redis is back");
        let uploaded = upload.await.expect("uploaded");
        until_quiet(&client, &uploaded).await;
        let account = account(&client, &page, &uploaded, self.uploads, &kills).await;
        println!("{} kills, {:?} through {:?}: {account:?}", kills.len(), self.seed, self.jobs);
        for process in fleet {
            assert_eq!(process.stop(), 0, "a clean stop");
        }
        account
    }
}

async fn start(cluster: &Arc<Cluster>) -> Vec<Lobar> {
    let starts = FLEET.map(|roles| {
        let cluster = cluster.clone();
        tokio::task::spawn_blocking(move || cluster.run(roles))
    });
    let mut fleet = Vec::new();
    for start in starts {
        fleet.push(start.await.expect("started"));
    }
    fleet
}

async fn outage(cluster: Arc<Cluster>, how_long: Duration) {
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.redis.stop();
    tokio::time::sleep(how_long).await;
    cluster.redis.restart().await;
}

fn assert_nothing_lost(account: &Account) {
    assert_eq!((account.lost, account.duplicated, account.unexpected), (0, 0, 0), "{account:?}");
    assert_eq!(account.acknowledged, account.attempted);
    assert!(account.slowest_recovery < Duration::from_secs(60), "{account:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_upload_survives_kills_at_random_and_redis_away() {
    let journey = Journey {
        jobs: Jobs::RabbitMq,
        seed: 1,
        uploads: 160,
        kill_every: Duration::from_secs(4),
        without_redis: Duration::from_secs(5),
    };
    assert_nothing_lost(&journey.run().await);
}

/// `cargo test --workspace --test services -- --ignored --nocapture five_thousand`: some minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; docs/benchmarks.md has its figures"]
async fn five_thousand_uploads_survive_kills_at_random_and_redis_away_for_a_minute() {
    let journey = Journey {
        jobs: Jobs::RabbitMq,
        seed: 2,
        uploads: 5_000,
        kill_every: Duration::from_secs(4),
        without_redis: Duration::from_secs(60),
    };
    let account = journey.run().await;
    assert_nothing_lost(&account);
    assert!(account.stat < account.routine, "urgent ones overtake: {account:?}");
}
