//! A hospital's uploader: from `lobar token add --s3` on the server to results, by the AWS CLI and boto3.

use std::path::Path;
use std::process::{Command, Output};

use lobar_tests::kit::{Client, Lobar, executable, originals, workspace};
use serde_json::{Value, json};

/// Images of each client.
const IMAGES: usize = 4;

fn token(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(executable());
    command.arg("token").args(arguments).arg("--data").arg(data);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.output().expect("it runs")
}

/// A program of the tests' Python environment that signs with this key pair.
fn client(lobar: &Lobar, pair: &Value, program: &str) -> Command {
    let path = workspace().join(".venv/bin").join(program);
    assert!(path.exists(), "{} is missing: run `make test`, which installs it", path.display());
    let text = |name: &str| pair[name].as_str().expect("text").to_owned();
    let mut command = Command::new(path);
    command
        .env("AWS_ACCESS_KEY_ID", text("access_key_id"))
        .env("AWS_SECRET_ACCESS_KEY", text("secret_access_key"))
        .env("AWS_ENDPOINT_URL", &lobar.s3)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_SHARED_CREDENTIALS_FILE");
    command
}

fn http() -> reqwest::Client {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

#[tokio::test]
async fn a_site_uploads_with_its_own_key_pair_until_that_is_revoked_and_never_for_another_site() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, IMAGES);
    let lobar = Lobar::up(&data);
    let add = ["add", "scanner", "--grant", "uploader@north", "--new-site", "--s3", "--json"];
    let added = token(&data, &add);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let added: Value = serde_json::from_slice(&added.stdout).expect("one JSON object");
    let pair = &added["s3"];
    let listed = String::from_utf8(token(&data, &["list", "--json"]).stdout).expect("text");
    assert!(listed.contains("scanner") && !listed.contains("lobar_k_"), "{listed}");

    let copy = |to: &str| {
        let mut copy = client(&lobar, pair, "aws");
        copy.args(["s3", "cp", "--recursive", "--only-show-errors"]).arg(&files).arg(to);
        copy.status().expect("the AWS CLI runs").success()
    };
    assert!(!copy("s3://xrays/incoming/south/"));
    assert!(copy("s3://xrays/incoming/north/"));
    let script = "import boto3, pathlib, sys\n\
                  s3 = boto3.client('s3')\n\
                  for file in pathlib.Path(sys.argv[1]).iterdir():\n    \
                      s3.upload_file(str(file), 'xrays', 'incoming/north/stat/' + file.name)\n";
    let mut boto3 = client(&lobar, pair, "python");
    assert!(boto3.args(["-c", script]).arg(&files).status().expect("Python runs").success());

    let images = Client::new(&lobar.page).settled(2 * IMAGES).await;
    assert_eq!(images.iter().filter(|image| image["status"] == "ready").count(), 2 * IMAGES);
    assert!(images.iter().all(|image| image["site"] == "north"));

    // The api makes pairs too, and signs links to upload with that of its caller: the local user here.
    let http = http();
    let post = async |path: &str, body: Value| -> Value {
        let answer = http.post(format!("{}{path}", lobar.page)).json(&body).send();
        answer.await.expect("an answer").json().await.expect("JSON")
    };
    let reader = json!({ "name": "reader", "grants": ["reader@north"], "s3": true });
    let made = post("/v1/tokens", reader).await;
    let made = made["s3"]["access_key_id"].as_str().expect("a pair");
    assert!(made.starts_with("LOBARM"), "{made}");
    let link = post("/v1/uploads", json!({ "site": "north", "names": ["a.jpg"] })).await;
    let link = link["uploads"][0]["url"].as_str().expect("a URL").to_owned();
    let follow = async || http.put(&link).body("picture").send().await.expect("an answer").status();
    assert_eq!(follow().await, 200);
    let mut add = Command::new(executable());
    add.args(["user", "add", "anna", "--grant", "admin@*", "--data"]).arg(&data);
    assert!(add.output().expect("it runs").status.success());
    assert_eq!(follow().await, 403, "there is no local user any more");

    assert!(token(&data, &["revoke", "scanner"]).status.success());
    assert!(!copy("s3://xrays/incoming/north/"));
    assert_eq!(lobar.stop(), 0);
    let log = std::fs::read_to_string(data.with_extension("log")).expect("a log");
    assert!(!log.contains("lobar_k_") && !log.contains("incoming/north/"));
}
