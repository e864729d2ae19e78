//! An endpoint with its queue, and the S3 clients that are not ours.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use lobar_aws::Credentials;
use lobar_core::accounts::S3KeyPair;
use lobar_core::queue::{Queue, Settlement};
use lobar_core::time::SystemClock;
use lobar_endpoint::{Endpoint, EndpointOptions, People};
use lobar_s3::{S3ObjectStore, S3Options};
use lobar_sql::sqlite::{self, SqliteQueue, SqliteStore};
use lobar_testkit::python_program;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A page that may use the endpoint.
pub(crate) const PAGE: &str = "http://127.0.0.1:8080";

/// An endpoint that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) uploads: Arc<dyn Queue>,
    /// The queue, people and the audit record.
    pub(crate) queues: Arc<SqliteStore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Opens and runs an endpoint on a free port, with its queue in the same folder.
pub(crate) async fn start(folder: &Path) -> Running {
    start_with(folder, |_| {}).await
}

/// The same with other options.
pub(crate) async fn start_with(
    folder: &Path,
    change: impl FnOnce(&mut EndpointOptions),
) -> Running {
    let queues = sqlite::open(&folder.join("queue.db"), Arc::new(SystemClock)).await;
    let queues = Arc::new(queues.expect("the queue opens"));
    let uploads: Arc<dyn Queue> = Arc::new(SqliteQueue::new(queues.clone(), "uploads"));
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut options =
        EndpointOptions::new(folder.join("s3"), any, server_key_pair(), uploads.clone());
    options.people = Some(People { accounts: queues.clone(), audit: queues.clone() });
    change(&mut options);
    let endpoint = Endpoint::open(options).await.expect("the endpoint opens");
    let address = endpoint.local_addr();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(endpoint.run(stop.clone()));
    tasks.close();
    Running { address, uploads, queues, stop, tasks }
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Our own adapter on it.
    pub(crate) async fn objects(&self) -> S3ObjectStore {
        self.objects_with(key_pair()).await
    }

    pub(crate) async fn objects_with(&self, credentials: Credentials) -> S3ObjectStore {
        let options = self.s3_options("xrays");
        S3ObjectStore::connect(S3Options { credentials: Some(credentials), ..options }).await
    }

    /// How our adapters reach a bucket of it.
    pub(crate) fn s3_options(&self, bucket: &str) -> S3Options {
        S3Options {
            endpoint: Some(self.url()),
            region: Some("us-east-1".to_owned()),
            credentials: Some(key_pair()),
            attempts: 1,
            ..S3Options::new(bucket)
        }
    }

    /// Takes the events that are on the queue, at least `least` of them.
    pub(crate) async fn events(&self, least: usize) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let enough = events.len() >= least;
            let wait = if enough { Duration::ZERO } else { Duration::from_secs(10) };
            let lease = Duration::from_secs(60);
            let got = self.uploads.receive(10, wait, lease).await.expect("the queue answers");
            if got.is_empty() {
                assert!(enough, "only {} of {least} events came", events.len());
                return events;
            }
            let done = got.iter().map(|d| (d.receipt.clone(), Settlement::Done)).collect();
            for settled in self.uploads.settle(done).await {
                settled.expect("the lease is held");
            }
            for delivery in got {
                let event: Value = serde_json::from_slice(&delivery.body).expect("JSON");
                let records = event["Records"].as_array().expect("records").clone();
                events.extend(records);
            }
        }
    }

    /// Stops it as `lobar up` does, and closes the queue.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.queues.close().await;
    }
}

/// The key pair of every endpoint here.
pub(crate) const KEY_PAIR: (&str, &str) = ("trial", "trialtrialtrialtrialtrialtrialtrialtrial");

/// The key pair as our adapters take it.
pub(crate) fn key_pair() -> Credentials {
    Credentials::new(KEY_PAIR.0, KEY_PAIR.1)
}

/// The key pair as the endpoint takes it.
pub(crate) fn server_key_pair() -> lobar_endpoint::Credentials {
    lobar_endpoint::Credentials::new(KEY_PAIR.0, KEY_PAIR.1)
}

/// A foreign client that talks to the endpoint with its key pair and no other settings.
fn client(program: PathBuf, url: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_ACCESS_KEY_ID", KEY_PAIR.0)
        .env("AWS_SECRET_ACCESS_KEY", KEY_PAIR.1)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", url)
        // The AWS CLI 1 and boto3 sign URLs by Signature Version 2 unless they are told.
        .env("AWS_CONFIG_FILE", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/aws.ini"))
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1");
    command
}

/// Runs the AWS CLI and returns what it printed; it must succeed.
pub(crate) async fn aws(url: &str, arguments: &[&str]) -> String {
    let output = try_aws(url, arguments).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "aws {arguments:?} failed:\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs the AWS CLI.
pub(crate) async fn try_aws(url: &str, arguments: &[&str]) -> Output {
    let mut command = client(python_program("aws"), url);
    command.args(arguments);
    run(command).await
}

/// Runs the AWS CLI with another key pair.
pub(crate) async fn aws_as(url: &str, pair: &S3KeyPair, arguments: &[&str]) -> Output {
    let mut command = client(python_program("aws"), url);
    command.args(arguments);
    run(signing(command, pair)).await
}

fn signing(mut command: Command, pair: &S3KeyPair) -> Command {
    command.env("AWS_ACCESS_KEY_ID", &pair.access_key);
    command.env("AWS_SECRET_ACCESS_KEY", &pair.secret_key);
    command
}

/// Runs a script of `tests/python`; its assertions are the test.
pub(crate) async fn python(url: &str, script: &str) {
    let pair = S3KeyPair { access_key: KEY_PAIR.0.into(), secret_key: KEY_PAIR.1.into() };
    python_as(url, &pair, script).await;
}

/// The same with another key pair.
pub(crate) async fn python_as(url: &str, pair: &S3KeyPair, script: &str) {
    let mut command = signing(client(python_program("python"), url), pair);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script));
    let output = run(command).await;
    assert!(
        output.status.success(),
        "{script} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn run(mut command: Command) -> Output {
    // The endpoint runs on this runtime: its threads must not wait for the client.
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("not cancelled").expect("the client starts")
}

/// An HTTP client that knows nothing of S3.
pub(crate) fn http() -> reqwest::Client {
    // A second test of this process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Bytes without a pattern, the same for the same seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
