//! `lobar doctor` on what a worker needs: a child that decodes, and whom the model answers for.

use std::process::Command;

use lobar_tests::kit::executable;
use serde_json::Value;

/// What it finds, by what it looked at.
fn found(outsiders: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(executable());
    command.args(["doctor", "--signal", "poll:", "--json", "--data"]).arg(folder.path());
    let output = command.env("LOBAR_OUT_OF_POPULATION", outsiders).output().expect("it runs");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn doctor_has_a_child_decode_and_says_when_others_than_the_model_s_ages_are_answered() {
    for (outsiders, verdict) in [("human", "good"), ("warn", "advice")] {
        let found = found(outsiders);
        let of = |what: &str| {
            let one = found.iter().find(|one| one["what"] == what);
            one.unwrap_or_else(|| panic!("{what} in {found:?}")).clone()
        };
        assert_eq!(of("decoding of DICOM")["verdict"], "good", "{found:?}");
        let ages = of("model: ages");
        assert_eq!(ages["verdict"], verdict, "{ages}");
        assert!(ages["found"].as_str().expect("text").contains("1 to 5 years"), "{ages}");
    }
}
