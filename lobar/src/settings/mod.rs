//! What can be set, where it comes from, and what it means.
//!
//! Defaults < file (`lobar.toml`, `--config`) < environment `LOBAR_*` < flags. Everything is parsed
//! once, here, into types that cannot be wrong; nothing else in the program reads the environment.

mod file;
mod models;
mod roles;
mod shown;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lobar_core::scaling::Policy;
use serde::Serialize;

pub use models::ModelsPlace;
pub use roles::{Role, Roles};

use crate::failure::Failure;

/// Settings that may be missing; flags and environment on one side, the file on the other.
#[derive(Args, Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// Folder for everything that is kept on this machine.
    #[arg(long, env = "LOBAR_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the page and the API.
    #[arg(long, env = "LOBAR_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Host names by which browsers reach the page, beside localhost and addresses; with commas.
    #[arg(long, env = "LOBAR_HOSTS", value_name = "NAME,…", value_delimiter = ',')]
    pub hosts: Option<Vec<String>>,
    /// Address of `/metrics`, `/livez` and `/readyz` alone; for nodes without the api role.
    #[arg(long, env = "LOBAR_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,
    /// Address of the embedded S3 endpoint.
    #[arg(long, env = "LOBAR_S3_LISTEN", value_name = "ADDR")]
    pub s3_listen: Option<SocketAddr>,
    /// Address of an S3 endpoint elsewhere, instead of the embedded one.
    #[arg(long, env = "LOBAR_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Bucket to watch.
    #[arg(long, env = "LOBAR_BUCKET", value_name = "NAME")]
    pub bucket: Option<String>,
    /// Where results live: `sqlite:FILE`.
    #[arg(long, env = "LOBAR_STORE", value_name = "URL")]
    pub store: Option<String>,
    /// Where upload notifications arrive: `sqlite:FILE`.
    #[arg(long, env = "LOBAR_UPLOADS", value_name = "URL")]
    pub uploads: Option<String>,
    /// Where jobs wait for workers: `sqlite:FILE`.
    #[arg(long, env = "LOBAR_JOBS", value_name = "URL")]
    pub jobs: Option<String>,
    /// How changes are announced: `memory:` within one process, `redis://…` between several, which
    /// also caches answers and knows the workers, `poll:` between several without any service.
    #[arg(long, env = "LOBAR_SIGNAL", value_name = "URL")]
    pub signal: Option<String>,
    /// Model file (safetensors with its card).
    #[arg(long, env = "LOBAR_MODEL", value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Where models' weights lie: `s3://BUCKET[/PREFIX]`, with the endpoint and credentials of the
    /// uploads bucket.
    #[arg(long, env = "LOBAR_MODELS", value_name = "URL")]
    pub models: Option<ModelsPlace>,
    /// Where the network runs: `auto`, `cpu`, `cuda:N`.
    #[arg(long, env = "LOBAR_DEVICE", value_name = "DEVICE")]
    pub device: Option<String>,
    /// Arithmetic of the network: `auto`, `fp32`, `bf16`, `int8`.
    #[arg(long, env = "LOBAR_PRECISION", value_name = "PRECISION")]
    pub precision: Option<String>,
    /// What becomes of an image unlike those that the model was trained on: `human` leaves it to a person,
    /// `warn` answers it with a warning.
    #[arg(long, env = "LOBAR_UNLIKE", value_name = "WHAT")]
    pub unlike: Option<String>,
    /// Threads of the network on a CPU.
    #[arg(long, env = "LOBAR_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// Most images in one batch.
    #[arg(long, env = "LOBAR_BATCH", value_name = "N")]
    pub batch: Option<usize>,
    /// Seconds that work in flight may take to finish when the process is told to stop.
    #[arg(long, env = "LOBAR_DRAIN", value_name = "SECONDS")]
    pub drain: Option<u64>,
    /// Seconds in which a backlog should be worked off; how many workers are wanted follows from it.
    #[arg(long, env = "LOBAR_SCALE_TARGET", value_name = "SECONDS")]
    pub scale_target: Option<u64>,
    /// Fewest workers wanted, whatever the load.
    #[arg(long, env = "LOBAR_SCALE_FLOOR", value_name = "N")]
    pub scale_floor: Option<u32>,
    /// Most workers wanted, whatever the load.
    #[arg(long, env = "LOBAR_SCALE_CEILING", value_name = "N")]
    pub scale_ceiling: Option<u32>,
    /// What to log: a level, or a filter such as `info,lobar_worker=debug`.
    #[arg(long, env = "LOBAR_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log: `text` or `json`.
    #[arg(long, env = "LOBAR_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Credentials, from the environment or the file only.
    #[arg(skip)]
    pub s3: S3Given,
}

