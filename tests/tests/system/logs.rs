//! With JSON chosen, whatever a service writes is JSON, a line an object.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use lobar_tests::kit::executable;
use serde_json::Value;

/// Any port of this machine.
const ANY: &str = "127.0.0.1:0";

/// A service that writes JSON, its page on `listen`.
fn service(data: &Path, listen: &str, more: &[(&str, &str)]) -> Command {
    let mut command = Command::new(executable());
    command.args(["run", "--roles", "s3,ingest,api", "--data"]).arg(data);
    command.args(["--listen", listen, "--s3-listen", ANY]);
    let log = [
        ("LOBAR_LOG_FORMAT", "json"),
        ("LOBAR_LOG", "info,lobar_api=debug"),
        ("LOBAR_SIGNAL", "poll:"),
    ];
    command.envs(log).envs(more.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn objects(text: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(text);
    let object = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for name in ["timestamp", "level", "message", "target"] {
            assert!(value[name].is_string(), "{name}: {line}");
        }
        value
    };
    text.lines().map(object).collect()
}

#[test]
fn the_start_up_message_and_every_log_line_are_json() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut child = service(dir.path(), ANY, &[]).spawn().expect("starts");
    let mut said = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut said).expect("it starts");
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(told.expect("kill runs").success());
    std::io::Read::read_to_string(&mut stdout, &mut said).expect("read");
    let ended = child.wait_with_output().expect("ends");
    assert!(ended.status.success());
    let said = objects(said.as_bytes());
    let [started] = &said[..] else { panic!("{said:?}") };
    assert_eq!(started["message"], "started");
    for address in ["page", "s3"] {
        let url = started[address].as_str().expect("told");
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    }
    let log = objects(&ended.stderr);
    assert!(log.iter().any(|line| line["message"] == "stopped"), "{log:?}");
}

#[test]
fn a_service_that_cannot_start_says_so_in_json() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind(ANY).expect("bound");
    let taken = taken.local_addr().expect("bound").to_string();
    let cases = [
        ("no number", ANY, ("LOBAR_BATCH", "0"), 2),
        ("no certificate", ANY, ("LOBAR_TLS_CERT", "/nowhere/cert.pem"), 2),
        ("a port that is taken", &taken, ("LOBAR_BATCH", "1"), 1),
    ];
    for (case, listen, setting, code) in cases {
        let ended = service(dir.path(), listen, &[setting]).output().expect("ends");
        let log = objects(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{case}: {log:?}");
        assert_eq!(log.last().expect("a line")["level"], "ERROR", "{case}: {log:?}");
        assert!(ended.stdout.is_empty(), "{case}");
    }
}
