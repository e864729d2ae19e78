//! Clients that others' generators make of the API document, in TypeScript and Python: they compile, and what they read in
//! answers is what was said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use lobar_testkit::{node_packages, python_program, workspace};
use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Fixture, eventually, ready};

/// What generators cannot make: bodies of DICOM, which DICOMweb's own clients send.
const NOT_MADE: [&str; 2] =
    ["POST /dicom-web/studies within", "POST /dicom-web/studies/{study} within"];

/// The programs that try clients, and the settings of what makes them.
fn programs() -> PathBuf {
    workspace().join("tests/clients")
}

/// What a program printed, both outputs, where it ended well.
fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}\n{errors}");
    output
}

/// A server with two results, and its document as a file.
struct Described {
    fixture: Arc<Fixture>,
    /// As the list has them.
    images: [String; 2],
    token: String,
    folder: TempDir,
}

impl Described {
    async fn open() -> Self {
        let fixture = Arc::new(Fixture::open().await);
        let token = fixture.token("clinician@north uploader@north").await;
        let keys = ["1", "2"].map(|name| format!("incoming/north/{name}.jpg"));
        let images = fixture.admit(keys).await;
        fixture.finish(&images, &ready(0.9)).await;
        let list = fixture.http.get(fixture.url("/v1/images")).bearer_auth(&token).send().await;
        let list: Value = list.expect("an answer").json().await.expect("JSON");
        let images = [0, 1].map(|n| list["items"][n]["id"].as_str().expect("an id").to_owned());
        let folder = tempfile::tempdir().expect("a folder");
        let document = fixture.http.get(fixture.url("/openapi.json")).send().await;
        let document = document.expect("an answer").bytes().await.expect("a body");
        std::fs::write(folder.path().join("openapi.json"), document).expect("written");
        std::fs::write(folder.path().join("film.jpg"), radiograph_jpeg(300, 200, 1))
            .expect("written");
        Self { fixture, images, token, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets a client do what its program tells it, and looks at what it was told.
    async fn is_told_what_is_there(&self, mut program: Command) {
        program.args([&self.fixture.base, &self.token, &self.images[0]]);
        program.arg(self.path().join("film.jpg")).current_dir(self.path());
        let output = tokio::task::spawn_blocking(move || run(&mut program)).await.expect("ran");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let uploaded = told["uploaded"].as_str().expect("an id");
        let expected = json!({
            "grants": ["clinician@north", "uploader@north"],
            "pages": self.images,
            "label": "PNEUMONIA",
            "status": "ready",
            "verdict": "disagree",
            "verdicts": ["NORMAL"],
            "uploaded": uploaded,
            "problem": "/problems/unknown-image",
        });
        assert_eq!(told, expected);
        let path = self.fixture.url(&format!("/v1/images/{uploaded}"));
        eventually("what was uploaded is an image", async || {
            let request = self.fixture.http.get(&path).bearer_auth(&self.token);
            request.send().await.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typescript_client_of_the_document_compiles_under_strict_rules_and_works() {
    let described = Described::open().await;
    let packages = node_packages(".clients");
    let modules = packages.join("node_modules");
    let node = || {
        let mut command = Command::new(packages.join("bin/node"));
        command.current_dir(described.path());
        command
    };
    let generator = modules.join("openapi-typescript/bin/cli.js");
    run(node().arg(generator).args(["openapi.json", "-o", "schema.ts"]));
    for file in ["try.ts", "tsconfig.json", "package.json"] {
        std::fs::copy(programs().join(file), described.path().join(file)).expect("copied");
    }
    std::os::unix::fs::symlink(&modules, described.path().join("node_modules")).expect("linked");
    run(node().arg(modules.join("typescript/bin/tsc")).args(["-p", "."]));
    let mut program = node();
    program.arg("try.js");
    described.is_told_what_is_there(program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_of_the_document_is_made_whole_and_works() {
    let described = Described::open().await;
    let settings = programs().join("openapi-python-client.yaml");
    let mut generator = Command::new(python_program("openapi-python-client"));
    generator.args(["generate", "--path", "openapi.json", "--output-path", "client", "--config"]);
    let output = run(generator.arg(settings).current_dir(described.path()));
    let warnings = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let lacks: Vec<_> = warnings.lines().filter(|line| line.starts_with("WARNING")).collect();
    assert_eq!(lacks.len(), NOT_MADE.len(), "{warnings}");
    for (line, expected) in lacks.iter().zip(NOT_MADE) {
        assert!(line.contains(expected), "{warnings}");
    }
    let mut program = Command::new(python_program("python3"));
    program.env("PYTHONPATH", described.path().join("client"));
    program.env("PYTHONDONTWRITEBYTECODE", "1").arg(programs().join("try.py"));
    described.is_told_what_is_there(program).await;
}

/// 3,000 requests and more, the same ones each time: those that the document allows, those that it forbids in one place, and
/// such as follow from earlier answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_answer_that_the_document_does_not_know() {
    let described = Described::open().await;
    // As long as nobody has an account, whoever asks on this machine is let in.
    described.fixture.person("anna", "admin@*").await;
    let everything = "clinician@* uploader@* operator@* auditor@* admin@*";
    let token = described.fixture.token(everything).await;
    let mut program = Command::new(python_program("schemathesis"));
    program.arg("--config-file").arg(programs().join("schemathesis.toml"));
    program.args(["run", "openapi.json", "--url", &described.fixture.base, "--no-color"]);
    program.args(["--header", &format!("Authorization: Bearer {token}")]);
    program.args(["--phases", "coverage,fuzzing,stateful", "--max-examples", "10"]);
    program.current_dir(described.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    tokio::task::spawn_blocking(move || run(&mut program)).await.expect("ran");
}