/// The S3 settings that the file may hold; the environment's `AWS_*` go before them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Given {
    /// Access key id.
    pub access_key: Option<String>,
    /// File that holds the secret access key.
    pub secret_key_file: Option<PathBuf>,
    /// Region.
    pub region: Option<String>,
}

/// How log lines look.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything, settled.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    /// Compared without regard to case; without ports.
    pub hosts: Vec<String>,
    pub metrics_listen: Option<SocketAddr>,
    pub s3_listen: SocketAddr,
    pub s3_endpoint: Option<String>,
    /// `None`: the published defaults for the embedded endpoint, the usual AWS chain elsewhere.
    pub s3_credentials: Option<KeyPair>,
    pub s3_region: String,
    pub bucket: String,
    #[serde(serialize_with = "shown::without_password")]
    pub store: String,
    #[serde(serialize_with = "shown::without_password")]
    pub uploads: String,
    #[serde(serialize_with = "shown::without_password")]
    pub jobs: String,
    #[serde(serialize_with = "shown::without_password")]
    pub signal: String,
    pub model: Option<PathBuf>,
    pub models: ModelsPlace,
    pub device: String,
    pub precision: String,
    pub unlike: String,
    pub threads: Option<usize>,
    pub batch: usize,
    pub drain_seconds: u64,
    pub scale_target: u64,
    pub scale_floor: u32,
    pub scale_ceiling: u32,
    pub log: String,
    pub log_format: LogFormat,
}

/// S3 credentials.
#[derive(Clone, Debug, Serialize)]
pub struct KeyPair {
    pub access_key: String,
    pub secret_key: Secret,
}

/// A text that never reaches an output.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one who must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

impl Settings {
    /// Settles flags and environment (`given`), the file and the defaults.
    pub fn load(given: Given, config: Option<PathBuf>) -> Result<Self, Failure> {
        refuse_unknown_variables(
            std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()),
        )?;
        let file = file::read(config)?;
        settle(given, file, &|name| {
            #[allow(clippy::disallowed_methods)] // the one place that reads the environment
            std::env::var(name).ok().filter(|value| !value.is_empty())
        })
    }
}

