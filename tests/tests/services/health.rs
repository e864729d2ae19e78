//! Each service away, frozen or refusing: the processes that need it are not ready and say which it is, no figure of it is
//! shown, and all is well again once it is back. With a real Prometheus on the product's own rules: which alert fires, after
//! how long, and that it clears.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lobar_testkit::services::free_port;
use lobar_testkit::services::postgres;
use lobar_testkit::services::prometheus::Prometheus;
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_tests::kit::{Lobar, answer};

use super::cluster::{Cluster, Jobs};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A service, what it is called in checks, and who is not ready without it.
struct Service {
    name: &'static str,
    proxy: Proxy,
    /// The checks that turn red, by role.
    needed: &'static [(&'static str, &'static str)],
    /// What `lobar_dependency_up` calls it.
    dependency: &'static str,
}

/// Every role as a process, with a proxy in front of each service.
struct Site {
    _cluster: Cluster,
    processes: Vec<Lobar>,
    /// Where each answers for its health, by role.
    health: Vec<(&'static str, String)>,
    services: Vec<Service>,
}

impl Site {
    async fn open() -> Self {
        let cluster = Cluster::open(Jobs::RabbitMq).await;
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let database = Proxy::open(local(postgres::Cluster::shared().await.port())).await;
        let rabbitmq = Proxy::open(cluster.rabbitmq.address()).await;
        let amazon = Proxy::open(local(cluster.s3.port)).await;
        let redis = Proxy::open(cluster.redis.address).await;
        let jobs = cluster.setting("LOBAR_JOBS");
        let prefix = jobs.split_once('?').expect("a prefix").1.to_owned();
        let aws = format!("http://{}", amazon.address);
        let settings = [
            ("LOBAR_STORE", cluster.database.url_through(database.address.port())),
            ("LOBAR_JOBS", format!("{}?{prefix}", cluster.rabbitmq.url_through(rabbitmq.address))),
            ("LOBAR_SIGNAL", format!("redis://{}/0", redis.address)),
            ("LOBAR_S3_ENDPOINT", aws.clone()),
            ("AWS_ENDPOINT_URL_SQS", aws),
        ];
        let (mut processes, mut health) = (Vec::new(), Vec::new());
        for role in ["api", "ingest", "worker"] {
            let listen = format!("127.0.0.1:{}", free_port());
            let mut settings = settings.to_vec();
            settings.push(("LOBAR_METRICS_LISTEN", listen.clone()));
            processes.push(cluster.run_with(role, &settings));
            health.push((role, format!("http://{listen}")));
        }
        let service = |name, proxy, dependency, needed| Service { name, proxy, needed, dependency };
        let services = vec![
            service(
                "PostgreSQL",
                database,
                "store",
                &[("api", "store"), ("ingest", "store"), ("worker", "store")],
            ),
            service("RabbitMQ", rabbitmq, "jobs", &[("ingest", "jobs"), ("worker", "jobs")]),
            service(
                "S3 and SQS",
                amazon,
                "uploads",
                &[("ingest", "uploads"), ("worker", "bucket"), ("api", "bucket")],
            ),
            service("Redis", redis, "signal", &[]),
        ];
        Self { _cluster: cluster, processes, health, services }
    }

    fn url(&self, role: &str, path: &str) -> String {
        let found = self.health.iter().find(|(one, _)| *one == role).expect("a role");
        format!("{}{path}", found.1)
    }

    /// Waits until every process is ready.
    async fn until_ready(&self) {
        for (role, _) in &self.health {
            until(&self.url(role, "/readyz"), "it is ready", |status, _| status == 200).await;
        }
    }

