//! From a doctor's verdict to a candidate: verdicts over HTTP, `lobar data export`, `lobar retrain`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lobar_tests::kit::{Client, Lobar, executable, originals};
use serde_json::{Value, json};

/// How many images of the hospital's own are labelled.
const IMAGES: usize = 6;

/// Stripes across for the ill, stripes along for the healthy: a base to train on.
fn write_base(folder: &Path) {
    for (split, people) in [("train", 0..10_u32), ("val", 10..14), ("test", 14..18)] {
        for (class, is_ill) in [("NORMAL", false), ("PNEUMONIA", true)] {
            let at = folder.join(split).join(class);
            std::fs::create_dir_all(&at).expect("a folder");
            for person in people.clone() {
                let name = match is_ill {
                    true => format!("person{person}_virus_1.png"),
                    false => format!("IM-{person:04}-0001.png"),
                };
                let picture = image::GrayImage::from_fn(224, 224, |x, y| {
                    let level = if (if is_ill { y } else { x } / 28) % 2 == 0 { 60 } else { 180 };
                    image::Luma([level + ((x * 31 + y * 17 + person * 101) % 23) as u8])
                });
                picture.save(at.join(name)).expect("written");
            }
        }
    }
}

/// A running system, a base, and the command line beside it.
struct Hospital {
    lobar: Lobar,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Hospital {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_base(&folder.path().join("base"));
        let lobar = Lobar::up(&folder.path().join("data"));
        // Another test of this process may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { lobar, http: reqwest::Client::new(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let s3 = self.lobar.s3.trim_start_matches("http://");
        let mut command = Command::new(executable());
        command.args(arguments).args(["--s3-listen", s3, "--data"]).arg(self.path("data"));
        command.env("USER", "ada").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn export(&self) -> String {
        let mut command = self.command(&["data", "export"]);
        said(command.arg("--out").arg(self.path("labelled")))
    }

    fn retrain(&self, at_least: &str) -> Command {
        let mut command = self.command(&["retrain", "--at-least", at_least, "--fp32"]);
        command.args(["--stages", "32:1", "--images-a-step", "10", "--threads", "1"]);
        command.args(["--device", "cpu", "--base"]).arg(self.path("base"));
        command.arg("--out").arg(self.path("retrained"));
        command
    }

    async fn upload(&self, bytes: Vec<u8>) -> String {
        let url = format!("{}/v1/images?site=north", self.lobar.page);
        let sent = self.http.post(url).body(bytes).send().await.expect("an answer");
        let receipt: Value = sent.json().await.expect("JSON");
        receipt["id"].as_str().expect("an id").to_owned()
    }

    /// Says of an image what is right, or that nobody can tell, with its picture on the screen.
    async fn say(&self, id: &str, label: Option<&str>) {
        let url = format!("{}/v1/images/{id}/picture", self.lobar.page);
        let picture = self.http.get(url).send().await.expect("an answer");
        assert_eq!(picture.status(), 200);
        let tag = picture.headers()["etag"].to_str().expect("text").to_owned();
        self.say_by(id, label, Some(&tag)).await;
    }

    async fn say_by(&self, id: &str, label: Option<&str>, rendering: Option<&str>) {
        let image = Client::new(&self.lobar.page).get(&format!("/v1/images/{id}")).await;
        let version = &image["result"]["model"]["version"];
        let verdict = match label {
            Some(label) => {
                json!({ "model_version": version, "opinion": "disagree", "label": label,
                    "rendering": rendering })
            }
            None => json!({ "model_version": version, "opinion": "not_assessable",
                "rendering": rendering }),
        };
        let url = format!("{}/v1/images/{id}/verdicts", self.lobar.page);
        let sent = self.http.post(url).json(&verdict).send().await.expect("an answer");
        assert_eq!(sent.status(), 201, "{image}");
    }

    async fn models(&self) -> Value {
        Client::new(&self.lobar.page).get("/v1/models").await
    }
}

/// What a command that succeeds prints, on both outputs.
fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
    assert!(status.success(), "{text}");
    text
}

/// The exported files of a class.
fn files(folder: &Path, class: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.join("train").join(class)).expect("readable");
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().expect("text");
    entries.map(|entry| name(entry.expect("readable"))).collect()
}

