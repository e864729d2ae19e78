//! Settings that cannot work are refused by name, by every command that reads them, before anything starts.

use std::path::Path;
use std::process::{Command, Output};

use lobar_tests::kit::{executable, node_executable};

/// What cannot work, and the value that the message must not repeat if it has a password.
const WRONG: [(&str, &str); 9] = [
    ("LOBAR_DEVICE", "gpu9"),
    ("LOBAR_PRECISION", "fp7"),
    ("LOBAR_UNLIKE", "perhaps"),
    ("LOBAR_STORE", "mysql://me:hidden@db/x"),
    ("LOBAR_UPLOADS", "sqs://"),
    ("LOBAR_JOBS", "amqp://me:hid/den@mq"),
    ("LOBAR_SIGNAL", "redis://:hidden@h/first"),
    ("LOBAR_LOG", "info,lobar=loud"),
    ("LOBAR_BATCH", "0"),
];

/// Every command that reads the settings of a service, with what else it cannot do without.
const COMMANDS: [&[&str]; 17] = [
    &["config"],
    &["up"],
    &["run", "--roles", "ingest,worker,api"],
    &["autoscale"],
    &["plan", "--images", "10", "--rate", "1"],
    &["doctor"],
    &["migrate"],
    &["model", "list"],
    &["model", "register", "x.safetensors"],
    &["data", "export", "--out", "out"],
    &["retrain", "--base", "base", "--out", "out"],
    &["calibrate", "--site", "north"],
    &["bench", "all"],
    &["bench", "pipeline"],
    &["bench", "stat"],
    &["bench", "site"],
    &["predict", "x.png"],
];

fn run(executable: &Path, arguments: &[&str], variable: (&str, &str), folder: &Path) -> Output {
    let mut command = Command::new(executable);
    command.args(arguments).env(variable.0, variable.1).current_dir(folder);
    command.output().expect("runs")
}

fn assert_refused(output: &Output, named: &str, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{what}: {said}");
    assert!(said.contains(named), "{what} does not name {named}: {said}");
    assert!(!said.contains("hidden") && !said.contains("hid/den"), "{what}: {said}");
}

#[test]
fn a_setting_that_cannot_work_is_refused_by_name_with_and_without_libtorch() {
    let folder = tempfile::tempdir().expect("a folder");
    for executable in [executable(), node_executable()] {
        for (name, value) in WRONG {
            let output = run(&executable, &["config"], (name, value), folder.path());
            assert_refused(&output, name, &format!("{name}={value}"));
        }
    }
}

#[test]
fn every_command_that_reads_settings_refuses_a_wrong_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in COMMANDS {
        let output = run(&executable(), arguments, ("LOBAR_DEVICE", "gpu9"), folder.path());
        assert_refused(&output, "LOBAR_DEVICE: \"gpu9\"", &arguments.join(" "));
    }
    assert_eq!(folder.path().read_dir().expect("readable").count(), 0, "something was begun");
}

#[test]
fn a_model_file_that_is_not_there_is_refused_where_there_is_a_network_to_run_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let nope = ("LOBAR_MODEL", "/nope");
    for arguments in [&["config"][..], &["up"], &["doctor"], &["predict", "x.png"]] {
        let output = run(&executable(), arguments, nope, folder.path());
        assert_refused(&output, "model is /nope", &arguments.join(" "));
    }
    let shared = run(&node_executable(), &["config"], nope, folder.path());
    assert!(shared.status.success(), "{}", String::from_utf8_lossy(&shared.stderr));
}

#[test]
fn the_file_s_values_are_refused_by_key_and_what_is_printed_is_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lobar.toml");
    std::fs::write(&file, "batch = 8\nstore = \"mysql://me:hidden@db/x\"\n").expect("written");
    let output = run(&executable(), &["config"], ("LOBAR_BATCH", "4"), folder.path());
    assert_refused(&output, "lobar.toml: store: no adapter for `mysql:`", "lobar.toml");
    std::fs::remove_file(&file).expect("removed");

    let printed = run(&executable(), &["config"], ("LOBAR_BATCH", "4"), folder.path()).stdout;
    std::fs::write(&file, &printed).expect("written");
    let again = run(&executable(), &["config"], ("LOBAR_BATCH", "4"), folder.path()).stdout;
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&printed));
}
