//! S3, SQS and what Terraform asks besides, emulated.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lobar_testkit::services::{Server, free_port};
use serde_json::Value;

use crate::tools::{python, run};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that nobody else uses. Ended when dropped.
pub(crate) struct Emulator {
    server: Server,
    /// Where it listens, as a URL.
    pub(crate) url: String,
}

impl Emulator {
    /// Starts it and waits until it answers.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let port = free_port().to_string();
        let program = python("ministack").get_program().to_str().expect("UTF-8").to_owned();
        let home = folder.to_str().expect("UTF-8").to_owned();
        let environment = [
            ("BIND_HOST", "127.0.0.1"),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", port.as_str()),
            ("SERVICES", "s3,sqs,iam,sts"),
            ("HOME", home.as_str()),
            ("TMPDIR", home.as_str()),
        ];
        let server = Server::new(folder, &[&program], &environment);
        server.start();
        let emulator = Self { server, url: format!("http://127.0.0.1:{port}") };
        let began = Instant::now();
        while !emulator.aws(&["sqs", "list-queues"]).status().expect("the AWS CLI runs").success() {
            assert!(began.elapsed() < PATIENCE, "no answer: {}", emulator.server.log());
        }
        emulator
    }

    /// What a program needs to use it.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 6] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ACCESS_KEY_ID", "trial"),
            ("AWS_SECRET_ACCESS_KEY", "trialtrial"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// The AWS CLI on it.
    pub(crate) fn aws(&self, arguments: &[&str]) -> Command {
        let mut command = python("aws");
        // It does not heed AWS_ENDPOINT_URL for SQS.
        command.args(["--endpoint-url", &self.url]).args(arguments).envs(self.environment());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    }

    /// What the AWS CLI answers.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        let mut command = self.aws(arguments);
        command.args(["--output", "json"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let said = run(&mut command);
        match said.trim() {
            "" => Value::Null,
            json => serde_json::from_str(json).expect("JSON"),
        }
    }

    /// A folder that goes when the emulator does.
    pub(crate) fn folder(&self) -> PathBuf {
        self.server.folder().to_owned()
    }

    /// Uploads a file under `key`, and fails unless the queue `url` then holds an event of it.
    pub(crate) fn assert_announces(&self, bucket: &str, key: &str, url: &str, event: &str) {
        let file = self.folder().join("picture");
        std::fs::write(&file, b"not a picture").expect("written");
        let target = format!("s3://{bucket}/{key}");
        self.ask(&["s3", "cp", "--only-show-errors", path(&file), &target]);
        self.assert_received(url, key, event);
    }

    /// Fails unless the queue `url` holds an event of `key`.
    pub(crate) fn assert_received(&self, url: &str, key: &str, event: &str) {
        let began = Instant::now();
        loop {
            let received = self.ask(&[
                "sqs",
                "receive-message",
                "--queue-url",
                url,
                "--wait-time-seconds",
                "2",
            ]);
            let bodies = received["Messages"].as_array().into_iter().flatten();
            for body in bodies.filter_map(|message| message["Body"].as_str()) {
                let body: Value = serde_json::from_str(body).expect("JSON");
                // The test message that S3 sends when a notification is made has no records.
                let record = &body["Records"][0];
                if record["s3"]["object"]["key"] == key {
                    assert!(record["eventName"].as_str().is_some_and(|name| name.contains(event)));
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "no event of {key}");
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
