//! One image is one trace, through ingest, worker and api as processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::image::Lane;
use lobar_core::object_store::Upload;
use lobar_tests::kit::{Lobar, radiograph_jpeg};

use super::cluster::{Cluster, Jobs};
use super::collector::{Collector, Span, Table};

const ROLES: [&str; 3] = ["ingest", "worker", "api"];
const PATIENCE: Duration = Duration::from_secs(60);

/// Processes that send their spans to `otlp`.
async fn start(cluster: &Arc<Cluster>, otlp: &str) -> Vec<Lobar> {
    let starts = ROLES.map(|roles| {
        let (cluster, otlp) = (cluster.clone(), otlp.to_owned());
        let settings = move || {
            let log = "info,lobar_ingest=debug,lobar_worker=debug,lobar_api=debug".to_owned();
            [("LOBAR_OTLP", otlp), ("LOBAR_LOG_FORMAT", "json".into()), ("LOBAR_LOG", log)]
        };
        tokio::task::spawn_blocking(move || cluster.run_with(roles, &settings()))
    });
    let mut fleet = Vec::new();
    for start in starts {
        fleet.push(start.await.expect("started"));
    }
    fleet
}

/// Uploads a picture under a key with a patient's name, and with metadata that says it, and waits for its result.
async fn upload(cluster: &Cluster) -> String {
    let body = radiograph_jpeg(900, 700, 7).into();
    let key = "incoming/north/stat/DOE^JANE-19620304.jpg".to_owned();
    let said = [("patient-id", "DOE-1"), ("patient-name", "DOE%5EJANE"), ("accession", "19620304")];
    let metadata = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let metadata = metadata.into_iter().collect();
    let put = cluster.bucket.put(Upload { key, body, lane: Lane::Stat, metadata }).await;
    let id = put.expect("stored").id().to_string();
    let images = cluster.client().settled(1).await;
    assert_eq!((&images[0]["id"], &images[0]["status"]), (&id.clone().into(), &"ready".into()));
    id
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} among {spans:#?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_image_is_one_trace_from_its_notification_to_its_event() {
    let collector = Collector::start().await;
    let cluster = Arc::new(Cluster::open(Jobs::RabbitMq).await);
    let fleet = start(&cluster, &collector.url()).await;
    let id = upload(&cluster).await;
    for process in fleet {
        assert_eq!(process.stop(), 0, "a clean stop");
    }

    let all = collector.spans();
    let notification = one(&all, "notification");
    let trace: Vec<Span> =
        all.iter().filter(|span| span.trace == notification.trace).cloned().collect();
    println!("{}", Table(&trace));
    let [job, fetch, decode] = ["job", "fetch", "decode"].map(|name| one(&trace, name));
    let [infer, commit, push] = ["infer", "commit", "push"].map(|name| one(&trace, name));
    for (child, parent) in [
        (job, notification),
        (fetch, job),
        (decode, job),
        (infer, job),
        (commit, job),
        (push, commit),
    ] {
        assert_eq!(child.parent, parent.id, "{} continues {}", child.name, parent.name);
        assert!(child.began >= parent.began, "{} begins first", child.name);
    }
    assert_eq!(notification.parent, "", "nothing came before it");
    let processes = [notification, job, push].map(|span| span.roles.as_str());
    assert_eq!(processes, ROLES);
    for span in [notification, job, push] {
        assert_eq!(span.attributes["image"], id, "{span:?}");
    }
    for span in [notification, job] {
        assert_eq!((&*span.attributes["lane"], &*span.attributes["attempt"]), ("stat", "1"));
    }
    assert_eq!(
        (&*notification.attributes["queue"], &*job.attributes["queue"]),
        ("uploads", "jobs")
    );
    assert_eq!(push.attributes["state"], "ready");

    // A batch is no part of any image's trace: it is linked with each of them, and they with it.
    let batch = one(&all, "batch");
    assert_ne!(batch.trace, notification.trace);
    assert_eq!((&batch.links, &infer.links), (&vec![job.id.clone()], &vec![batch.id.clone()]));
    assert_eq!(batch.attributes["images"], "1");
    assert_eq!(batch.attributes["model"], job.attributes["model"]);

    for text in all.iter().map(|span| &span.text).chain(&cluster.logs()) {
        for personal in ["DOE", "JANE", "19620304", "incoming/"] {
            assert!(!text.contains(personal), "{personal} in {text}");
        }
    }
    let lines = cluster.logs().concat();
    let followed: Vec<_> = lines.lines().filter(|line| line.contains(&id)).collect();
    println!("{}", followed.join("\n"));
    for said in ["image admitted", "result stored", "event handed to the clients"] {
        assert_eq!(followed.iter().filter(|line| line.contains(said)).count(), 1, "{said}");
    }
    // A span lasts as long as the work that it stands for.
    assert!(job.ended >= commit.ended, "{job:?} ends after {commit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_continues_its_callers_trace_and_names_the_image() {
    let collector = Collector::start().await;
    let cluster = Arc::new(Cluster::open(Jobs::Postgres).await);
    let settings = [("LOBAR_OTLP", collector.url())];
    let (run, again) = (cluster.clone(), cluster.clone());
    let api = tokio::task::spawn_blocking(move || run.run_with("api", &settings));
    let api = api.await.expect("started");
    // Another test of this process may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/images?site=north", again.page))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body("no image")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["x-request-id"], "0af7651916cd43dd8448eb211c80319c");
    let receipt: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(api.stop(), 0, "a clean stop");
    let spans = collector.spans();
    let request = one(&spans, "request");
    assert_eq!(request.trace, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(request.parent, "b7ad6b7169203331");
    assert_eq!(request.attributes["image"], receipt["id"].as_str().expect("an id"));
    assert_eq!(request.attributes["route"], "/v1/images");
    assert_eq!((&*request.attributes["method"], &*request.attributes["status"]), ("POST", "202"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_delays_no_image_and_no_stop() {
    let cluster = Arc::new(Cluster::open(Jobs::Postgres).await);
    // It takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let otlp = format!("http://{}", silent.local_addr().expect("bound"));
    let fleet = start(&cluster, &otlp).await;
    upload(&cluster).await;
    let began = Instant::now();
    for process in fleet {
        assert_eq!(process.stop(), 0, "a clean stop");
    }
    assert!(began.elapsed() < PATIENCE, "the stop took {:?}", began.elapsed());
    let lines = cluster.logs().concat();
    let said = lines.lines().filter(|line| line.contains("spans are dropped")).count();
    assert_eq!(said, ROLES.len(), "each process says it once: {lines}");
}
