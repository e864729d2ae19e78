//! `lobar train` as its user runs it: its record, the table of runs, the log at an MLflow server, teachers; and
//! `lobar evaluate` of what came of it.

use std::path::Path;
use std::process::{Command, Output};

use lobar_testkit::services::free_port;
use lobar_testkit::services::mlflow::Mlflow;
use lobar_tests::kit::{executable, labelled_pictures};
use serde_json::Value;

fn train(folder: &Path, run: &str, more: &[&str]) -> Output {
    let data = folder.join("data");
    if !data.exists() {
        labelled_pictures(&data);
    }
    let mut command = Command::new(executable());
    command.args(["train", "--stages", "32:2", "--batch", "10", "--threads", "1", "--seed", "5"]);
    command.args(["--fp32", "--device", "cpu"]).args(more).current_dir(folder);
    command.arg("--data").arg(data).arg("--out").arg(folder.join("runs").join(run));
    let told = command.output().expect("runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    told
}

fn runs(folder: &Path, more: &[&str]) -> String {
    let told = Command::new(executable()).arg("runs").args(more).current_dir(folder).output();
    let told = told.expect("runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).expect("text")
}

#[tokio::test]
async fn a_run_is_in_its_folder_in_the_table_and_at_mlflow_with_the_same_figures() {
    let dir = tempfile::tempdir().expect("a folder");
    let mlflow = Mlflow::start().await;
    train(dir.path(), "first", &["--mlflow", &mlflow.url, "--mlflow-experiment", "chests"]);

    let record: Value = serde_json::from_str(runs(dir.path(), &["--json"]).trim()).expect("JSON");
    assert_eq!(record["run"], "first");
    let record = &record["record"];
    assert_eq!((record["seed"].as_u64(), record["train"].as_u64()), (Some(5), Some(20)));
    let epochs = record["epochs"].as_array().expect("epochs");
    assert_eq!(epochs.len(), 2);
    let table = runs(dir.path(), &[]);
    let row = table.lines().nth(1).expect("a row");
    let auc = record["result"]["on_test"]["auc"].as_f64().expect("a figure");
    let shown = ["first", "finished", "32:2", &format!("{auc:.4}")];
    assert!(shown.iter().all(|cell| row.contains(cell)), "{table}");

    let logged = mlflow.runs("chests").await;
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0]["info"]["status"], "FINISHED");
    let run = logged[0]["info"]["run_id"].as_str().expect("a number");
    let losses: Vec<f64> =
        epochs.iter().map(|epoch| epoch["loss"].as_f64().expect("a loss")).collect();
    assert_eq!(mlflow.history(run, "train_loss").await, losses);
    assert_eq!(mlflow.history(run, "test_auc").await, [auc]);
    let params = logged[0]["data"]["params"].as_array().expect("a list");
    assert!(params.iter().any(|param| param["key"] == "batch" && param["value"] == "10"));
    let files = mlflow.files(run).await;
    assert!(
        ["run.json", "evaluation.json"].iter().all(|name| files.iter().any(|file| file == name))
    );
}

#[test]
fn a_run_whose_mlflow_server_is_away_ends_well_and_says_that_nothing_was_logged() {
    let dir = tempfile::tempdir().expect("a folder");
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let told = train(dir.path(), "alone", &["--mlflow", &nowhere]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("MLflow"));
    assert!(runs(dir.path(), &[]).contains("finished"));
}

/// `lobar COMMAND` on the folder's test split with the model of a run.
fn lobar(folder: &Path, command: &str, run: &str, more: &[&str]) -> Output {
    let model = folder.join("runs").join(run).join("model.safetensors");
    let mut lobar = Command::new(executable());
    lobar.arg(command).arg("--model").arg(model).args(["--device", "cpu"]).args(more);
    lobar.current_dir(folder).output().expect("runs")
}

#[test]
fn a_model_learns_from_a_teacher_that_is_not_served_and_its_evaluation_counts_flips_and_looks() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    train(at, "teacher", &["--architecture", "efficientnet-lite0", "--name", "teacher"]);
    let picture = at.join("data/test/NORMAL/IM-0014-0001.png");
    let picture = picture.to_str().expect("a path");
    let refused = lobar(at, "predict", "teacher", &[picture]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("lobar train --teacher"), "{said}");

    let teacher = at.join("runs/teacher/model.safetensors");
    let teacher = teacher.to_str().expect("a path");
    let views = ["--teacher", teacher, "--views", "2", "--consistency", "0.1", "--balance-groups"];
    train(at, "student", &views);
    let record: Value = serde_json::from_str(
        &std::fs::read_to_string(at.join("runs/student/run.json")).expect("a record"),
    )
    .expect("JSON");
    assert_eq!(record["settings"]["views"], 2);
    assert_eq!(record["settings"]["balance_groups"], true);

    let evaluate = |more: &[&str]| -> Value {
        let more = [&["--data", "data", "--json"], more].concat();
        let told = lobar(at, "evaluate", "student", &more);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        serde_json::from_slice(&told.stdout).expect("JSON")
    };
    let whole = evaluate(&[]);
    let rows = whole["evaluation"]["stress"].as_array().expect("rows");
    assert_eq!((rows.len(), &rows[0]["images"]), (22, &8.into()));
    assert!(rows.iter().any(|row| row["change"] == "cropped by 2 %" && row["most_flips"].is_f64()));
    // Its training had shown it the test split already, and it is the only one.
    assert_eq!(whole["models_shown_this_split"], 1);
    let quick = evaluate(&["--no-stress"]);
    assert_eq!(quick["evaluation"]["stress"].as_array().map(Vec::len), Some(0));
    assert_eq!(quick["evaluation"]["auc"], whole["evaluation"]["auc"]);
}
