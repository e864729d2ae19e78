//! `lobar autoscale`: worker processes follow the backlog up and down, none is ended with work in its hands, and none
//! outlives its autoscaler.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_testkit::services::free_port;
use lobar_tests::kit::{BulkUpload, Lobar, answer};

use super::accounts::{account, until_quiet};
use super::cluster::{Cluster, Jobs};
use super::stops::wasted_attempts;

/// How long the processes may take to become as many as wanted: each loads its network, several at once on two cores.
const PATIENCE: Duration = Duration::from_secs(300);

/// An autoscaler that runs, and the address of its metrics.
struct Autoscaled {
    process: Lobar,
    metrics: String,
}

impl Autoscaled {
    /// At most three workers of one engine each, which are to work any backlog off in a second, and one that is not
    /// needed for two seconds goes.
    async fn start(cluster: &Arc<Cluster>) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let settings = [
            ("LOBAR_METRICS_LISTEN", listen.clone()),
            ("LOBAR_SCALE_PROCESSES", "3".into()),
            ("LOBAR_SCALE_TARGET", "1".into()),
            ("LOBAR_SCALE_CALM", "2".into()),
            ("LOBAR_REPLICAS", "1".into()),
            ("LOBAR_DEVICE", "cpu".into()),
        ];
        let cluster = cluster.clone();
        let start = move || cluster.autoscale(&settings);
        let process = tokio::task::spawn_blocking(start).await.expect("started");
        Self { process, metrics: format!("http://{listen}/metrics") }
    }

    async fn figures(&self) -> HashMap<String, f64> {
        let (_, text) = answer(&self.metrics).await.unwrap_or_default();
        let figure = |line: &str| {
            let (name, value) = line.strip_prefix("lobar_autoscale_")?.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(figure).collect()
    }

    /// Waits until so many processes run, and none is on its way out.
    async fn runs(&self, many: u32) {
        let settled = |figures: &HashMap<String, f64>| {
            let of = |state: &str| figures.get(&format!("workers{{state=\"{state}\"}}")).copied();
            (of("running"), of("draining")) == (Some(f64::from(many)), Some(0.0))
        };
        let began = Instant::now();
        loop {
            let figures = self.figures().await;
            if settled(&figures) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "not {many} workers: {figures:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The processes that it has started and that have not ended.
    fn workers(&self) -> Vec<u32> {
        children(self.process.pid())
    }
}

/// The processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("a folder").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        after_name.split(' ').nth(1) == Some(parent.to_string().as_str())
    };
    ids.filter(is_child).collect()
}

fn kill(id: u32) {
    let told = std::process::Command::new("kill").args(["-KILL", &id.to_string()]).status();
    assert!(told.expect("kill runs").success());
}

async fn until_gone(workers: &[u32]) {
    let began = Instant::now();
    while workers.iter().any(|id| std::path::Path::new(&format!("/proc/{id}")).exists()) {
        assert!(began.elapsed() < PATIENCE, "a worker outlives its autoscaler");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn run(cluster: &Arc<Cluster>, roles: &'static str) -> Lobar {
    let cluster = cluster.clone();
    tokio::task::spawn_blocking(move || cluster.run(roles)).await.expect("started")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_follow_the_backlog_up_and_down_and_none_is_ended_with_work_in_its_hands() {
    const UPLOADS: usize = 150;
    let cluster = Arc::new(Cluster::open(Jobs::RabbitMq).await);
    let _api = run(&cluster, "api").await;
    let _ingest = run(&cluster, "ingest").await;
    let page = cluster.follow();
    let autoscaled = Autoscaled::start(&cluster).await;
    autoscaled.runs(1).await;

    let uploaded = BulkUpload::plan(21, UPLOADS).run(cluster.bucket.clone()).await;
    autoscaled.runs(3).await;
    until_quiet(&cluster.client(), &uploaded).await;
    autoscaled.runs(1).await;

    let account = account(&cluster.client(), &page, &uploaded, UPLOADS, &[]).await;
    assert_eq!((account.lost, account.duplicated, account.unexpected), (0, 0, 0), "{account:?}");
    assert_eq!(wasted_attempts(&cluster).await, 0, "scale-in costs no attempt");
    let figures = autoscaled.figures().await;
    assert_eq!(figures["ends_total{how=\"crashed\"}"], 0.0, "{figures:?}");
    assert!(figures["ends_total{how=\"drained\"}"] >= 2.0, "{figures:?}");

    let workers = autoscaled.workers();
    assert_eq!(workers.len(), 1);
    let process = autoscaled.process;
    let code = tokio::task::spawn_blocking(move || process.stop()).await.expect("ended");
    assert_eq!(code, 0, "a clean stop");
    until_gone(&workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_crashes_is_started_again_and_one_without_its_autoscaler_ends() {
    let cluster = Arc::new(Cluster::open(Jobs::Postgres).await);
    let autoscaled = Autoscaled::start(&cluster).await;
    autoscaled.runs(1).await;
    let first = autoscaled.workers();
    first.iter().for_each(|id| kill(*id));
    let began = Instant::now();
    let second = loop {
        let workers = autoscaled.workers();
        if workers.len() == 1 && workers != first {
            break workers;
        }
        assert!(began.elapsed() < PATIENCE, "it is not started again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(autoscaled.figures().await["ends_total{how=\"crashed\"}"], 1.0);
    autoscaled.process.kill();
    until_gone(&second).await;
}