fn versions(models: &Value, stage: &str) -> BTreeSet<String> {
    let items = models["items"].as_array().expect("a list").iter();
    let of_stage = items.filter(|model| model["stage"] == stage);
    of_stage.map(|model| model["version"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_doctors_said_becomes_a_candidate_that_nobody_is_shown() {
    let hospital = Hospital::open();
    let own = hospital.path("own");
    originals(&own, IMAGES);
    let mut ids = Vec::new();
    let mut names: Vec<PathBuf> = std::fs::read_dir(&own)
        .expect("readable")
        .map(|file| file.expect("a file").path())
        .collect();
    names.sort();
    for path in &names {
        ids.push(hospital.upload(std::fs::read(path).expect("readable")).await);
    }
    // One that the base measures on.
    let measured = hospital.path("base/test/NORMAL/IM-0014-0001.png");
    let leak = hospital.upload(std::fs::read(measured).expect("readable")).await;
    Client::new(&hospital.lobar.page).settled(IMAGES + 1).await;
    let before = hospital.models().await;
    assert!(said(&mut hospital.retrain("4")).contains("0 new labels"), "nobody said anything");

    // Labels by somebody whose picture never came: they teach nothing.
    for id in &ids {
        hospital.say_by(id, Some("NORMAL"), None).await;
    }
    let told = hospital.export();
    let apart = format!(
        "0 labelled images: 0 new, 0 were there, 0 of them with another label now; 0 taken out; {IMAGES} left out, labelled without the picture on the screen"
    );
    assert!(told.contains(&apart), "{told}");
    assert!(said(&mut hospital.retrain("4")).contains("0 new labels"));

    for (n, id) in ids.iter().enumerate() {
        hospital.say(id, Some(["NORMAL", "PNEUMONIA"][n % 2])).await;
    }
    hospital.say(&leak, Some("NORMAL")).await;
    let told = hospital.export();
    assert!(told.contains(&format!("{0} labelled images: {0} new", IMAGES + 1)), "{told}");
    let labelled = hospital.path("labelled");
    let normal: BTreeSet<String> = ids.iter().step_by(2).chain([&leak]).cloned().collect();
    let expected: BTreeSet<String> = normal.iter().map(|id| format!("{id}.png")).collect();
    assert_eq!(files(&labelled, "NORMAL"), expected);
    assert_eq!(files(&labelled, "PNEUMONIA").len(), IMAGES / 2);
    let manifest = std::fs::read_to_string(labelled.join("manifest.csv")).expect("readable");
    assert!(!manifest.contains("north") && !manifest.contains("incoming"), "{manifest}");

    // A label that changed, and one that was taken back.
    hospital.say(&ids[0], Some("PNEUMONIA")).await;
    hospital.say(&ids[1], None).await;
    let told = hospital.export();
    assert!(told.contains("1 of them with another label now; 1 taken out"), "{told}");
    assert!(files(&labelled, "PNEUMONIA").contains(&format!("{}.png", ids[0])));

    let told = said(&mut hospital.retrain("4"));
    assert!(told.contains("5 of them labelled here; 1 were left out"), "{told}");
    assert!(told.contains("registered as a candidate"), "{told}");
    let models = hospital.models().await;
    assert_eq!(models["active"], before["active"], "nothing is activated");
    let candidates = versions(&models, "candidate");
    assert_eq!(candidates.len(), 1, "{models}");
    let candidate = candidates.first().expect("one");
    assert!(told.contains(candidate) && told.contains("test "), "figures beside figures: {told}");
    let item = Client::new(&hospital.lobar.page).get(&format!("/v1/models/{candidate}")).await;
    let card = &item["card"];
    assert_eq!(card["training"]["settings"]["added"], 5);
    assert_eq!((&card["validation"]["images"], &card["test"]["images"]), (&json!(8), &json!(8)));
    let kept = hospital.path("retrained/runs").join(candidate);
    assert!(kept.join("training/report.html").exists() && !kept.join("data").exists());

    // Nothing is new; then two labels are, and the command that learns them is killed and given again.
    assert!(said(&mut hospital.retrain("1")).contains("0 new labels"));
    hospital.say(&ids[1], Some("PNEUMONIA")).await;
    hospital.say(&ids[2], Some("PNEUMONIA")).await;
    let mut killed = hospital.retrain("2").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let killed = killed.as_mut().expect("starts");
    let began = Instant::now();
    while !hospital.path("retrained/run/training/run.json").exists() {
        assert!(began.elapsed() < Duration::from_secs(240), "it never begins to train");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let meanwhile = hospital.retrain("2").output().expect("runs");
    assert_eq!(meanwhile.status.code(), Some(1));
    let text = String::from_utf8_lossy(&meanwhile.stderr).into_owned();
    assert!(text.contains("another `lobar retrain` is at work"), "{text}");
    killed.kill().expect("killed");
    killed.wait().expect("ends");
    hospital.say(&ids[3], Some("NORMAL")).await;
    let told = said(&mut hospital.retrain("2"));
    assert!(told.contains("going on with the run"), "{told}");
    let models = hospital.models().await;
    assert_eq!(versions(&models, "candidate").len(), 2, "{models}");
    assert_eq!(models["active"], before["active"]);
    // What was said while it was away is learned the next time.
    assert!(said(&mut hospital.retrain("2")).contains("1 new labels"));
}

#[test]
fn a_base_without_test_images_is_wrong_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    write_base(&folder.path().join("base"));
    std::fs::remove_dir_all(folder.path().join("base/test")).expect("removed");
    std::fs::create_dir(folder.path().join("data")).expect("made");
    std::fs::write(folder.path().join("data/lobar.db"), b"").expect("written");
    let output = Command::new(executable())
        .args(["retrain", "--base", "base", "--out", "out", "--data", "data"])
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--base"), "{text}");
}