fn settle(
    given: Given,
    file: Given,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, Failure> {
    let data = given.data.or(file.data).unwrap_or_else(|| "data".into());
    let database = |name: &str| format!("sqlite:{}", data.join(name).display());
    let s3_credentials = key_pair(&file.s3, env)?;
    let settings = Settings {
        listen: given.listen.or(file.listen).unwrap_or(([127, 0, 0, 1], 8080).into()),
        hosts: given.hosts.or(file.hosts).unwrap_or_default(),
        metrics_listen: given.metrics_listen.or(file.metrics_listen),
        s3_listen: given.s3_listen.or(file.s3_listen).unwrap_or(([127, 0, 0, 1], 9000).into()),
        s3_endpoint: given.s3_endpoint.or(file.s3_endpoint),
        s3_credentials,
        s3_region: env("AWS_REGION")
            .or_else(|| env("AWS_DEFAULT_REGION"))
            .or(file.s3.region)
            .unwrap_or("us-east-1".into()),
        bucket: given.bucket.or(file.bucket).unwrap_or("xrays".into()),
        store: given.store.or(file.store).unwrap_or_else(|| database("lobar.db")),
        uploads: given.uploads.or(file.uploads).unwrap_or_else(|| database("queues.db")),
        jobs: given.jobs.or(file.jobs).unwrap_or_else(|| database("queues.db")),
        signal: given.signal.or(file.signal).unwrap_or("memory:".into()),
        model: given.model.or(file.model),
        models: given.models.or(file.models).unwrap_or_default(),
        device: given.device.or(file.device).unwrap_or("auto".into()),
        precision: given.precision.or(file.precision).unwrap_or("auto".into()),
        unlike: given.unlike.or(file.unlike).unwrap_or("human".into()),
        threads: given.threads.or(file.threads),
        batch: given.batch.or(file.batch).unwrap_or(16),
        drain_seconds: given.drain.or(file.drain).unwrap_or(30),
        scale_target: given.scale_target.or(file.scale_target).unwrap_or(60),
        scale_floor: given.scale_floor.or(file.scale_floor).unwrap_or(1),
        scale_ceiling: given.scale_ceiling.or(file.scale_ceiling).unwrap_or(10),
        log: given.log.or(file.log).unwrap_or("info,actix_server=warn".into()),
        log_format: given.log_format.or(file.log_format).unwrap_or_default(),
        data,
    };
    settings.check()?;
    Ok(settings)
}

/// Both halves or neither.
fn key_pair(
    file: &S3Given,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<KeyPair>, Failure> {
    let access_key = env("AWS_ACCESS_KEY_ID").or(file.access_key.clone());
    let secret_key = match (env("AWS_SECRET_ACCESS_KEY"), &file.secret_key_file) {
        (Some(secret), _) => Some(secret),
        (None, Some(path)) => Some(
            std::fs::read_to_string(path)
                .map_err(|e| Failure::usage(format!("s3.secret_key_file {}: {e}", path.display())))?
                .trim()
                .to_owned(),
        ),
        (None, None) => None,
    };
    match (access_key, secret_key) {
        (Some(access_key), Some(secret)) => {
            Ok(Some(KeyPair { access_key, secret_key: Secret(secret) }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(Failure::usage(
            "there is an S3 access key but no secret; set AWS_SECRET_ACCESS_KEY or s3.secret_key_file",
        )),
        (None, Some(_)) => Err(Failure::usage(
            "there is an S3 secret but no access key; set AWS_ACCESS_KEY_ID or s3.access_key",
        )),
    }
}

impl Settings {
    /// Where the embedded S3 endpoint listens, when the settings mean that one.
    pub fn embedded_s3(&self) -> Option<SocketAddr> {
        let embedded = self.s3_endpoint.is_none() && self.uploads.starts_with("sqlite:");
        embedded.then_some(self.s3_listen)
    }

    /// How many workers there should be for a load.
    pub fn scaling(&self) -> Policy {
        let target = Duration::from_secs(self.scale_target);
        Policy::within(target, self.scale_floor, self.scale_ceiling)
    }

    /// What each setting alone cannot tell.
    fn check(&self) -> Result<(), Failure> {
        if !(1..=256).contains(&self.batch) {
            return Err(Failure::usage(format!("batch is {}; it must be 1 to 256", self.batch)));
        }
        if self.threads == Some(0) {
            return Err(Failure::usage("threads is 0; it must be at least 1"));
        }
        if self.scale_target == 0 {
            return Err(Failure::usage("scale_target is 0; it is a number of seconds, at least 1"));
        }
        if self.scale_floor > self.scale_ceiling || self.scale_ceiling == 0 {
            return Err(Failure::usage(format!(
                "scale_floor is {} and scale_ceiling is {}; the ceiling must be at least 1 and not \
                 below the floor",
                self.scale_floor, self.scale_ceiling
            )));
        }
        if self.models.bucket == self.bucket {
            return Err(Failure::usage(format!(
                "models is {}, in the bucket of uploads, where every model would be taken for an \
                 image; name another bucket",
                self.models
            )));
        }
        if self.s3_credentials.is_none() && !self.s3_listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "s3_listen is {}, which other machines can reach, but the S3 credentials are the \
                 published defaults; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                self.s3_listen
            )));
        }
        if !self.listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "listen is {}, which other machines can reach, but nobody has to sign in yet; \
                 listen on 127.0.0.1 and put a proxy that authenticates in front",
                self.listen
            )));
        }
        Ok(())
    }
}

