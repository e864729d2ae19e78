//! A model takes another's place while images arrive.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::model_registry::{ModelRegistry, NewModel};
use lobar_core::time::SystemClock;
use lobar_core::weights::WeightFiles;
use lobar_opener::Opener;
use lobar_opener::url::{SqliteFile, StoreUrl};
use lobar_s3::{S3Options, S3Weights};
use lobar_tests::aws::s3_options;
use lobar_tests::kit::{Client, Lobar, executable, originals, workspace};
use serde_json::{Value, json};

use super::{assert_shown_once, aws_upload, states};

/// How many images are uploaded before the second model is activated, and again after.
const WAVE: usize = 24;
const SECOND: &str = "second-of-the-test";

/// The shipped model under another version, and with another threshold: other weights to the registry.
fn second_model(folder: &Path) -> (PathBuf, Value) {
    let shipped = std::fs::read(workspace().join("model/weights/lobar-resnet50.safetensors"));
    let shipped = shipped.expect("the shipped model");
    let (length, rest) = shipped.split_at(8);
    let length = usize::try_from(u64::from_le_bytes(length.try_into().expect("eight bytes")));
    let (header, tensors) = rest.split_at(length.expect("a length"));
    let mut header: Value = serde_json::from_slice(header).expect("a header");
    let card = header["__metadata__"]["lobar.card"].as_str().expect("a card");
    let mut card: Value = serde_json::from_str(card).expect("JSON");
    card["version"] = json!(SECOND);
    card["threshold"] = json!(0.25);
    header["__metadata__"]["lobar.card"] = json!(card.to_string());
    let mut header = header.to_string().into_bytes();
    // The tensors behind it stay aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    let path = folder.join("second.safetensors");
    let file = [&(header.len() as u64).to_le_bytes(), header.as_slice(), tensors].concat();
    std::fs::write(&path, file).expect("written");
    (path, card)
}

async fn register(registry: &dyn ModelRegistry, lobar: &Lobar, folder: &Path) -> NewModel {
    let (path, card) = second_model(folder);
    let digest = std::process::Command::new("sha256sum").arg(&path).output().expect("sha256sum");
    let sha256 = String::from_utf8_lossy(&digest.stdout)[..64].to_owned();
    let credentials = Some(lobar.key_pair());
    let options = S3Options { credentials, ..s3_options("lobar-models", lobar.s3.clone()) };
    let model = NewModel {
        version: SECOND.to_owned(),
        key: format!("{SECOND}/{sha256}.safetensors"),
        sha256,
        bytes: std::fs::metadata(&path).expect("written").len(),
        card,
    };
    S3Weights::connect(options, "").await.put(&model.key, &path).await.expect("stored");
    registry.register(&model, "test").await.expect("registered");
    model
}

