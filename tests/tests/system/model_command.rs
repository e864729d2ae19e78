//! `lobar model` as its user runs it, beside a system that runs: everything but a worker, whose network
//! these weights are not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lobar_tests::kit::{Client, Lobar, executable};
use serde_json::{Value, json};

/// A system without a worker, and the command line beside it.
struct Hospital {
    lobar: Lobar,
    folder: tempfile::TempDir,
}

impl Hospital {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let roles = ["run", "--signal", "poll:", "--roles", "s3,ingest,api"];
        let lobar = Lobar::start(&executable(), &roles, &folder.path().join("data"));
        Self { lobar, folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let s3 = self.lobar.s3.trim_start_matches("http://");
        Command::new(executable())
            .args(arguments)
            .args(["--s3-listen", s3, "--data"])
            .arg(self.folder.path().join("data"))
            .env("USER", "ada")
            .output()
            .expect("it runs")
    }

    fn model(&self, arguments: &[&str]) -> Output {
        self.run(&[&["model"], arguments].concat())
    }

    /// What a command answers to a program.
    fn answer(&self, arguments: &[&str]) -> Value {
        let output = self.model(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// What a command that fails says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.model(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    /// A weights file whose card says what `change` makes of a complete one.
    fn file(&self, version: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let figures = json!({ "images": 1, "auc": 0.9, "accuracy": 0.9, "sensitivity": 0.95,
            "specificity": 0.9 });
        let mut card = json!({
            "format": "1", "version": version, "labels": ["NORMAL", "PNEUMONIA"],
            "sublabels": ["VIRAL", "BACTERIAL"],
            "preprocessing": { "version": "grey224-v1", "side": 224, "trained_side": 224,
                "mean": 0.449, "std": 0.226 },
            "blocks": [1, 1, 1, 1], "width": 4, "threshold": 0.4, "temperature": 1.5,
            "training": { "data_sha256": "", "images": 1, "settings": {} },
            "validation": figures, "test": figures, "population": "none",
            "created_at": "1970-01-01T00:00:00Z",
        });
        change(&mut card);
        let path = self.folder.path().join(format!("{}.safetensors", version.replace('/', "-")));
        std::fs::write(&path, safetensors(&card)).expect("written");
        path
    }
}

/// The format's smallest file: a header with metadata, and one number.
/// <https://github.com/huggingface/safetensors#format>
fn safetensors(card: &Value) -> Vec<u8> {
    let header = json!({
        "__metadata__": { "lobar.card": card.to_string() },
        "bias": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] },
    });
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &1.0_f32.to_le_bytes()].concat()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test]
async fn a_model_is_registered_activated_and_rolled_back_while_the_system_runs() {
    let hospital = Hospital::open();
    let client = Client::new(&hospital.lobar.page);
    assert_eq!(hospital.answer(&["list"])["items"], json!([]));
    let files = ["first", "second"].map(|version| hospital.file(version, |_| {}));
    for file in &files {
        let model = hospital.answer(&["register", text(file)]);
        assert_eq!(
            (&model["stage"], &model["card"]["threshold"]),
            (&json!("candidate"), &json!(0.4))
        );
    }
    let again = hospital.model(&["register", text(&files[0])]);
    let again = String::from_utf8(again.stdout).expect("text");
    assert!(again.contains("registered already; it is candidate"), "{again}");
    for version in ["first", "second"] {
        assert_eq!(hospital.answer(&["activate", version])["active"], version);
        assert_eq!(client.get("/v1/models").await["active"], version, "the server sees it");
    }
    assert_eq!(hospital.answer(&["rollback"])["active"], "first");
    assert!(hospital.refused(&["rollback"]).contains("no earlier model"));
    assert!(hospital.refused(&["retire", "first"]).contains("activate another one"));
    assert_eq!(hospital.answer(&["shadow", "second"])["shadow"], "second");
    assert_eq!(hospital.answer(&["compare", "second"])["items"], json!([]));
    assert_eq!(hospital.answer(&["unshadow"])["shadow"], Value::Null);
    assert_eq!(hospital.answer(&["retire", "second"])["stage"], "retired");
    assert!(hospital.refused(&["activate", "third"]).contains("lobar model list"));

    let history = hospital.answer(&["history"]);
    let changes = history["items"].as_array().expect("a list");
    assert_eq!(changes.len(), 7);
    assert!(changes.iter().all(|change| change["by"] == "ada"), "{history}");
    let list = hospital.model(&["list"]);
    let list = String::from_utf8(list.stdout).expect("text");
    let lines: Vec<Vec<&str>> =
        list.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(lines, [["VERSION", "STAGE"], ["second", "retired"], ["first", "active"]]);
}

#[tokio::test]
async fn weights_without_what_serving_needs_are_refused_with_what_to_do() {
    let hospital = Hospital::open();
    let absent = |field: &'static str| move |card: &mut Value| card[field] = Value::Null;
    for (field, words) in [
        ("threshold", "no threshold"),
        ("temperature", "no temperature"),
        ("validation", "no evaluation on validation"),
        ("test", "no evaluation on the test split"),
    ] {
        let file = hospital.file("incomplete", absent(field));
        let refused = hospital.refused(&["register", text(&file)]);
        assert!(refused.contains(words) && refused.contains("evaluate the model"), "{refused}");
    }
    let file = hospital.file("a/b", |_| {});
    assert!(hospital.refused(&["register", text(&file)]).contains("--name"));
    let foreign = hospital.folder.path().join("notes.safetensors");
    std::fs::write(&foreign, "these are notes").expect("written");
    assert!(hospital.refused(&["register", text(&foreign)]).contains("not a whole safetensors"));

    let file = hospital.file("taken", |_| {});
    hospital.answer(&["register", text(&file)]);
    let file = hospital.file("taken", |card| card["threshold"] = json!(0.5));
    assert!(hospital.refused(&["register", text(&file)]).contains("other weights"));
    assert_eq!(hospital.answer(&["list"])["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_doctor_looks_whether_the_active_model_can_be_read() {
    let hospital = Hospital::open();
    let look = || {
        let output =
            hospital.run(&["doctor", "--roles", "s3,ingest,api", "--signal", "poll:", "--json"]);
        let lines = String::from_utf8(output.stdout).expect("text");
        let checks = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let check = checks.into_iter().find(|check| check["what"] == "active model");
        check.unwrap_or_else(|| panic!("nothing on models: {lines}"))
    };
    assert_eq!(look()["verdict"], "advice", "none was activated");
    let file = hospital.file("first", |_| {});
    hospital.answer(&["register", text(&file)]);
    hospital.answer(&["activate", "first"]);
    let check = look();
    assert_eq!(check["verdict"], "good", "{check}");
    assert_eq!(check["found"], "first, whose weights can be read");
}

#[test]
fn a_data_folder_that_is_not_there_is_a_slip_and_is_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere");
    let output = Command::new(executable())
        .args(["model", "list", "--data"])
        .arg(&nowhere)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--data"), "{}", said(&output));
    assert!(!nowhere.exists());
}