    async fn stop(self) {
        for process in self.processes {
            assert_eq!(process.stop(), 0, "a clean stop");
        }
    }
}

impl Service {
    /// Waits until all who need it say that it is away.
    async fn until_told(&self, site: &Site) {
        for (role, check) in self.needed {
            let red = format!("\"{check}\":{{\"ok\":false");
            let url = site.url(role, "/readyz");
            until(&url, &red, |status, text| status == 503 && text.contains(&red)).await;
            let gauge = format!("lobar_ready{{check=\"{check}\"}} 0");
            until(&site.url(role, "/metrics"), &gauge, |_, text| text.contains(&gauge)).await;
            let (live, _) = answer(&site.url(role, "/livez")).await.expect("it answers");
            assert_eq!(live, 200, "{role}: a restart brings no service back");
        }
        let gauge = format!("lobar_dependency_up{{dependency=\"{}\"}} 0", self.dependency);
        until(&site.url("api", "/metrics"), &gauge, |_, text| text.contains(&gauge)).await;
    }
}

/// Asks again until the answer is this.
async fn until(url: &str, what: &str, reached: impl Fn(u16, &str) -> bool) {
    let began = Instant::now();
    loop {
        let answered = answer(url).await;
        if answered.as_ref().is_some_and(|(status, text)| reached(*status, text)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}; {url} says {answered:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// No series of a metric is shown.
fn is_absent(text: &str, metric: &str) -> bool {
    !text.lines().any(|line| line.starts_with(metric))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_service_turns_those_who_need_it_red_and_none_of_its_figures_stays() {
    let site = Site::open().await;
    site.until_ready().await;
    let metrics = site.url("api", "/metrics");
    let oldest = "lobar_oldest_unfinished_seconds{";
    until(&metrics, "figures are shown", |_, text| !is_absent(text, oldest)).await;
    for service in &site.services {
        service.proxy.set(Weather::Blackhole);
        service.until_told(&site).await;
        match service.dependency {
            "store" => {
                for metric in [oldest, "lobar_images{", "lobar_workers_wanted", "lobar_quarantined"]
                {
                    until(&metrics, metric, |_, text| is_absent(text, metric)).await;
                }
            }
            "jobs" => {
                let unknown = "lobar_queue_depth{lane=\"stat\",queue=\"jobs\"} NaN";
                until(&metrics, unknown, |_, text| text.contains(unknown)).await;
            }
            "signal" => until(&metrics, "NaN", |_, text| text.contains("lobar_workers NaN")).await,
            _ => {}
        }
        service.proxy.set(Weather::Fair);
        service.proxy.cut();
        site.until_ready().await;
        let gauge = format!("lobar_dependency_up{{dependency=\"{}\"}} 1", service.dependency);
        until(&metrics, &gauge, |_, text| text.contains(&gauge)).await;
    }
    until(&metrics, "figures are back", |_, text| !is_absent(text, oldest)).await;
    site.stop().await;
}

/// In which states an alert is, for any process: `pending`, `firing`; none where all is well.
async fn states(prometheus: &Prometheus, alert: &str, label: &str) -> Vec<String> {
    let query = format!("ALERTS{{alertname=\"{alert}\",{label}}}");
    let alerts = prometheus.query(&query).await;
    let state = |it: &serde_json::Value| it["metric"]["alertstate"].as_str().map(str::to_owned);
    alerts.iter().filter_map(state).collect()
}

/// Waits until an alert is in such states, and answers how many seconds that took.
async fn seconds_until(
    prometheus: &Prometheus,
    (alert, label): (&str, &str),
    reached: impl Fn(&[String]) -> bool,
) -> u64 {
    let began = Instant::now();
    loop {
        let now = states(prometheus, alert, label).await;
        if reached(&now) {
            return began.elapsed().as_secs();
        }
        assert!(began.elapsed() < 2 * PATIENCE, "{alert} of {label} is {now:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a quarter of an hour, since alerts wait before they fire"]
async fn each_service_that_is_stopped_frozen_or_slow_raises_its_alert_which_clears() {
    let site = Site::open().await;
    site.until_ready().await;
    let targets: Vec<(String, String)> =
        site.health.iter().map(|(role, url)| (format!("lobar-{role}"), url.clone())).collect();
    let targets: Vec<(&str, &str)> =
        targets.iter().map(|(job, url)| (job.as_str(), url.as_str())).collect();
    let prometheus = Prometheus::scraping(&targets).await;
    let weathers = [
        ("stopped", Weather::Down),
        ("frozen", Weather::Blackhole),
        ("slow", Weather::Slow(Duration::from_secs(15))),
    ];
    println!("| service | how | alert | fires after | clears after |\n|---|---|---|---|---|");
    for service in &site.services {
        let alert = match service.dependency {
            "signal" => "LobarSignalAway",
            _ => "LobarDependencyAway",
        };
        let label = match alert {
            "LobarSignalAway" => "severity=\"warning\"".to_owned(),
            _ => format!("dependency=\"{}\"", service.dependency),
        };
        let alert = (alert, label.as_str());
        for (how, weather) in weathers {
            service.proxy.set(weather);
            let fires = |states: &[String]| states.iter().any(|state| state == "firing");
            let fired = seconds_until(&prometheus, alert, fires).await;
            service.proxy.set(Weather::Fair);
            service.proxy.cut();
            // Of every process, and nobody waits to fire either.
            let cleared = seconds_until(&prometheus, alert, <[String]>::is_empty).await;
            println!("| {} | {how} | `{}` | {fired} s | {cleared} s |", service.name, alert.0);
            site.until_ready().await;
        }
    }
    site.stop().await;
}
