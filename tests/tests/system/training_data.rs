//! Training data in a bucket, as whoever trains uses it: `--data s3://…`.
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end with it

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use aws_sdk_s3::Client;
use lobar_core::time::SystemClock;
use lobar_endpoint::{Endpoint, EndpointOptions};
use lobar_opener::Opener;
use lobar_opener::url::{QueueUrl, SqliteFile};
use lobar_testkit::services::free_port;
use lobar_testkit::services::ministack::{ACCESS_KEY, SECRET_KEY};
use lobar_tests::aws::{s3_client, server_key_pair};
use lobar_tests::kit::{executable, labelled_pictures, radiograph_jpeg};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::block_in_place;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A bucket with a data set below `sets/cxr`, and a machine that trains.
struct Hospital {
    folder: TempDir,
    endpoint: String,
    client: Client,
    _stop: DropGuard,
}

impl Hospital {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let opener = Opener::new(std::sync::Arc::new(SystemClock));
        let url = QueueUrl::Sqlite(SqliteFile::at(folder.path().join("queue.db")));
        let uploads = opener.queue("uploads", &url, "uploads").await.expect("opens");
        let any = "127.0.0.1:0".parse().expect("an address");
        let options =
            EndpointOptions::new(folder.path().join("s3"), any, server_key_pair(), uploads);
        let running = Endpoint::open(options).await.expect("opens");
        let endpoint = format!("http://{}", running.local_addr());
        let stop = CancellationToken::new();
        tokio::spawn(running.run(stop.clone()));
        let client = s3_client(&endpoint);
        let hospital = Self { folder, endpoint, client, _stop: stop.drop_guard() };
        let data = hospital.folder.path().join("original");
        labelled_pictures(&data);
        for (name, path) in files(&data) {
            hospital.put(&name, std::fs::read(path).expect("readable")).await;
        }
        hospital
    }

    async fn put(&self, name: &str, body: impl Into<Vec<u8>>) {
        let body: Vec<u8> = body.into();
        let put = self.client.put_object().bucket("xrays").key(format!("sets/cxr/{name}"));
        put.body(body.into()).send().await.expect("stored");
    }

    async fn delete(&self, name: &str) {
        let delete = self.client.delete_object().bucket("xrays").key(format!("sets/cxr/{name}"));
        delete.send().await.expect("deleted");
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// What the copy holds, and when each file was written.
    fn copied(&self) -> BTreeMap<String, SystemTime> {
        let homes: Vec<_> = std::fs::read_dir(self.cache()).expect("a cache").collect();
        assert_eq!(homes.len(), 1, "one place, one copy");
        let home = homes.into_iter().next().expect("one").expect("readable").path();
        let written = |path: PathBuf| path.metadata().expect("there").modified().expect("known");
        files(&home.join("images")).into_iter().map(|(name, at)| (name, written(at))).collect()
    }

    fn lobar(&self, endpoint: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(executable());
        command.args(arguments).arg("--data-cache").arg(self.cache());
        command.env("LOBAR_S3_ENDPOINT", endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        // The endpoint runs on this runtime: its threads must not wait for the command.
        block_in_place(|| command.current_dir(self.folder.path()).output()).expect("runs")
    }

    /// What `lobar data report` says of the data, and what it says of fetching them.
    fn report(&self) -> (Value, String) {
        let arguments = ["data", "report", "--json", "--data", "s3://xrays/sets/cxr/"];
        let output = self.lobar(&self.endpoint, &arguments);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        (serde_json::from_slice(&output.stdout).expect("JSON"), said)
    }
}

/// Every file below a folder by its name there.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_str().expect("UTF-8");
                found.insert(name.to_owned(), path);
            }
        }
    }
    found
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_changed_in_the_bucket_is_fetched_again() {
    let hospital = Hospital::open().await;
    let strange =
        ["notes.txt", "train/OTHER/a.png", "train/NORMAL/deep/a.png", "test/NORMAL/.a.png"];
    for name in strange {
        hospital.put(name, "no picture of the data set").await;
    }
    hospital.put("manifest.csv", "file,patient\nsecond.jpg,p1\n").await;

    let (survey, told) = hospital.report();
    assert_eq!(survey["images"], 36);
    assert!(told.contains("s3://xrays/sets/cxr: fetching 37 of 37 files"), "{told}");
    let original = files(&hospital.folder.path().join("original"));
    let copy = hospital.copied();
    assert_eq!(copy.len(), 37);
    assert!(original.keys().all(|name| copy.contains_key(name)), "{copy:?}");
    assert!(!told.contains("IM-0000-0001"), "keys are personal data: {told}");

    let (survey, told) = hospital.report();
    assert_eq!(survey["images"], 36);
    assert!(told.contains("37 files, all here already"), "{told}");
    assert_eq!(hospital.copied(), copy);

    // One changed, one new, one gone.
    let (changed, gone) = ("train/NORMAL/IM-0003-0001.png", "test/PNEUMONIA/person15_virus_1.png");
    assert!(copy.contains_key(changed) && copy.contains_key(gone));
    let another = original["train/NORMAL/IM-0004-0001.png"].clone();
    hospital.put(changed, std::fs::read(another).expect("readable")).await;
    hospital.delete(gone).await;
    let (survey, told) = hospital.report();
    assert_eq!(survey["images"], 35);
    assert!(told.contains("fetching 1 of 36 files"), "{told}");
    assert!(told.contains("1 no longer there"), "{told}");
    let later = hospital.copied();
    assert!(!later.contains_key(gone) && later.len() == 36);
    for (name, written) in &later {
        assert_eq!(*written > copy[name], name == changed, "{name}");
    }
    hospital.put("train/NORMAL/second.jpg", radiograph_jpeg(300, 300, 9)).await;
    let (survey, told) = hospital.report();
    assert_eq!(survey["images"], 36);
    assert_eq!(survey["without_patient"], 0);
    assert!(told.contains("fetching 1 of 37 files"), "{told}");

    // What somebody damaged here is made whole again.
    let home = std::fs::read_dir(hospital.cache()).expect("a cache").next().expect("one");
    let home = home.expect("readable").path();
    std::fs::write(home.join("images").join(changed), "short").expect("written");
    std::fs::write(home.join("images/train/NORMAL/stranger.png"), "x").expect("written");
    let (_, told) = hospital.report();
    assert!(
        told.contains("fetching 1 of 37 files") && told.contains("1 no longer there"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_trained_from_a_bucket() {
    let hospital = Hospital::open().await;
    let arguments: [&[&str]; 2] = [
        &["train", "--data", "s3://xrays/sets/cxr", "--out", "run", "--stages", "32:2"],
        &["--batch", "10", "--threads", "1", "--fp32", "--device", "cpu"],
    ];
    let output = hospital.lobar(&hospital.endpoint, &arguments.concat());
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("fetching 36 of 36 files"), "{}", said(&output));
    let record = std::fs::read(hospital.folder.path().join("run/run.json")).expect("a record");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    assert_eq!(record["train"], 20);
    assert!(hospital.folder.path().join("run/model.safetensors").is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_had_is_said_with_the_setting_to_look_at() {
    let hospital = Hospital::open().await;
    let refused = |endpoint: &str, data: &str, code: i32, words: &[&str]| {
        let output = hospital.lobar(endpoint, &["data", "report", "--data", data]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{data}: {said}");
        for word in words {
            assert!(said.contains(word), "{data} says nothing of {word}: {said}");
        }
    };
    let here = hospital.endpoint.as_str();
    refused(here, "s3://nowhere/cxr", 1, &["s3://nowhere/cxr", "NoSuchBucket", "--data"]);
    refused(here, "s3://xrays/sets", 1, &["holds no pictures", "36 objects of other names"]);
    refused(here, "s3://xrays/set", 1, &["holds no pictures", "0 objects"]);
    refused(here, "https://xrays/cxr", 2, &["--data", "s3://BUCKET"]);
    let away = format!("http://127.0.0.1:{}", free_port());
    refused(&away, "s3://xrays/sets/cxr", 1, &["could not be reached", "LOBAR_S3_ENDPOINT"]);
}
