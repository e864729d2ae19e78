//! `lobar calibrate` as its user runs it: on labelled images, and on what doctors said of a site's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lobar_tests::kit::{Client, Lobar, executable, radiograph_jpeg, workspace};
use serde_json::{Value, json};

/// Patients of each kind; 60 are needed.
const OF_EACH: usize = 62;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(executable());
    // Drawn pictures are unlike X-rays, and shall be answered.
    command.args(arguments).env("LOBAR_UNLIKE", "warn").env("USER", "ada");
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it)).concat()
}

/// The JSON that a command which succeeds prints, a line each.
fn answers(command: &mut Command) -> Vec<Value> {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What a command that fails says.
fn refused(command: &mut Command, code: i32) -> String {
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    said(&output)
}

/// Drawn pictures in a folder.
fn draw(folder: &Path) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).expect("a folder");
    let draw = |n: usize| {
        let path = folder.join(format!("Doe Jane {n:03}.jpeg"));
        let bytes = radiograph_jpeg(400 + (n as u32 % 7) * 40, 400 + (n as u32 % 5) * 60, n as u32);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    (0..2 * OF_EACH).map(draw).collect()
}

/// The upper half by score is ill, but for every sixth image, where it is the other way round.
fn labels(scores: &[f64]) -> Vec<&'static str> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut labels = vec![""; scores.len()];
    for (rank, which) in order.into_iter().enumerate() {
        labels[which] = if (rank >= OF_EACH) != (rank % 6 == 3) { "PNEUMONIA" } else { "NORMAL" };
    }
    labels
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn labelled_images_of_a_site_give_a_file_that_answers_at_the_new_threshold() {
    let folder = tempfile::tempdir().expect("a folder");
    let shipped = workspace().join("model/weights/lobar-resnet50.safetensors");
    let pictures = draw(&folder.path().join("drawn"));
    let mut predict = command(&["predict", "--json"]);
    let scored = answers(predict.args(&pictures));
    let score = |row: &Value| row["result"]["probability"].as_f64().expect("a score");
    let scores: Vec<f64> = scored.iter().map(score).collect();
    let labelled = folder.path().join("labelled");
    for (picture, label) in pictures.iter().zip(labels(&scores)) {
        std::fs::create_dir_all(labelled.join(label)).expect("a folder");
        let name = picture.file_name().expect("a name");
        std::fs::copy(picture, labelled.join(label).join(name)).expect("copied");
    }
    let out = folder.path().join("north.safetensors");
    let calibrate = |more: &[&str]| {
        let mut command = command(&["calibrate", "--site", "north", "--labels", text(&labelled)]);
        command.args(["--model", text(&shipped)]).args(more);
        command
    };

    let told = answers(&mut calibrate(&["--sensitivity", "0.9", "--out", text(&out), "--json"]));
    let outcome = &told[0];
    let fitted = &outcome["calibration"];
    assert_eq!((&fitted["images"], &fitted["patients"]), (&json!(124), &json!(124)), "{outcome}");
    assert!(outcome["version"].as_str().is_some_and(|it| it.ends_with("-north")), "{outcome}");
    let mut predict = command(&["predict", "--json", "--model", text(&out)]);
    let after = answers(predict.arg(&pictures[0]).arg(&pictures[1]));
    for (row, before) in after.iter().zip(&scores) {
        let result = &row["result"];
        assert_eq!(result["threshold"], outcome["threshold"]);
        let number = |value: &Value| value.as_f64().expect("a number");
        let parent = number(&scored[0]["result"]["threshold"]);
        // Rank is kept: what lay above the old threshold lies above where that one is now.
        let here = number(&outcome["parent_threshold_here"]);
        assert_eq!(*before >= parent, number(&result["probability"]) >= here, "{row}");
    }
    let bytes = std::fs::read(&out).expect("readable");
    let card = String::from_utf8_lossy(&bytes[..bytes.len().min(100_000)]).into_owned();
    assert!(card.contains("fitted on images of the site north") && !card.contains("Doe"));

    // Without --out and --register it is a look.
    let looked = calibrate(&["--sensitivity", "0.9"]).output().expect("it runs");
    let words = said(&looked);
    assert!(looked.status.success() && words.contains("Nothing was kept"), "{words}");
    assert!(words.contains("specificity") && words.contains(" to "), "{words}");

    let told = refused(&mut calibrate(&["--sensitivity", "0.99"]), 1);
    assert!(told.contains("61 patients with pneumonia") && told.contains("300 and 60"), "{told}");
    refused(&mut calibrate(&["--sensitivity", "1"]), 2);
    let nowhere = folder.path().join("nowhere/a.safetensors");
    assert!(refused(&mut calibrate(&["--out", text(&nowhere)]), 2).contains("no folder"));
    std::fs::remove_dir_all(&labelled).expect("removed");
    let told = refused(&mut calibrate(&[]), 2);
    assert!(told.contains("NORMAL and PNEUMONIA"), "{told}");
}

