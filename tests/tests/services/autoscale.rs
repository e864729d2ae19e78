//! `lobar autoscale`: worker processes follow the backlog up and down, none is ended with work in its hands, and none
//! outlives its autoscaler.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use lobar_tests::kit::{BulkUpload, Lobar, answer, workspace};

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
        Self::start_with(cluster, [3, 1, 2]).await
    }

    /// With so many workers at most, seconds for a backlog, and seconds until one that is not needed goes.
    async fn start_with(cluster: &Arc<Cluster>, [processes, target, calm]: [u32; 3]) -> Self {
        let listen = format!("127.0.0.1:{}", ports_in_a_row(processes + 1));
        let settings = [
            ("LOBAR_METRICS_LISTEN", listen.clone()),
            ("LOBAR_SCALE_PROCESSES", processes.to_string()),
            ("LOBAR_SCALE_TARGET", target.to_string()),
            ("LOBAR_SCALE_CALM", calm.to_string()),
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

/// The first of so many free ports in a row: the workers tell of themselves at those after the autoscaler's. Below those that
/// the system gives out by itself (from 32768 on), of which other tests take one after the other.
fn ports_in_a_row(many: u32) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let many = u16::try_from(many).expect("a few");
    let from = (std::process::id() % 200) as u16 * 100;
    let first = || 11_000 + (from + NEXT.fetch_add(many, Ordering::Relaxed)) % 20_000;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut blocks = std::iter::repeat_with(first).take(1_000);
    let free = blocks.find(|first| (*first..first + many).all(is_free));
    free.expect("ports in a row that nobody uses")
}

/// What the processes said of their errors.
fn errors(cluster: &Cluster) -> Vec<String> {
    let logs = cluster.logs();
    let lines = logs
        .iter()
        .flat_map(|log| log.lines())
        .filter(|line| line.to_lowercase().contains("error"));
    lines.map(str::to_owned).collect()
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
    assert_eq!(figures["ends_total{how=\"crashed\"}"], 0.0, "{figures:?}: {:?}", errors(&cluster));
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

/// A second of the measurement.
struct Sample {
    second: f64,
    unfinished: f64,
    wanted: f64,
    running: f64,
    draining: f64,
}

impl Sample {
    async fn take(second: f64, cluster: &Cluster, autoscaled: &Autoscaled) -> Self {
        let queues = cluster.client().get("/v1/queues").await;
        let of_lane = |lane: &str| queues["lanes"][lane]["unfinished"].as_f64().unwrap_or(0.0);
        let figures = autoscaled.figures().await;
        let of = |state: &str| {
            figures.get(&format!("workers{{state=\"{state}\"}}")).copied().unwrap_or(0.0)
        };
        let unfinished = of_lane("stat") + of_lane("routine");
        let (wanted, running, draining) = (of("wanted"), of("running"), of("draining"));
        Self { second, unfinished, wanted, running, draining }
    }
}

/// 3,000 images and one to four workers, with a plot of both.
///
/// `cargo test --workspace --test services -- --ignored --nocapture one_to_four`, with `LOBAR_BIN` a release build
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of some minutes; docs/autoscaling.md has its plot"]
async fn three_thousand_images_move_one_to_four_workers() {
    const UPLOADS: usize = 3_000;
    let cluster = Arc::new(Cluster::open(Jobs::RabbitMq).await);
    let _api = run(&cluster, "api").await;
    let _ingest = run(&cluster, "ingest").await;
    let page = cluster.follow();
    let autoscaled = Autoscaled::start_with(&cluster, [4, 20, 20]).await;
    autoscaled.runs(1).await;

    let began = Instant::now();
    let upload = tokio::spawn(BulkUpload::plan(31, UPLOADS).run(cluster.bucket.clone()));
    let mut samples = Vec::new();
    let is_over = |samples: &[Sample]| {
        let last: Vec<&Sample> = samples.iter().rev().take(10).collect();
        last.len() == 10
            && last.iter().all(|it| (it.unfinished, it.running, it.draining) == (0.0, 1.0, 0.0))
    };
    while !(upload.is_finished() && is_over(&samples)) {
        let second = began.elapsed().as_secs_f64();
        assert!(second < 900.0, "it does not come to rest");
        samples.push(Sample::take(second, &cluster, &autoscaled).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let uploaded = upload.await.expect("uploaded");
    until_quiet(&cluster.client(), &uploaded).await;
    let account = account(&cluster.client(), &page, &uploaded, UPLOADS, &[]).await;
    let figures = autoscaled.figures().await;
    println!("{account:?}\n{figures:?}");
    assert_eq!((account.lost, account.duplicated, account.unexpected), (0, 0, 0), "{account:?}");
    assert_eq!(wasted_attempts(&cluster).await, 0, "scale-in costs no attempt");
    assert_eq!(figures["ends_total{how=\"crashed\"}"], 0.0, "{figures:?}: {:?}", errors(&cluster));
    let most = samples.iter().map(|sample| sample.running).fold(0.0, f64::max);
    assert_eq!(most, 4.0, "workers at once");
    std::fs::write(workspace().join("docs/pictures/autoscale.svg"), plot(&samples))
        .expect("written");
}

/// Two curves above each other: what is unfinished, and the workers.
fn plot(samples: &[Sample]) -> String {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 150.0;
    let end = samples.last().map_or(1.0, |sample| sample.second);
    let most = samples.iter().map(|sample| sample.unfinished).fold(1.0, f64::max);
    let curve = |top: f64, most: f64, style: &str, of: &dyn Fn(&Sample) -> f64| {
        let points = samples.iter().map(|sample| {
            let x = 60.0 + sample.second / end * WIDTH;
            format!("{x:.1},{:.1}", top + HEIGHT - of(sample) / most * HEIGHT)
        });
        let points = points.collect::<Vec<_>>().join(" ");
        format!("<polyline fill=\"none\" {style} points=\"{points}\"/>\n")
    };
    let label = |x: f64, y: f64, text: &str| format!("<text x=\"{x}\" y=\"{y}\">{text}</text>\n");
    let frame = |top: f64| {
        format!(
            "<rect x=\"60\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#999\"/>\n"
        )
    };
    let mut svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 400\" font-family=\"sans-serif\" \
        font-size=\"12\">\n<rect width=\"800\" height=\"400\" fill=\"white\"/>\n"
        .to_owned();
    svg += &(frame(24.0) + &frame(210.0));
    svg += &label(60.0, 16.0, &format!("images that are not finished (most: {most})"));
    svg += &label(60.0, 202.0, "workers of 4: wanted (dashed), running, draining (red)");
    svg += &label(60.0, 380.0, "0 s");
    svg += &label(60.0 + WIDTH - 40.0, 380.0, &format!("{end:.0} s"));
    svg += &curve(24.0, most, "stroke=\"#1f5fa8\" stroke-width=\"2\"", &|it| it.unfinished);
    svg += &curve(210.0, 4.0, "stroke=\"#777\" stroke-dasharray=\"4 3\"", &|it| it.wanted);
    svg += &curve(210.0, 4.0, "stroke=\"#1f5fa8\" stroke-width=\"2\"", &|it| it.running);
    svg += &curve(210.0, 4.0, "stroke=\"#b3261e\"", &|it| it.draining);
    svg + "</svg>\n"
}
