//! Terraform on the emulated AWS: formatted, valid, applied, and a second plan without changes; then an
//! upload that arrives.
//!
//! Terraform and its provider for AWS are not in Debian, so set-up cannot install them. Where they are
//! missing this says so on the terminal and does nothing, unless `REQUIRE_TERRAFORM=1`. The provider is taken
//! from the mirror that `TERRAFORM_MIRROR` names, from the user's own CLI configuration, from the places where
//! mirrors usually lie, or from the registry.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::emulator::Emulator;
use crate::tools::{file, said};

/// Where a mirror of providers holds the one for AWS.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";

/// A copy of ops/terraform beside an emulator.
pub(crate) struct Trial {
    emulator: Emulator,
    pub(crate) folder: PathBuf,
    configuration: Configuration,
}

/// Where Terraform takes the provider from.
enum Configuration {
    /// A mirror that was found.
    Mirror(PathBuf),
    /// The user's own configuration decides.
    Own,
    /// Nothing is set: the registry, if it can be reached.
    Registry,
}

impl Configuration {
    fn find() -> Self {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
        if let Some(mirror) = folder("TERRAFORM_MIRROR") {
            assert!(mirror.join(PROVIDER).is_dir(), "TERRAFORM_MIRROR: no {PROVIDER} in it");
            return Self::Mirror(mirror);
        }
        let home = folder("HOME").unwrap_or_default();
        let own = folder("TF_CLI_CONFIG_FILE").unwrap_or_else(|| home.join(".terraformrc"));
        if own.is_file() {
            return Self::Own;
        }
        let share = folder("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
        let optional = std::fs::read_dir("/opt").into_iter().flatten().flatten();
        let usual = [
            home.join(".terraform.d/plugins"),
            share.join("terraform/plugins"),
            "/usr/local/share/terraform/plugins".into(),
            "/usr/share/terraform/plugins".into(),
        ];
        let mut places = usual.into_iter().chain(optional.map(|entry| entry.path()));
        let mirror = places.find(|place| place.join(PROVIDER).is_dir());
        mirror.map_or(Self::Registry, Self::Mirror)
    }
}

/// The files of the configuration and of the module in it.
pub(crate) fn configuration() -> Vec<PathBuf> {
    let folders = [file("ops/terraform"), file("ops/terraform/platform")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("readable"));
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "tf")).collect()
}

impl Trial {
    /// With what its modules and providers need; nothing, with a word on the terminal, where that cannot be had.
    pub(crate) fn start() -> Option<Self> {
        if !is_there("terraform") {
            left_out("there is no terraform on the PATH");
            return None;
        }
        let trial = Self::copy();
        let init = trial.terraform(&["init", "-no-color", "-input=false"]);
        if matches!(trial.configuration, Configuration::Registry) && !init.status.success() {
            left_out(&format!("its provider for AWS cannot be had: {}", said(&init)));
            return None;
        }
        assert!(init.status.success(), "{}", said(&init));
        Some(trial)
    }

    fn copy() -> Self {
        let emulator = Emulator::start();
        let folder = emulator.folder().join("terraform");
        std::fs::create_dir(&folder).expect("a folder");
        for path in configuration() {
            let copy = folder.join(path.strip_prefix(file("ops/terraform")).expect("below it"));
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
            std::fs::copy(&path, copy).expect("copied");
        }
        // Terraform's own way to change a configuration from beside it. The emulator has no host name for
        // each bucket.
        let text = "provider \"aws\" {\n  s3_use_path_style = true\n}\n";
        std::fs::write(folder.join("emulator_override.tf"), text).expect("written");
        Self { emulator, folder, configuration: Configuration::find() }
    }

