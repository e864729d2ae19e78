//! Erasing a patient as an operator does it, and a look for what is left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{ObjectListing as _, ObjectStore as _};
use lobar_s3::{S3ObjectStore, S3Options};
use lobar_tests::aws::s3_options;
use lobar_tests::kit::{Client, Lobar, answer, executable, originals, workspace};
use serde_json::{Value, json};

/// What the keys of the patient have in them, and nothing else in the world.
const NAME: &str = "Quixote-Zoraida";
const IMAGES: usize = 4;

fn erase(lobar: &Lobar, data: &Path, arguments: &[&str]) -> Output {
    let listen = lobar.s3.trim_start_matches("http://");
    let mut command = Command::new(executable());
    command.arg("erase").args(arguments).arg("--data").arg(data).args(["--s3-listen", listen]);
    command.stdin(Stdio::null()).env("USER", "ada").output().expect("it runs")
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).join("\n")
}

/// What a command that succeeds prints with `--json`.
fn told(lobar: &Lobar, data: &Path, arguments: &[&str]) -> Value {
    let output = erase(lobar, data, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn upload(lobar: &Lobar, folder: &Path, to: &str) {
    let aws = workspace().join(".venv/bin/aws");
    let uploaded = Command::new(aws)
        .args(["--endpoint-url", &lobar.s3, "s3", "cp", "--recursive", "--only-show-errors"])
        .arg(folder)
        .arg(format!("s3://xrays/{to}"))
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_SHARED_CREDENTIALS_FILE", &lobar.credentials)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .status();
    assert!(uploaded.expect("the AWS CLI runs").success());
}

/// The files below a folder that hold these bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if path.to_string_lossy().contains(NAME)
            || std::fs::read(&path)
                .expect("readable")
                .windows(bytes.len())
                .any(|part| part == bytes)
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn an_erased_patient_is_gone_from_every_answer_and_from_every_file_of_the_data_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, IMAGES);
    let lobar = Lobar::up(&data);
    // Twice, so that there are older versions.
    for _ in 0..2 {
        upload(&lobar, &files, &format!("incoming/north/{NAME}/"));
    }
    upload(&lobar, &files, "incoming/north/another/");
    let client = Client::new(&lobar.page);
    let images = client.settled(3 * IMAGES).await;
    let options = s3_options("xrays", lobar.s3.clone());
    let options = S3Options { credentials: Some(lobar.key_pair()), ..options };
    let bucket = S3ObjectStore::connect(options).await;
    let prefix = format!("incoming/north/{NAME}/");
    let versions = bucket.versions(&prefix, None).await.expect("listed").versions;
    let versions: Vec<ObjectVersion> = versions.into_iter().map(|one| one.object).collect();
    assert_eq!(versions.len(), 2 * IMAGES);
    assert!(!files_with(&data, NAME.as_bytes()).is_empty(), "the search finds what is there");

    let key_prefix = format!("{NAME}/");
    let patient =
        ["patient", "--site", "north", "--key-prefix", &key_prefix, "--reason", "request"];
    let counted = told(&lobar, &data, &[&patient[..], &["--dry-run"]].concat());
    assert_eq!((&counted["found"], &counted["erased"]), (&json!(2 * IMAGES), &json!(0)));
    let unasked = erase(&lobar, &data, &patient);
    assert_eq!(unasked.status.code(), Some(2), "{}", said(&unasked));
    assert_eq!(client.images().await.len(), images.len(), "nothing was erased yet");

    let done = told(&lobar, &data, &[&patient[..], &["--yes"]].concat());
    let all = json!(2 * IMAGES);
    assert_eq!(
        [&done["erased"], &done["gone"], &done["refused"]],
        [&all, &all, &json!(0)],
        "{done}"
    );
    for object in &versions {
        assert!(bucket.fetch(object, 10_000_000).await.is_err(), "fetched by its version");
        for what in ["", "/picture", "/heatmap", "/verdicts"] {
            let url = format!("{}/v1/images/{}{what}", lobar.page, object.id());
            let (status, body) = answer(&url).await.expect("answers");
            assert_eq!(status, 410, "{what}: {body}");
        }
    }
    assert_eq!(client.images().await.len(), IMAGES);
    let endings = client.endings().await;
    let last = endings[&versions[0].id().to_string()].last().map(String::as_str);
    assert_eq!(last, Some("removed"));
    // Again it does no harm, and says so.
    assert_eq!(told(&lobar, &data, &[&patient[..], &["--yes"]].concat())["erased"], 0);
    let unknown = ["image", "00000000-0000-4000-8000-000000000000", "--reason", "mistake", "--yes"];
    assert_eq!(erase(&lobar, &data, &unknown).status.code(), Some(1));
    drop(bucket);

    // Nor does a kill bring anything back. What a queue still names goes as soon as ingest has read it.
    lobar.kill();
    let mut rounds = 0;
    loop {
        let lobar = Lobar::up(&data);
        assert_eq!(Client::new(&lobar.page).settled(IMAGES).await.len(), IMAGES);
        assert_eq!(lobar.stop(), 0);
        let left = files_with(&data, NAME.as_bytes());
        if left.is_empty() {
            break;
        }
        rounds += 1;
        assert!(rounds < 10, "the name is still in {left:?}");
    }
    let exported = Command::new(executable())
        .args(["audit", "export", "--data"])
        .arg(&data)
        .output()
        .expect("it runs");
    let record = String::from_utf8(exported.stdout).expect("text");
    let erased = record.lines().filter(|line| line.contains("\"action\":\"erased\"")).count();
    assert_eq!(erased, 2 * IMAGES);
    let named = r#""detail":"{\"by\":\"ada\",\"os_user\":"#;
    let entries = record.lines().filter(|line| line.contains("\"action\":\"erased\""));
    for line in entries {
        assert!(line.contains("\"actor\":\"command line\"") && line.contains(named), "{line}");
    }
    assert!(!record.contains(NAME));
}
