//! Whether the executable tells the truth about itself: quarantine from the command line, the way of an upload probed,
//! readiness while what lies on the disk is damaged, and liveness while its threads stand still.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use lobar_core::queue::{Outgoing, Settlement};
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use lobar_testkit::services::free_port;
use lobar_tests::kit::{Client, Lobar, answer, executable, radiograph_jpeg};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A system without a worker, and the command line beside it.
struct Site {
    lobar: Lobar,
    folder: tempfile::TempDir,
}

impl Site {
    fn open(roles: &str) -> Self {
        Self::open_with(roles, &[])
    }

    fn open_with(roles: &str, further: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = [&["run", "--signal", "poll:", "--roles", roles], further].concat();
        let lobar = Lobar::start(&executable(), &arguments, &folder.path().join("data"));
        Self { lobar, folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let s3 = self.lobar.s3.trim_start_matches("http://");
        Command::new(executable())
            .args(arguments)
            .args(["--s3-listen", s3, "--data"])
            .arg(self.data())
            .env("USER", "ada")
            .output()
            .expect("it runs")
    }

    /// What `lobar quarantine` answers to a program.
    fn quarantine(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["quarantine"], arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// What `lobar doctor` finds, by what it looked at.
    fn doctor(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(
            &[&["doctor", "--roles", "s3,ingest,api", "--signal", "poll:", "--json"], arguments]
                .concat(),
        );
        let lines = String::from_utf8(output.stdout).expect("UTF-8");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.data().with_extension("log")).expect("a log")
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Status and body of a GET.
async fn get(url: &str) -> (u16, String) {
    answer(url).await.expect("an answer")
}

/// Asks again until the answer is this, and gives it.
async fn until(url: &str, what: &str, reached: impl Fn(u16, &str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let (status, body) = answer(url).await.unwrap_or((0, "no answer".to_owned()));
        if reached(status, &body) {
            return body;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}; {url} says {status} {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_another_bucket_are_told_of_and_the_command_line_lists_shows_and_replays_them() {
    let site = Site::open("s3,ingest,api");
    let record = json!({ "eventVersion": "2.1", "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "xray" },
        "object": { "key": "incoming/north/Doe_Jane.jpg", "versionId": "1", "size": 1 } } });
    let message = json!({ "Records": [record] }).to_string();
    let opener = Opener::new(Arc::new(SystemClock));
    let url = format!("sqlite:{}", site.data().join("queues.db").display());
    let url = url.parse().expect("a queue's URL");
    let queue = opener.queue("uploads", &url, "uploads").await.expect("the queue");
    assert!(queue.send(vec![Outgoing::now(message)]).await[0].is_ok());

    let metrics = format!("{}/metrics", site.lobar.page);
    let waiting = "lobar_quarantined{reason=\"wrong_source\"} 1\n";
    until(&metrics, "it is counted", |_, text| text.contains(waiting)).await;
    let began = Instant::now();
    loop {
        let log = site.log();
        if log.contains("LOBAR_BUCKET") && log.contains("lobar quarantine") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{log}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let list = site.quarantine(&["list"]);
    let item = &list["items"][0];
    assert_eq!(
        (&item["reason"], &list["waiting"]["wrong_source"]),
        (&json!("wrong_source"), &json!(1))
    );
    let id = item["id"].to_string();
    let shown = site.quarantine(&["show", &id]);
    assert!(shown["message"].as_str().is_some_and(|text| text.contains("Doe_Jane")), "{shown}");

    // Nothing is mended yet, so it comes back as another entry.
    let replayed = site.quarantine(&["replay", "--reason", "wrong_source"]);
    assert_eq!(replayed["items"][0]["changed_by"], "ada");
    let page = format!("{}/v1/quarantine", site.lobar.page);
    let again =
        until(&page, "it comes back", |_, text| text.contains("\"state\":\"waiting\"")).await;
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_ne!(again["items"][0]["id"].to_string(), id);
    assert_eq!(again["items"].as_array().map(Vec::len), Some(1));
    let advice = site.doctor(&[]);
    let of_quarantine = advice.iter().find(|one| one["what"] == "quarantine").expect("looked at");
    assert_eq!(of_quarantine["verdict"], "advice");

    let discarded = site.quarantine(&["discard", "--all"]);
    assert_eq!(discarded["items"].as_array().map(Vec::len), Some(1));
    let none = "lobar_quarantined{reason=\"wrong_source\"} 0\n";
    let told = until(&metrics, "none waits", |_, text| text.contains(none)).await;
    for text in [site.log(), told, site.quarantine(&["list", "--all"]).to_string()] {
        assert!(!text.contains("Doe"), "a key stands in: {text}");
    }
    let refused = site.run(&["quarantine", "replay", &again["items"][0]["id"].to_string()]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let wrong = site.run(&["quarantine", "replay"]);
    assert_eq!(wrong.status.code(), Some(2), "which is not said: {}", said(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_put_back_by_command_and_that_is_on_record() {
    let site = Site::open("s3,ingest,api");
    let opener = Opener::new(Arc::new(SystemClock));
    let url = format!("sqlite:{}", site.data().join("queues.db").display());
    let url = url.parse().expect("a queue's URL");
    let queue = opener.queue("jobs", &url, "jobs-stat").await.expect("the queue");
    assert!(queue.send(vec![Outgoing::now("of Doe_Jane"); 3]).await.iter().all(Result::is_ok));
    let lease = Duration::from_secs(60);
    let taken = queue.receive(2, Duration::ZERO, lease).await.expect("received");
    let dead = Settlement::Dead { reason: "nobody reads this".into() };
    let ends = taken.into_iter().map(|one| (one.receipt, dead.clone())).collect();
    assert!(queue.settle(ends).await.iter().all(Result::is_ok));

    let ask = |arguments: &[&str]| -> Value {
        let output = site.run(&[&["queue"], arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    };
    let of_stat = |list: Value| {
        (list["queues"]["stat"]["ready"].clone(), list["queues"]["stat"]["dead"].clone())
    };
    assert_eq!(of_stat(ask(&["list"])), (json!(1), json!(2)));
    let told = ask(&["dead", "stat", "--limit", "1"]);
    assert_eq!(told["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(told["items"][0]["reason"], "nobody reads this");
    assert!(!told.to_string().contains("Doe"), "only where it is asked for: {told}");
    assert!(said(&site.run(&["queue", "dead", "stat"])).contains("nobody reads this"));
    assert_eq!(ask(&["dead", "stat", "--bodies"])["items"][0]["message"], "of Doe_Jane");

    assert_eq!(ask(&["redrive", "stat", "--limit", "1"])["redriven"], 1);
    assert_eq!(ask(&["redrive", "stat"])["redriven"], 1);
    assert_eq!(ask(&["redrive", "stat"])["redriven"], 0, "again is no error");
    assert_eq!(of_stat(ask(&["list"])), (json!(3), json!(0)));
    let record = said(&site.run(&["audit", "export"]));
    for word in ["queue_viewed", "queue_changed"] {
        assert!(record.contains(word), "{record}");
    }
    assert!(!record.contains("Doe"), "{record}");
    opener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_an_image_is_told_by_command_without_its_key_and_that_is_on_record() {
    let site = Site::open("s3,ingest,api");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let picture = radiograph_jpeg(300, 300, 1);
    let head =
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"Doe_Jane.jpg\"\r\n\r\n";
    let body = [head.as_bytes(), picture.as_slice(), b"\r\n--b--\r\n"].concat();
    let upload = reqwest::Client::new().post(format!("{}/v1/images", site.lobar.page));
    let upload = upload.header("content-type", "multipart/form-data; boundary=b").body(body);
    let sent = upload.send().await.expect("an answer");
    let receipt: Value = sent.json().await.expect("JSON");
    let id = receipt["id"].as_str().expect("an id").to_owned();
    let page = format!("{}/v1/images/{id}", site.lobar.page);
    until(&page, "it is admitted", |status, _| status == 200).await;
    let output = site.run(&["image", &id, "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let story: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&story["state"], &story["attempts"]), (&json!("queued"), &json!(0)));
    assert_eq!(story["events"][0]["what"], "queued");
    let told = said(&site.run(&["image", &id]));
    assert!(told.contains("not finished for") && told.contains("queued"), "{told}");
    for text in [story.to_string(), told] {
        assert!(!text.contains("Doe"), "a key stands in: {text}");
    }
    let nobody = site.run(&["image", "00000000-0000-0000-0000-000000000000"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(said(&nobody).contains("knows no image"), "{}", said(&nobody));
    let record = said(&site.run(&["audit", "export"]));
    assert!(record.contains("queue_viewed") && record.contains(&id), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_an_upload_is_probed_and_nothing_stays_of_it() {
    let site = Site::open("s3,ingest,api");
    let probe = "probe: from the bucket to ingest";
    let found = site.doctor(&["--probe"]);
    let of = |found: &[Value]| found.iter().find(|one| one["what"] == probe).cloned();
    assert_eq!(of(&found).expect("probed")["verdict"], "good", "{found:?}");
    assert!(of(&site.doctor(&[])).is_none(), "only where it is asked for");
    let removed = "lobar_ingest_records_total{kind=\"probe_removed\"} 1";
    let metrics = format!("{}/metrics", site.lobar.page);
    until(&metrics, "its removal is heard of", |_, text| text.contains(removed)).await;
    assert!(Client::new(&site.lobar.page).images().await.is_empty(), "no image came of it");
    let (_, quarantine) = get(&format!("{}/v1/quarantine?all=true", site.lobar.page)).await;
    assert!(quarantine.contains("\"items\":[]"), "{quarantine}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_no_ingest_hears_of_is_a_fault() {
    let site = Site::open("s3,api");
    let output = site.run(&[
        "doctor",
        "--roles",
        "s3,api",
        "--signal",
        "poll:",
        "--probe",
        "--probe-patience",
        "1",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("ingest has not heard of it"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_that_cannot_write_or_read_turns_readiness_red_and_its_gauge_with_it() {
    let site = Site::open("s3,ingest,api");
    let ready = format!("{}/readyz", site.lobar.page);
    let metrics = format!("{}/metrics", site.lobar.page);
    until(&ready, "it is ready", |status, _| status == 200).await;
    let objects = site.data().join("objects");
    let (bodies, aside) = (objects.join("bodies"), objects.join("aside"));
    let red = "\"s3\":{\"ok\":false";
    std::fs::rename(&bodies, &aside).expect("renamed");
    until(&ready, "no body can be written", |status, text| status == 503 && text.contains(red))
        .await;
    for gauge in ["lobar_ready{check=\"s3\"} 0", "lobar_dependency_up{dependency=\"s3\"} 0"] {
        until(&metrics, "the gauge says so", |_, text| text.contains(gauge)).await;
    }
    let (live, _) = get(&format!("{}/livez", site.lobar.page)).await;
    assert_eq!(live, 200, "a restart would not help");
    std::fs::rename(&aside, &bodies).expect("renamed");
    until(&ready, "and all is well again", |status, _| status == 200).await;

    for file in ["objects.db", "objects.db-wal"] {
        let path = objects.join(file);
        let length = std::fs::metadata(&path).map_or(0, |it| it.len());
        let garbage = vec![0xa5; usize::try_from(length).expect("small")];
        std::fs::write(path, garbage).expect("damaged");
    }
    until(&ready, "the damage is told of", |status, text| status == 503 && text.contains(red))
        .await;
}

/// Stops every thread of the runtime on which roles work, until the answer is dropped or told to.
fn freeze_runtime(process: u32) -> SyncSender<()> {
    let (thaw, thawed) = sync_channel::<()>(1);
    let (frozen, is_frozen) = sync_channel(1);
    // Whoever stops a thread must be the one that lets it go on.
    std::thread::spawn(move || {
        let mut stopped = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads") {
            let entry = entry.expect("a thread");
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if name.starts_with("tokio-r") {
                let id = entry.file_name().to_string_lossy().parse().expect("a number");
                let thread = Pid::from_raw(id);
                ptrace::attach(thread).expect("attached");
                waitpid(thread, Some(WaitPidFlag::__WALL)).expect("stopped");
                stopped.push(thread);
            }
        }
        frozen.send(stopped.len()).expect("the test waits");
        let _ = thawed.recv();
        for thread in stopped {
            let _ = ptrace::detach(thread, None);
        }
    });
    let threads = is_frozen.recv().expect("frozen");
    assert!(threads > 0, "no thread of the runtime was found");
    thaw
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_stands_still_is_neither_live_nor_ready_and_both_once_it_goes_on() {
    let figures = format!("127.0.0.1:{}", free_port());
    let site = Site::open_with("s3,ingest,api", &["--metrics-listen", &figures]);
    let url = |path: &str| format!("{}{path}", site.lobar.page);
    until(&url("/readyz"), "it is ready", |status, _| status == 200).await;
    assert_eq!(get(&url("/livez")).await.0, 200);
    assert_eq!(get(&url("/metrics")).await.0, 200, "they were read before");
    let thaw = freeze_runtime(site.lobar.pid());
    // Their last turns were not at the same moment, so they are not told of at the same moment either.
    until(&url("/livez"), "none of the three is live", |status, text| {
        status == 503
            && ["ingest", "api", "s3"].iter().all(|role| text.contains(&format!("\"{role}\"")))
    })
    .await;
    assert_eq!(get(&url("/readyz")).await.0, 503);
    // At the api's own address they are for who may see queues: whoever was known not long ago.
    for metrics in [format!("http://{figures}/metrics"), url("/metrics")] {
        let (status, metrics) = get(&metrics).await;
        assert_eq!(status, 200, "{metrics}");
        assert!(metrics.contains("lobar_ready{check=\"live\"} 0"), "{metrics}");
        assert!(
            !metrics.contains("lobar_oldest_unfinished_seconds{"),
            "nobody renews it: {metrics}"
        );
    }
    drop(thaw);
    for path in ["/livez", "/readyz"] {
        until(&url(path), "it goes on", |status, _| status == 200).await;
    }
}