    pub(crate) fn terraform(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("terraform");
        command.args(arguments).current_dir(&self.folder).envs(self.emulator.environment());
        command.envs([("CHECKPOINT_DISABLE", "1"), ("TF_IN_AUTOMATION", "1")]);
        let configuration = self.folder.join("cli.tfrc");
        match &self.configuration {
            Configuration::Own => {}
            Configuration::Registry => {
                // A variable that names a file that is not there would be warned of.
                command.env_remove("TF_CLI_CONFIG_FILE");
            }
            Configuration::Mirror(mirror) => {
                let text = format!(
                    "provider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
                    mirror.to_str().expect("UTF-8")
                );
                std::fs::write(&configuration, text).expect("written");
                command.env("TF_CLI_CONFIG_FILE", &configuration);
            }
        }
        command.output().expect("terraform runs")
    }

    pub(crate) fn must(&self, arguments: &[&str]) -> Output {
        let output = self.terraform(arguments);
        assert!(output.status.success(), "terraform {arguments:?}:\n{}", said(&output));
        output
    }
}

/// Says on the terminal, past the test runner, that the check is left out.
fn left_out(why: &str) {
    let required = std::env::var_os("REQUIRE_TERRAFORM").is_some_and(|value| value == "1");
    assert!(!required, "REQUIRE_TERRAFORM is set, but {why}");
    let text = format!("\nNOT CHECKED: ops/terraform was not applied: {why}\n");
    std::io::stderr().write_all(text.as_bytes()).expect("standard error");
}

fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

#[test]
fn what_terraform_makes_is_complete_stays_as_it_is_and_announces_uploads() {
    let Some(trial) = Trial::start() else { return };
    let plain = ["-no-color", "-input=false"];
    let with = |command: &[&'static str], more: &[&'static str]| [command, &plain, more].concat();
    trial.must(&["fmt", "-check", "-diff", "-recursive"]);
    trial.must(&["validate", "-no-color"]);

    let page = "-var=cors_origins=[\"https://lobar.example\"]";
    let variables = ["-var=bucket=xrays-trial", "-var=jobs_on_sqs=true", page];
    trial.must(&with(&["apply", "-auto-approve"], &variables));
    let again = trial.terraform(&with(&["plan", "-detailed-exitcode"], &variables));
    assert_eq!(again.status.code(), Some(0), "a second plan changes something:\n{}", said(&again));

    let outputs = trial.must(&["output", "-json"]).stdout;
    let outputs: Value = serde_json::from_slice(&outputs).expect("JSON");
    let settings = &outputs["settings"]["value"];
    assert_eq!(settings["LOBAR_UPLOADS"], "sqs://lobar-uploads");
    assert_eq!(settings["LOBAR_JOBS"], "sqs://lobar-jobs");
    let queue = outputs["uploads_queue_url"]["value"].as_str().expect("a URL");
    let emulator = &trial.emulator;
    emulator.assert_announces("xrays-trial", "incoming/north/a.jpeg", queue, "ObjectCreated");
    emulator.ask(&["s3", "rm", "s3://xrays-trial/incoming/north/a.jpeg", "--quiet"]);
    emulator.assert_received(queue, "incoming/north/a.jpeg", "ObjectRemoved");
    assert_queues(emulator, queue);
    assert_access(emulator);
    assert_policies(emulator, &outputs["policy_arns"]["value"]);
}

/// What `lobar doctor` asks of a queue, and that nobody but the bucket may send.
fn assert_queues(emulator: &Emulator, uploads: &str) {
    let attributes = |url: &str| {
        let ask = ["sqs", "get-queue-attributes", "--attribute-names", "All", "--queue-url", url];
        emulator.ask(&ask)["Attributes"].clone()
    };
    let number = |value: &Value| value.as_str().expect("text").parse::<u64>().expect("a number");
    for name in ["lobar-uploads", "lobar-jobs-stat", "lobar-jobs-routine"] {
        let url = uploads.replace("lobar-uploads", name);
        let (queue, dead) = (attributes(&url), attributes(&format!("{url}-dead")));
        let redrive: Value =
            serde_json::from_str(queue["RedrivePolicy"].as_str().expect("dead letters"))
                .expect("JSON");
        assert_eq!(redrive["deadLetterTargetArn"], dead["QueueArn"]);
        assert!(redrive["maxReceiveCount"].as_u64().expect("a number") >= 5);
        let kept = |attributes: &Value| number(&attributes["MessageRetentionPeriod"]);
        assert!(kept(&dead) > kept(&queue), "{name}: dead letters are kept longer");
    }
    let policy = attributes(uploads)["Policy"].as_str().expect("a policy").to_owned();
    let policy: Value = serde_json::from_str(&policy).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements");
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0]["Principal"]["Service"], "s3.amazonaws.com");
    let source = &statements[0]["Condition"]["ArnEquals"]["aws:SourceArn"];
    assert_eq!(source, "arn:aws:s3:::xrays-trial");
}

