//! `lobar doctor` on what a worker needs: a child that decodes, and whom the model answers for.

use std::process::Command;

use lobar_tests::kit::executable;
use serde_json::Value;

#[test]
fn doctor_has_a_child_decode_and_says_whom_the_model_answers_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(executable());
    command.args(["doctor", "--signal", "poll:", "--json", "--data"]).arg(folder.path());
    let output = command.output().expect("it runs");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let found: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |what: &str| {
        let one = found.iter().find(|one| one["what"] == what);
        one.unwrap_or_else(|| panic!("{what} in {found:?}")).clone()
    };
    assert_eq!(of("decoding of DICOM")["verdict"], "good", "{found:?}");
    let ages = of("model: ages");
    assert_eq!(ages["verdict"], "good", "{ages}");
    assert!(ages["found"].as_str().expect("text").contains("1 to 5 years"), "{ages}");
}
