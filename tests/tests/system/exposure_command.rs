//! `lobar exposure` as its user runs it, on a store that nothing else has open.

use std::path::Path;
use std::process::{Command, Output};

use lobar_tests::kit::executable;
use serde_json::{Value, json};

fn lobar(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(executable());
    command.args(arguments).arg("--data").arg(data);
    command.args(["--store", &format!("sqlite:{}", data.join("lobar.db").display())]);
    command.env("USER", "ada").output().expect("it runs")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_report_is_printed_and_who_asked_for_it_is_on_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    let migrated = lobar(&data, &["migrate"]);
    assert!(migrated.status.success(), "{}", said(&migrated.stderr));
    let report = lobar(&data, &["exposure", "report"]);
    assert!(report.status.success(), "{}", said(&report.stderr));
    assert!(
        said(&report.stdout).contains("No first opinion was given"),
        "{}",
        said(&report.stdout)
    );
    let truth = folder.path().join("labels.csv");
    std::fs::write(&truth, "image,label\n00000000-0000-0000-0000-000000000001,NORMAL\n")
        .expect("written");
    let truth = truth.to_str().expect("text");
    let report = lobar(&data, &["exposure", "report", "--truth", truth, "--by-person", "--json"]);
    let answer: Value = serde_json::from_slice(&report.stdout).expect("one JSON object");
    assert_eq!(answer, json!({ "with_truth": true, "sites": [] }));

    let record = lobar(&data, &["audit", "export"]);
    let asked: Vec<Value> = said(&record.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|entry: &Value| entry["action"] == "exposure_read")
        .collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|entry| entry["actor"] == "command line"), "{asked:?}");
    assert!(asked[1]["detail"].as_str().expect("text").contains("\"by_person\":true"), "{asked:?}");
}

#[test]
fn labels_that_cannot_be_read_are_refused_by_their_line_and_told_to_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let truth = folder.path().join("labels.csv");
    std::fs::write(&truth, "image,label\nDoe Jane,NORMAL\n").expect("written");
    let truth = truth.to_str().expect("text");
    let refused = lobar(folder.path(), &["exposure", "report", "--truth", truth]);
    let words = said(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("line 2") && !words.contains("Doe"), "{words}");
    let both = ["exposure", "report", "--truth", truth, "--adjudicator", "chief"];
    assert_eq!(lobar(folder.path(), &both).status.code(), Some(2));
}
