//! The systemd units, as far as they can be checked without a systemd that runs.

use std::process::Command;

use lobar_tests::kit::executable;

use crate::tools::{run, text};

const INSTALLED: &str = "/opt/lobar/bin/lobar";

/// What the unit starts: the arguments after the executable.
fn started(unit: &str) -> Vec<&str> {
    let line =
        unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some(INSTALLED));
    words.collect()
}

#[test]
fn the_unit_of_the_autoscaler_is_valid_and_starts_what_there_is() {
    let unit = text("ops/systemd/lobar-autoscale.service");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lobar-autoscale.service");
    let executable = executable();
    let here = unit.replace(INSTALLED, executable.to_str().expect("UTF-8"));
    std::fs::write(&path, here).expect("written");
    run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path));

    // The settings are read, and then there is no signal that reaches other processes.
    let arguments = started(&unit);
    let config = folder.path().join("lobar.toml");
    std::fs::write(&config, "").expect("written");
    let here = arguments.iter().map(|word| match *word {
        "/etc/lobar/lobar.toml" => config.to_str().expect("UTF-8"),
        "/var/lib/lobar" => folder.path().to_str().expect("UTF-8"),
        word => word,
    });
    let output = Command::new(&executable).args(here).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("signal is memory:"), "{said}");
}