/// The value of a metric that has one series.
async fn metric(lobar: &Lobar, name: &str) -> f64 {
    let text = reqwest::get(format!("{}/metrics", lobar.page)).await.expect("answers");
    let text = text.text().await.expect("text");
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_activated_while_uploads_run_takes_over_without_a_failed_request() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let waves = [dir.path().join("one"), dir.path().join("two")];
    for wave in &waves {
        originals(wave, WAVE);
    }
    let lobar = Lobar::up(&data);
    let client = Client::new(&lobar.page);
    let opener = Opener::new(Arc::new(SystemClock));
    let url = StoreUrl::Sqlite(SqliteFile::at(data.join("lobar.db")));
    let registry = opener.database("store", &url).await.expect("opens");
    let first = registry.assignment().await.expect("answers").active.expect("the shipped model");
    let second = register(registry.as_ref(), &lobar, dir.path()).await;

    let mut upload = aws_upload(&lobar, &waves[0]);
    let began = Instant::now();
    while states(&client.images().await, "ready") == 0 {
        assert!(began.elapsed() < Duration::from_secs(240), "nothing was assessed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    registry.activate(SECOND, "test").await.expect("activated");
    assert!(upload.wait().expect("it ends").success());
    // Every request is answered while the other model is loaded and takes over.
    while metric(&lobar, "lobar_worker_model_swaps_total").await == 0.0 {
        assert!(began.elapsed() < Duration::from_secs(240), "the second model never takes over");
        client.get("/readyz").await;
        client.images().await;
    }
    let before: HashSet<String> = ids(&client.images().await);
    let mut again = aws_upload_as(&lobar, &waves[1], "later");
    assert!(again.wait().expect("it ends").success());
    let mut images = client.settled(2 * WAVE).await;
    assert_eq!(states(&images, "ready"), 2 * WAVE);
    assert_shown_once(&client, &images).await;

    // In the order in which they were finished, the version changes once. What is finished in one
    // transaction has one time.
    images.sort_by_key(|image| {
        let second = image["result"]["model"]["version"] == SECOND;
        (image["finished_at"].as_str().expect("a time").to_owned(), second)
    });
    let models: Vec<&Value> = images.iter().map(|image| &image["result"]["model"]).collect();
    let taken_over = models.iter().position(|model| model["version"] == SECOND);
    let taken_over = taken_over.expect("the second model answered");
    assert!(taken_over > 0, "the first model answered");
    for (at, model) in models.iter().enumerate() {
        let expected = if at < taken_over { &first.model } else { &second };
        assert_eq!(model["version"], expected.version, "image {at}");
        assert_eq!(model["sha256"], expected.sha256, "image {at}");
    }
    for image in
        images.iter().filter(|image| !before.contains(image["id"].as_str().expect("an id")))
    {
        assert_eq!(image["result"]["model"]["version"], SECOND);
        assert_eq!(image["result"]["threshold"], 0.25);
    }
    opener.close().await;
    assert_eq!(lobar.stop(), 0);
}

/// `LOBAR_BIN=$PWD/target/release/lobar cargo test --workspace --test system -- --ignored --nocapture pause_of_a_swap`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement; docs/benchmarks.md has its figures"]
async fn the_pause_of_a_swap_beside_the_time_of_a_batch() {
    const IMAGES: usize = 480;
    let dir = tempfile::tempdir().expect("a folder");
    let (data, folder) = (dir.path().join("data"), dir.path().join("images"));
    originals(&folder, IMAGES);
    // Slow enough that images are left when the other model is loaded.
    let slow = [("LOBAR_PRECISION", "fp32"), ("LOBAR_THREADS", "1")];
    let slow = slow.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let lobar = Lobar::start_with(&executable(), &["up"], &data, &slow);
    let client = Client::new(&lobar.page);
    let opener = Opener::new(Arc::new(SystemClock));
    let url = StoreUrl::Sqlite(SqliteFile::at(data.join("lobar.db")));
    let registry = opener.database("store", &url).await.expect("opens");
    register(registry.as_ref(), &lobar, dir.path()).await;
    let mut upload = aws_upload(&lobar, &folder);
    while states(&client.images().await, "ready") == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    registry.activate(SECOND, "test").await.expect("activated");
    assert!(upload.wait().expect("it ends").success());
    let images = client.settled(IMAGES).await;

    // What is finished in one transaction has one time: a batch.
    let mut batches: Vec<(u64, bool)> = images
        .iter()
        .map(|image| {
            let at = image["finished_at"].as_str().expect("a time");
            (milliseconds_of_day(at), image["result"]["model"]["version"] == SECOND)
        })
        .collect();
    batches.sort_unstable();
    batches.dedup_by_key(|batch| batch.0);
    let gaps: Vec<(u64, bool)> =
        batches.windows(2).map(|two| (two[1].0 - two[0].0, two[0].1 != two[1].1)).collect();
    let (swap, mut others): (Vec<_>, Vec<_>) = gaps.into_iter().partition(|(_, swap)| *swap);
    others.sort_unstable();
    eprintln!(
        "between two batches: {} ms (median of {}), {} ms at most; at the swap {} ms",
        others[others.len() / 2].0,
        others.len(),
        others[others.len() - 1].0,
        swap.iter().map(|gap| gap.0).max().expect("a swap"),
    );
    opener.close().await;
    assert_eq!(lobar.stop(), 0);
}

/// Of `2026-03-01T09:05:00.000250Z`.
fn milliseconds_of_day(rfc3339: &str) -> u64 {
    let clock = &rfc3339[11..26];
    let part = |range: std::ops::Range<usize>| clock[range].parse::<u64>().expect("a number");
    ((part(0..2) * 60 + part(3..5)) * 60 + part(6..8)) * 1000 + part(9..12)
}

fn ids(images: &[Value]) -> HashSet<String> {
    images.iter().map(|image| image["id"].as_str().expect("an id").to_owned()).collect()
}

/// Uploads as another site, so that the same names are other images.
fn aws_upload_as(lobar: &Lobar, folder: &Path, site: &str) -> std::process::Child {
    let elsewhere = folder.with_file_name(format!("at-{site}"));
    std::fs::create_dir(&elsewhere).expect("made");
    std::fs::rename(folder, elsewhere.join(site)).expect("moved");
    aws_upload(lobar, &elsewhere)
}
