//! The executable as its user runs it: uploads by any S3 client and by itself, SIGKILL in the
//! middle, restarts, broken files. Real X-rays where they are at hand, drawn ones elsewhere.

mod audit_command;
mod deidentify_command;
mod dicom_upload;
mod doctor;
mod erasing;
mod exposure_command;
mod film;
mod full;
mod health;
mod kills;
mod learning;
mod logs;
mod model_command;
mod models;
mod outputs;
mod people_command;
mod reading_dicom;
mod retrieving;
mod runs;
mod settings;
mod site_calibration;
mod site_keys;
mod soak;
mod streams;
mod training_data;
mod upgrade;
mod upload_whose;
mod verdict_kills;

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lobar_tests::kit::{
    Client, Lobar, broken_files, executable, node_executable, originals, workspace,
};
use serde_json::Value;

/// How many images a journey takes: the originals at hand are eighty.
const IMAGES: usize = 80;

fn lobar_upload(page: &str, folder: &Path, state: &Path) -> Command {
    let mut command = Command::new(executable());
    command.args(["upload", "--to", page, "--site", "north"]).arg(folder);
    command.env("XDG_STATE_HOME", state).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Uploads a folder as any client does that was told of the key pair.
fn aws_upload(lobar: &Lobar, folder: &Path) -> Child {
    let aws = workspace().join(".venv/bin/aws");
    assert!(aws.exists(), "{} is missing: run `make test`, which installs it", aws.display());
    Command::new(aws)
        .args(["--endpoint-url", &lobar.s3, "s3", "cp", "--recursive", "--only-show-errors"])
        .arg(folder)
        .arg("s3://xrays/incoming/south/")
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_SHARED_CREDENTIALS_FILE", &lobar.credentials)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .spawn()
        .expect("the AWS CLI runs")
}

fn states(images: &[Value], state: &str) -> usize {
    images.iter().filter(|image| image["status"] == state).count()
}

/// Every image ended exactly once in the event stream, and as the list says. One that a newer version of its object took the
/// place of may have had its result before.
async fn assert_shown_once(client: &Client, images: &[Value]) {
    let endings = client.endings().await;
    assert_eq!(endings.len(), images.len());
    for image in images {
        let ended = &endings[image["id"].as_str().expect("an id")];
        let (last, before) = ended.split_last().expect("it ended");
        assert_eq!(&image["status"], last);
        let assessed = before.iter().chain((last != "superseded").then_some(last)).count();
        let (once, again) = (assessed <= 1, before.iter().any(|state| state == "superseded"));
        assert!(once && !again, "shown {} times: {ended:?}", ended.len());
    }
}

#[tokio::test]
async fn uploads_by_the_aws_cli_survive_a_kill_in_the_middle_and_are_shown_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, IMAGES);

    let lobar = Lobar::up(&data);
    assert!(aws_upload(&lobar, &files).wait().expect("it ends").success());
    // Every upload is acknowledged; most are not analysed yet.
    lobar.kill();

    let lobar = Lobar::up(&data);
    let client = Client::new(&lobar.page);
    let images = client.settled(IMAGES).await;
    assert_eq!(states(&images, "ready"), IMAGES);
    assert_shown_once(&client, &images).await;
    assert_eq!(lobar.stop(), 0);
}

/// The results of `lobar predict` on a folder, lowest probability first.
fn predicted(model: &Path, folder: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(folder).expect("readable").map(|f| f.expect("readable").path());
    let mut command = Command::new(executable());
    command.args(["predict", "--json", "--unlike", "warn", "--model"]).arg(model).args(files);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    sorted(rows.map(|row| row["result"].clone()).collect())
}

fn sorted(mut results: Vec<Value>) -> Vec<Value> {
    results.sort_by(|a, b| probability(a).total_cmp(&probability(b)));
    results
}

fn probability(result: &Value) -> f64 {
    result["probability"].as_f64().unwrap_or_else(|| panic!("no probability in {result}"))
}

#[tokio::test]
async fn an_exported_torchscript_model_is_served_and_every_result_names_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    let module = dir.path().join("model.pt");
    originals(&files, 6);
    let mut export = Command::new(executable());
    export.args(["export", "--format", "torchscript", "--out"]).arg(&module);
    assert!(export.status().expect("it runs").success());
    let expected = predicted(&module, &files);

    let model = module.to_str().expect("text").to_owned();
    let environment = [("LOBAR_MODEL".to_owned(), model)];
    let lobar = Lobar::start_with(&executable(), &["up"], &data, &environment);
    let mut upload = lobar_upload(&lobar.page, &files, dir.path()).spawn().expect("starts");
    assert!(upload.wait().expect("ends").success());
    let client = Client::new(&lobar.page);
    let mut served = Vec::new();
    for image in client.settled(6).await {
        let path = format!("/v1/images/{}", image["id"].as_str().expect("an id"));
        served.push(client.get(&path).await["result"].clone());
    }
    assert_eq!(lobar.stop(), 0);

    for (served, expected) in sorted(served).iter().zip(&expected) {
        let away = (probability(served) - probability(expected)).abs();
        assert!(away <= 1e-3, "{served} is {away} away from {expected}");
        assert_eq!(served["model"], expected["model"]);
        assert_eq!(served["heatmap"], true);
    }
}

