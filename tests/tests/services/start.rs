//! A start that finds a service away.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lobar_testkit::services::free_port;
use lobar_testkit::services::postgres;
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_tests::kit::{answer, node_executable};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ended with the test, also when that fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until(url: &str, reached: impl Fn(u16, &str) -> bool) {
    let began = Instant::now();
    loop {
        let answered = answer(url).await;
        if answered.as_ref().is_some_and(|(status, text)| reached(*status, text)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{url} says {answered:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_a_database_that_is_away_live_and_not_ready_and_says_so() {
    let cluster = postgres::Cluster::shared().await;
    let database = cluster.database();
    let proxy = Proxy::open(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).await;
    proxy.set(Weather::Down);
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("log");
    let health = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(node_executable());
    command
        .args(["run", "--roles", "s3,ingest,api", "--signal", "poll:", "--listen", "127.0.0.1:0"])
        .args(["--s3-listen", "127.0.0.1:0", "--metrics-listen", &health, "--data"])
        .arg(dir.path().join("data"))
        .env("LOBAR_STORE", database.url_through(proxy.address.port()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a log"));
    let mut process = Process(command.spawn().expect("starts"));

    let [live, ready] = ["livez", "readyz"].map(|path| format!("http://{health}/{path}"));
    until(&ready, |status, text| status == 503 && text.contains("waits for a service")).await;
    assert_eq!(answer(&live).await.expect("it answers").0, 200);
    let metrics = format!("http://{health}/metrics");
    until(&metrics, |_, text| text.contains("lobar_ready{check=\"start\"} 0")).await;
    let began = Instant::now();
    loop {
        let told = std::fs::read_to_string(&log).expect("readable");
        if told.contains("start: a service does not answer") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    proxy.set(Weather::Fair);
    until(&ready, |status, _| status == 200).await;

    let id = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("runs").success());
    assert!(process.0.wait().expect("ends").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_waits_can_be_stopped() {
    let cluster = postgres::Cluster::shared().await;
    let database = cluster.database();
    let proxy = Proxy::open(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).await;
    proxy.set(Weather::Down);
    let dir = tempfile::tempdir().expect("a folder");
    let health = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(node_executable());
    command
        .args(["run", "--roles", "api", "--signal", "poll:", "--listen", "127.0.0.1:0"])
        .args(["--metrics-listen", &health, "--data"])
        .arg(dir.path().join("data"))
        .env("LOBAR_STORE", database.url_through(proxy.address.port()))
        .env("LOBAR_S3_ENDPOINT", "http://127.0.0.1:9")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut process = Process(command.spawn().expect("starts"));
    until(&format!("http://{health}/readyz"), |status, _| status == 503).await;
    let id = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("runs").success());
    assert!(process.0.wait().expect("ends").success());
}
