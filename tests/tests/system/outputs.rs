//! Outputs that are closed or full: a log stops nothing, and a result that did not arrive is told.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use lobar_tests::kit::{Client, Lobar, executable, originals};

fn config(stdout: impl Into<Stdio>) -> Output {
    let mut command = Command::new(executable());
    let child = command.arg("config").stdout(stdout).stderr(Stdio::piped()).spawn();
    child.expect("starts").wait_with_output().expect("ends")
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_neither_the_service_nor_its_stop() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, 2);
    std::os::unix::fs::symlink("/dev/full", data.with_extension("log")).expect("linked");
    let lobar = Lobar::up(&data);
    let mut upload = Command::new(executable());
    upload.args(["upload", "--to", &lobar.page, "--site", "north"]).arg(&files);
    let full = File::options().append(true).open("/dev/full").expect("opens");
    let upload = upload.env("XDG_STATE_HOME", dir.path()).stderr(full).status().expect("runs");
    assert!(upload.success());
    let client = Client::new(&lobar.page);
    client.settled(2).await;
    let dropped = client.metric("lobar_telemetry_log_lines_dropped_total").await;
    assert!(dropped.is_some_and(|lines| lines > 0.0), "{dropped:?}");
    assert_eq!(lobar.stop(), 0);
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = config(writer);
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn an_answer_that_could_not_be_written_is_a_failure_that_says_so() {
    let ended = config(File::options().append(true).open("/dev/full").expect("opens"));
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("standard output could not be written"), "{said}");
}

#[test]
fn a_pipe_that_nobody_writes_to_is_not_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let pipe = dir.path().join("x.png");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("runs").success());
    let output = Command::new(executable()).args(["predict", "--json"]).arg(&pipe).output();
    let output = output.expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("not a regular file"), "{said}");
}