#[tokio::test]
async fn an_interrupted_lobar_upload_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, IMAGES);
    let lobar = Lobar::up(&data);
    let client = Client::new(&lobar.page);

    let mut upload = lobar_upload(&lobar.page, &files, dir.path()).spawn().expect("starts");
    while client.images().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    upload.kill().expect("killed");
    upload.wait().expect("ends");
    lobar.kill();

    // The same command again, on the same data, in a new process.
    let lobar = Lobar::up(&data);
    let client = Client::new(&lobar.page);
    let done = lobar_upload(&lobar.page, &files, dir.path()).output().expect("runs");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let again = lobar_upload(&lobar.page, &files, dir.path()).output().expect("runs");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains(&format!("{IMAGES} were there already")), "{said}");

    // A file whose PUT was under way when the kill came may be there in two versions.
    let began = std::time::Instant::now();
    let images = loop {
        let images = client.images().await;
        if states(&images, "ready") == IMAGES && states(&images, "queued") == 0 {
            break images;
        }
        assert!(began.elapsed() < Duration::from_secs(240), "{} ready", states(&images, "ready"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(states(&images, "ready") + states(&images, "superseded"), images.len());
}

#[tokio::test]
async fn what_is_uploaded_twice_or_broken_is_accounted_for_and_nothing_broken_looks_negative() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, IMAGES);
    let broken = broken_files();
    for (name, bytes, _) in &broken {
        std::fs::write(files.join(name), bytes).expect("written");
    }
    let lobar = Lobar::up(&data);
    let client = Client::new(&lobar.page);
    for _ in 0..2 {
        assert!(aws_upload(&lobar, &files).wait().expect("it ends").success());
    }
    let images = client.settled(2 * (IMAGES + broken.len())).await;
    assert_eq!(states(&images, "ready"), IMAGES);
    assert_eq!(states(&images, "superseded"), IMAGES + broken.len());

    let refused: Vec<_> = images.iter().filter(|i| i["status"] == "needs_human").collect();
    let reasons: HashSet<_> = refused.iter().filter_map(|i| i["reason"].as_str()).collect();
    assert_eq!(reasons, broken.iter().map(|(_, _, reason)| *reason).collect());
    assert!(refused.iter().all(|image| image["result"].is_null()));

    let flagged = client.get("/v1/images?flagged=false&status=ready&limit=1").await;
    assert!(flagged["total"].as_u64().expect("a number") <= IMAGES as u64);
}

#[tokio::test]
async fn predict_and_the_pipeline_give_the_same_probability_whatever_the_batch() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, 12);
    let lobar = Lobar::up(&data);
    let client = Client::new(&lobar.page);
    assert!(aws_upload(&lobar, &files).wait().expect("it ends").success());
    let mut served = probabilities(&client.settled(12).await);

    let paths: Vec<_> = std::fs::read_dir(&files).expect("readable").collect();
    let paths: Vec<_> = paths.into_iter().map(|file| file.expect("readable").path()).collect();
    for batch in ["1", "5"] {
        let predict = Command::new(executable())
            .args(["predict", "--json", "--unlike", "warn", "--batch", batch])
            .args(&paths)
            .output()
            .expect("runs");
        assert!(predict.status.success(), "{}", String::from_utf8_lossy(&predict.stderr));
        let lines = String::from_utf8(predict.stdout).expect("text");
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), paths.len());
        let mut predicted = probabilities(&lines);
        served.sort_by(f64::total_cmp);
        predicted.sort_by(f64::total_cmp);
        for (served, predicted) in served.iter().zip(&predicted) {
            assert!((served - predicted).abs() <= 0.02, "{served} and {predicted}");
        }
    }
}

fn probabilities(images: &[Value]) -> Vec<f64> {
    images.iter().map(|i| i["result"]["probability"].as_f64().expect("a result")).collect()
}

#[tokio::test]
async fn a_stop_under_load_is_clean_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, IMAGES);
    let lobar = Lobar::up(&data);
    assert!(aws_upload(&lobar, &files).wait().expect("it ends").success());
    assert_eq!(lobar.stop(), 0);
    let lobar = Lobar::up(&data);
    let client = Client::new(&lobar.page);
    let images = client.settled(IMAGES).await;
    assert_eq!(states(&images, "ready"), IMAGES);
    assert_shown_once(&client, &images).await;
}

#[tokio::test]
async fn a_node_without_libtorch_admits_and_serves_what_a_worker_elsewhere_assesses() {
    let node = std::fs::read(node_executable()).expect("readable");
    let names_libtorch = node.windows(15).any(|bytes| bytes == b"libtorch_cpu.so");
    assert!(!names_libtorch, "the node must not be linked to libtorch");
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, 4);
    let split = ["run", "--signal", "poll:", "--roles"];
    let node = Lobar::start(&node_executable(), &[&split[..], &["s3,ingest,api"]].concat(), &data);
    let client = Client::new(&node.page);
    assert!(aws_upload(&node, &files).wait().expect("it ends").success());
    let work = ["worker", "--s3-endpoint", &node.s3];
    let worker = Lobar::start(&executable(), &[&split[..], &work].concat(), &data);
    let images = client.settled(4).await;
    assert_eq!(states(&images, "ready"), 4);
    assert_shown_once(&client, &images).await;
    assert_eq!((worker.stop(), node.stop()), (0, 0));
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_in_words_and_leaves_the_other_unharmed() {
    let dir = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::up(&dir.path().join("first"));
    let taken = lobar.page.trim_start_matches("http://");
    let second = Command::new(executable())
        .args(["up", "--s3-listen", "127.0.0.1:0", "--listen", taken, "--data"])
        .arg(dir.path().join("second"))
        .output()
        .expect("runs");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("cannot listen on"), "{said}");
    Client::new(&lobar.page).get("/readyz").await;
}