/// Variables of the set-up scripts and the tests, which are no settings.
const NOT_SETTINGS: [&str; 8] = [
    "LOBAR_BIN",
    "LOBAR_CACHE",
    "LOBAR_CONFIG",
    "LOBAR_CUDA",
    "LOBAR_LIBTORCH_CUDA",
    "LOBAR_NODE_BIN",
    "LOBAR_TEST_DATA",
    "LOBAR_VENV",
];

/// A misspelt `LOBAR_*` is an error, not a silent default.
fn refuse_unknown_variables(names: impl Iterator<Item = String>) -> Result<(), Failure> {
    let command = Given::augment_args(clap::Command::new("settings"));
    let known: Vec<&str> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env().and_then(|name| name.to_str()))
        .chain(NOT_SETTINGS)
        .collect();
    for name in names.filter(|name| name.starts_with("LOBAR_")) {
        if !known.contains(&name.as_str()) {
            return Err(Failure::usage(format!(
                "the environment variable {name} is no setting; known are {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(given: Given, file: &str) -> Result<Settings, Failure> {
        settle(given, file::parse(file).expect("a readable file"), &|_| None)
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let given = Given { bucket: Some("flag".into()), ..Given::default() };
        let settings = settled(given, "bucket = \"file\"\nbatch = 8").expect("valid");
        assert_eq!((settings.bucket.as_str(), settings.batch), ("flag", 8));
        assert_eq!(settings.device, "auto");
    }

    #[test]
    fn databases_lie_in_the_data_folder_unless_said_otherwise() {
        let settings = settled(Given { data: Some("/x".into()), ..Given::default() }, "");
        assert_eq!(settings.expect("valid").store, "sqlite:/x/lobar.db");
    }

    #[test]
    fn a_fleet_whose_floor_is_above_its_ceiling_is_refused() {
        let given = Given { scale_floor: Some(11), ..Given::default() };
        assert!(settled(given, "").expect_err("refused").to_string().contains("scale_ceiling"));
        assert!(settled(Given::default(), "scale_ceiling = 0").is_err());
        assert!(settled(Given::default(), "scale_target = 0").is_err());
        let policy = settled(Given::default(), "scale_floor = 0").expect("valid").scaling();
        assert_eq!((policy.floor, policy.ceiling), (0, 10));
    }

    #[test]
    fn models_do_not_lie_among_uploads() {
        assert_eq!(
            settled(Given::default(), "").expect("valid").models.to_string(),
            "s3://lobar-models"
        );
        let error =
            settled(Given::default(), "models = \"s3://xrays/models\"").expect_err("refused");
        assert!(error.to_string().contains("bucket of uploads"), "{error}");
        assert!(file::parse("models = \"/var/models\"").is_err());
    }

    #[test]
    fn default_credentials_stay_on_loopback() {
        let refused = settled(Given::default(), "s3_listen = \"0.0.0.0:9000\"");
        assert!(refused.expect_err("refused").to_string().contains("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn half_a_pair_of_credentials_is_refused() {
        let error = settled(Given::default(), "[s3]\naccess_key = \"x\"").expect_err("refused");
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn a_misspelt_variable_is_refused_by_name() {
        let names = ["PATH", "LOBAR_BUKET"].map(String::from);
        let error = refuse_unknown_variables(names.into_iter()).expect_err("refused");
        assert!(error.to_string().contains("LOBAR_BUKET"));
        assert!(refuse_unknown_variables(["LOBAR_BUCKET".into()].into_iter()).is_ok());
    }

    #[test]
    fn the_secret_reaches_no_output() {
        let env = |name: &str| name.starts_with("AWS_").then(|| "hidden".to_owned() + &name[4..5]);
        let settings = settle(Given::default(), Given::default(), &env).expect("valid");
        assert_eq!(settings.s3_credentials.as_ref().expect("given").secret_key.reveal(), "hiddenS");
        let shown = format!("{settings:?}{}", serde_json::to_string(&settings).expect("JSON"));
        assert!(!shown.contains("hiddenS") && shown.contains("hiddenA"));
    }
}