/// Says of an image what is right, with its picture on the screen.
async fn say(http: &reqwest::Client, page: &str, image: &Value, label: &str) {
    let url = format!("{page}/v1/images/{}", image["id"].as_str().expect("an id"));
    let picture = http.get(format!("{url}/picture")).send().await.expect("an answer");
    let tag = picture.headers()["etag"].to_str().expect("text").to_owned();
    let verdict = json!({ "model_version": image["result"]["model"]["version"],
        "opinion": "disagree", "label": label, "rendering": tag });
    let sent = http.post(format!("{url}/verdicts")).json(&verdict).send().await;
    assert_eq!(sent.expect("an answer").status(), 201, "{image}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_doctors_said_of_a_site_gives_a_candidate_that_nobody_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let lobar = Lobar::up(&data);
    let drawn = folder.path().join("drawn");
    draw(&drawn);
    let mut upload = command(&["upload", "--site", "north", "--to", &lobar.page, text(&drawn)]);
    upload.env("XDG_STATE_HOME", folder.path());
    assert!(upload.output().expect("it runs").status.success());
    let client = Client::new(&lobar.page);
    let images = client.settled(2 * OF_EACH).await;
    let before = client.get("/v1/models").await;
    let active = before["active"].as_str().expect("one is active").to_owned();
    let s3 = lobar.s3.trim_start_matches("http://").to_owned();
    let here = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.args(["--s3-listen", &s3, "--data"]).arg(&data);
        command
    };
    let calibrate =
        |site: &str| here(&["calibrate", "--site", site, "--sensitivity", "0.9", "--register"]);

    let told = refused(&mut calibrate("north"), 1);
    assert!(told.contains("site north show 0 patients") && told.contains("60 and 60"), "{told}");
    let score = |image: &Value| image["result"]["probability"].as_f64().expect("a score");
    let scores: Vec<f64> = images.iter().map(score).collect();
    let http = reqwest::Client::new();
    for (image, label) in images.iter().zip(labels(&scores)) {
        say(&http, &lobar.page, image, label).await;
    }
    let told = refused(&mut calibrate("south"), 1);
    assert!(told.contains("site south show 0 patients"), "labels of another site: {told}");

    let done = calibrate("north").output().expect("it runs");
    let told = said(&done);
    assert!(done.status.success(), "{told}");
    for words in ["doctors' verdicts", "registered as a candidate", "answers for every site"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let version = format!("{active}-north");
    let models = client.get("/v1/models").await;
    assert_eq!(models["active"], active, "nothing is activated");
    let item = client.get(&format!("/v1/models/{version}")).await;
    assert_eq!(item["stage"], "candidate");
    let site = &item["card"]["site"];
    assert_eq!((&site["site"], &site["source"]), (&json!("north"), &json!("verdicts")));
    assert_eq!((&site["images"], &site["parent"]["version"]), (&json!(124), &json!(active)));
    assert_eq!(item["card"]["test"]["at_threshold_of"], active);
    let list = said(&here(&["model", "list"]).output().expect("it runs"));
    assert!(
        list.contains(&format!("{version}: threshold and calibration are fitted to site north"))
    );
    let history = answers(&mut here(&["model", "history", "--json"]));
    let last = &history[0]["items"][0];
    assert_eq!((&last["action"], &last["by"]), (&json!("register"), &json!("ada")));

    // A worker takes it like any other model, and goes back.
    let again = refused(&mut calibrate("north"), 1);
    assert!(again.contains("registered already") && again.contains("--name"), "{again}");
    assert!(here(&["model", "activate", &version]).output().expect("it runs").status.success());
    let look = here(&["calibrate", "--site", "north", "--of", &active, "--json"])
        .args(["--sensitivity", "0.9"])
        .output()
        .expect("it runs");
    let look: Value = serde_json::from_slice(&look.stdout).expect("JSON");
    assert_eq!(look["version"], json!(version), "of the model that is named");
    assert_eq!(look["registered"], false);
}
