//! Foreign programs that the checks call.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lobar_tests::kit::workspace;
use serde_json::Value;

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    let path = workspace().join(path);
    assert!(path.exists(), "{} is missing", path.display());
    path
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).expect("readable")
}

/// A program of the tests' Python environment.
pub(crate) fn python(program: &str) -> Command {
    let path = workspace().join(".venv/bin").join(program);
    assert!(path.exists(), "{} is missing: run `make test`, which installs it", path.display());
    Command::new(path)
}

/// Runs it and answers its standard output; fails with all that it said when it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Everything that a program said.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// The documents of a YAML file.
pub(crate) fn yaml(path: &Path) -> Vec<Value> {
    let program = "import json, sys, yaml\n\
                   print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let json = run(python("python").args(["-c", program]).arg(path));
    serde_json::from_str(&json).expect("JSON")
}

/// The text at a place in a document: `/spec/template`.
pub(crate) fn at<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer} of {document}"))
}