/// The buckets answer by TLS alone, to the pages that are listed, and it is kept who asked.
fn assert_access(emulator: &Emulator) {
    for bucket in ["xrays-trial", "xrays-trial-models", "xrays-trial-logs"] {
        let policy = emulator.ask(&["s3api", "get-bucket-policy", "--bucket", bucket]);
        let policy: Value =
            serde_json::from_str(policy["Policy"].as_str().expect("a policy")).expect("JSON");
        let statements = policy["Statement"].as_array().expect("statements");
        let tls = statements.iter().find(|statement| statement["Sid"] == "TlsOnly");
        let tls = tls.unwrap_or_else(|| panic!("{bucket} answers without TLS"));
        assert_eq!(tls["Effect"], "Deny");
        assert_eq!(tls["Condition"]["Bool"]["aws:SecureTransport"], "false");
    }
    let cors = emulator.ask(&["s3api", "get-bucket-cors", "--bucket", "xrays-trial"]);
    let origins = &cors["CORSRules"][0]["AllowedOrigins"];
    assert_eq!(*origins, serde_json::json!(["https://lobar.example"]));
    let logging = emulator.ask(&["s3api", "get-bucket-logging", "--bucket", "xrays-trial"]);
    assert_eq!(logging["LoggingEnabled"]["TargetBucket"], "xrays-trial-logs");
}

/// Nobody may do everything, and only who must may delete images, store and receive.
fn assert_policies(emulator: &Emulator, arns: &Value) {
    for (role, arn) in arns.as_object().expect("roles") {
        let arn = arn.as_str().expect("an ARN");
        let version = ["iam", "get-policy-version", "--version-id", "v1", "--policy-arn", arn];
        let document = emulator.ask(&version)["PolicyVersion"]["Document"].clone();
        // An emulator may answer the document as text.
        let text = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
        let has = |action: &str| text.contains(&format!("\"{action}\""));
        assert!(!text.contains("s3:*") && !text.contains("sqs:*"), "{role} may do everything");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let statements = document["Statement"].as_array().expect("statements").clone();
        for statement in &statements {
            let on = statement["Resource"].to_string();
            let probe = role == "doctor" && on.ends_with("/incoming/lobar-doctor/probe/*\"");
            let deletes = statement.to_string().contains("DeleteObject");
            // These erase: docs/erasure.md.
            let erases =
                ["api", "ingest"].contains(&role.as_str()) && statement["Sid"] == "Objects";
            assert!(!deletes || probe || erases, "{role} may delete images: {statement}");
        }
        let puts = |sid: &str| {
            let statement = statements.iter().find(|statement| statement["Sid"] == sid);
            statement.is_some_and(|statement| statement.to_string().contains("s3:PutObject"))
        };
        assert_eq!(
            puts("Objects"),
            ["api", "dicom", "doctor"].contains(&role.as_str()),
            "{role}: images"
        );
        assert_eq!(puts("Models"), ["worker", "doctor"].contains(&role.as_str()), "{role}: models");
        let consumes = ["ingest", "worker", "doctor"].contains(&role.as_str());
        assert_eq!(has("sqs:ReceiveMessage"), consumes, "{role} and receiving");
        assert!(has("s3:ListBucket"), "{role} cannot tell missing from forbidden");
    }
}

#[test]
fn no_path_of_a_mirror_is_in_the_configuration() {
    for path in configuration() {
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(!text.contains("filesystem_mirror"), "{}", path.display());
    }
}
