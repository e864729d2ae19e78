//! All settings together, and what is wrong with each.

use clap::{Args as _, Command, FromArgMatches as _};

use super::settle::settle;
use super::*;

/// For every setting a value that differs from its default, and values that cannot work. A setting that is
/// missing here fails `every_setting_is_in_the_table`.
const TABLE: &[(&str, &str, &[&str])] = &[
    ("data", "/var/lib/lobar", &[""]),
    ("listen", "127.0.0.1:1", &["", "localhost", "127.0.0.1", "127.0.0.1:99999"]),
    ("tls_cert", "/etc/lobar/chain.pem", &[""]),
    ("tls_key", "/etc/lobar/key.pem", &[""]),
    ("trusted_proxies", "127.0.0.1,10.0.0.0/8,fd00::/8", &["", "proxy.example", "0.0.0.0/0"]),
    ("insecure_http", "on", &["", "1", "yes"]),
    ("hosts", "a.example,b", &["", "host:80", "a,,b"]),
    (
        "dicomweb_origins",
        "https://viewer.example,http://localhost:3000",
        &[
            "",
            "*",
            "null",
            "viewer.example",
            "https://viewer.example/",
            "https://me:hidden@viewer.example",
        ],
    ),
    ("local_user", "off", &["", "yes"]),
    ("metrics_listen", "0.0.0.0:9464", &["9464"]),
    ("s3_listen", "127.0.0.1:2", &["s3"]),
    ("s3_forms", "on", &["", "yes", "true"]),
    ("dicom_listen", "127.0.0.1:4242", &["", "11112", "localhost"]),
    ("dicom_ae_title", "ROOM 1", &["", "SEVENTEEN_LETTERS", "A\\B"]),
    ("dicom_check_called", "on", &["", "yes"]),
    (
        "dicom_peers",
        "CR1=10.0.0.5/32 site=north lane=stat",
        &["CR1", "CR1=10.0.0.5", "CR1=x site=north", "CR1=10.0.0.5 site=north cert=ab"],
    ),
    ("dicom_classes", "1.2.840.10008.5.1.4.1.1.2", &["CT", "1.2.840.10008.1.1"]),
    ("junk_names", "thumbs.db,*.txt", &["", "*", "a/b"]),
    ("dicom_unreadable", "accept", &["", "drop"]),
    ("dicom_tls_cert", "chain.pem", &[""]),
    ("dicom_tls_key", "key.pem", &[""]),
    ("dicom_tls_client_ca", "ca.pem", &[""]),
    ("s3_endpoint", "http://127.0.0.1:3", &["", "127.0.0.1:3", "ftp://x", "http://me:hidden@x"]),
    ("bucket", "images", &["", "x rays", "s3://xrays"]),
    ("store", "postgres://me@db/lobar", &["", "mysql://me:hidden@x", "sqlite:", "postgres://"]),
    ("uploads", "sqs://uploads?region=eu-west-1", &["sqs://", "kafka://x", "sqs://q?x=1"]),
    ("jobs", "amqps://mq/lobar", &["amqp://", "redis://x", "sqs://a b"]),
    ("signal", "redis://h:1/2", &["memory", "http://x", "redis://h/x"]),
    ("model", "/models/one.safetensors", &[""]),
    ("models", "s3://weights/here", &["", "/var/models", "s3://"]),
    ("device", "cuda:1", &["", "gpu9", "cuda:"]),
    ("precision", "int8", &["", "fp7"]),
    ("unlike", "warn", &["", "perhaps", "unchecked"]),
    ("threads", "3", &["0", "-1", "many"]),
    ("replicas", "2", &["0", "257", "all"]),
    ("batch", "8", &["0", "257"]),
    ("drain", "5", &["-1", "5s", "86401"]),
    ("scale_target", "90", &["0", "1.5"]),
    ("scale_floor", "2", &["-1", "10001"]),
    ("scale_ceiling", "20", &["x", "10001"]),
    ("scale_calm", "30", &["-1", "86401"]),
    ("scale_processes", "4", &["0", "257"]),
    ("events_retention", "7d", &["", "7", "0d", "7w"]),
    ("quarantine_retention", "36h", &["", "-1d"]),
    ("results_retention", "3650d", &["", "never"]),
    ("images_retention", "3650d", &["", "0d", "never"]),
    ("versions_retention", "7d", &["", "0h"]),
    ("session_idle", "45m", &["", "30", "0m", "31d"]),
    ("session_max", "7d", &["", "12", "forever"]),
    ("oidc_issuer", "https://id.example/realm", &["", "id.example", "http://id.example"]),
    ("oidc_client_id", "lobar", &["", "a b"]),
    ("oidc_client_secret_file", "/etc/lobar/oidc", &[""]),
    ("oidc_scopes", "profile,groups", &["", "a b"]),
    ("oidc_groups_claim", "realm_access.roles", &["", "a..b"]),
    ("oidc_name_claim", "email", &["", "a b"]),
    ("oidc_roles", "it=operator@*; x-rays=clinician@north", &["", "x", "x=root@*"]),
    ("oidc_label", "Hospital ID", &["", "a\tb"]),
    ("oidc_session_max", "1h", &["", "1"]),
    ("audit_retention", "365d", &["", "179d", "never"]),
    ("opinion_first", "0.05", &["", "1.5", "5%", "-0.1"]),
    ("opinion_first_sites", "north=0.5,south=0", &["", "north", "north=2", "a b=0", "a=0,a=1"]),
    ("exposure_retention", "365d", &["", "0d", "never"]),
    ("double_reading_sites", "north,south", &["", "north,", "a b", "north,north", "*,north"]),
    ("reading_cap", "4h", &["", "0m", "8", "never"]),
    ("reading_lease", "5m", &["", "0m", "600", "forever"]),
    ("log", "debug,lobar_worker=trace", &["", "info,lobar=loud"]),
    ("log_format", "json", &["", "xml"]),
    ("otlp", "http://collector:4318", &["", "collector:4318", "grpc://c", "http://me:hidden@c"]),
];

fn command() -> Command {
    PartialSettings::augment_args(Command::new("lobar").no_binary_name(true))
}

fn flags(words: impl IntoIterator<Item = String>) -> Result<PartialSettings, String> {
    let matches = command().try_get_matches_from(words);
    matches.and_then(|m| PartialSettings::from_arg_matches(&m)).map_err(|error| error.to_string())
}

fn flag(name: &str, value: &str) -> String {
    format!("--{}={value}", name.replace('_', "-"))
}

fn settled(given: PartialSettings, file: &str) -> Result<Settings, Failure> {
    settle(given, file::parse(file).expect("a readable file"), &|_| None)
}

#[test]
fn every_setting_is_in_the_table() {
    let command = command();
    let settings: Vec<_> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
    let table: Vec<_> = TABLE.iter().map(|(name, ..)| *name).collect();
    assert_eq!(settings, table);
    for arg in command.get_arguments() {
        let name = arg.get_id().as_str().to_uppercase();
        let variable = arg.get_env().expect("every setting has a variable");
        assert_eq!(variable.to_str(), Some(format!("LOBAR_{name}").as_str()));
    }
}

#[test]
fn a_value_that_cannot_work_is_refused_by_name_wherever_it_stands() {
    for (name, right, wrong) in TABLE {
        assert!(!wrong.is_empty(), "{name} refuses nothing");
        assert!(flags([flag(name, right)]).is_ok(), "{name} = {right}");
        for value in *wrong {
            let error = flags([flag(name, value)]).expect_err(&format!("{name} = {value:?}"));
            assert!(error.contains(&format!("--{}: ", name.replace('_', "-"))), "{error}");
            let line = format!("{name} = {}", toml::Value::from(*value));
            let error = file::parse(&line).expect_err(&line);
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}

#[test]
fn printed_settings_read_again_as_the_same() {
    for given in [
        PartialSettings::default(),
        flags(TABLE.iter().map(|(name, right, _)| flag(name, right))).expect("valid"),
    ] {
        let settings = settled(given, "").expect("valid");
        assert_eq!(
            settled(PartialSettings::default(), &settings.to_toml()).expect("valid"),
            settings
        );
    }
}

#[test]
fn every_setting_is_printed() {
    let given = flags(TABLE.iter().map(|(name, right, _)| flag(name, right))).expect("valid");
    let settings = settled(given, "").expect("valid");
    let printed: toml::Table = settings.to_toml().parse().expect("TOML");
    for (name, right, _) in TABLE {
        let shown = printed.get(*name).unwrap_or_else(|| panic!("{name} is not printed"));
        let shown = match shown {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        assert_eq!(shown, *right, "{name}");
    }
}

#[test]
fn passwords_are_not_printed_and_what_is_printed_reads_again() {
    let file = "store = 'postgres://me:hidden@db/x'\nuploads = 'amqp://me:hidden@mq/x'\n\
                jobs = 'postgres://db/x?password=hidden'\nsignal = 'rediss://:hidden@redis'";
    let settings = settled(PartialSettings::default(), file).expect("valid");
    let printed = settings.to_toml();
    assert!(
        !printed.contains("hidden") && !format!("{settings:?}").contains("hidden"),
        "{printed}"
    );
    let again = settled(PartialSettings::default(), &printed).expect("valid");
    assert_eq!(again.to_toml(), printed);
    assert!(
        matches!(&settings.store, StoreUrl::Postgres(it) if it.reveal() == "postgres://me:hidden@db/x")
    );
}

#[test]
fn help_tells_every_scheme() {
    let command = command();
    for (name, schemes) in [
        ("store", StoreUrl::KNOWN),
        ("uploads", QueueUrl::KNOWN),
        ("jobs", QueueUrl::KNOWN),
        ("signal", SignalUrl::KNOWN),
    ] {
        let arg = command.get_arguments().find(|arg| arg.get_id() == name).expect("a setting");
        let help = arg.get_help().expect("help").to_string();
        for scheme in schemes.split(", ") {
            let (scheme, _) = scheme.split_once(':').expect("a scheme");
            let told = help.contains(&format!("`{scheme}:"));
            assert!(told, "{name}: {scheme} is not in {help:?}");
        }
    }
}

#[test]
fn the_manual_has_a_row_for_every_setting() {
    let manual = include_str!("../../../docs/operating.md");
    for (name, ..) in TABLE {
        let (variable, flag) = (name.to_uppercase(), name.replace('_', "-"));
        let row = format!("| `LOBAR_{variable}` | `--{flag}` |");
        assert!(manual.contains(&row), "docs/operating.md has no row {row}");
    }
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let given = flags(["--bucket=flag".into()]).expect("valid");
    let settings = settled(given, "bucket = \"file\"\nbatch = 8").expect("valid");
    assert_eq!((settings.bucket.as_str(), settings.batch.get()), ("flag", 8));
    assert_eq!(settings.device, DeviceChoice::Auto);
}

#[test]
fn databases_lie_in_the_data_folder_unless_said_otherwise() {
    let settings = settled(PartialSettings::default(), "data = '/x'").expect("valid");
    assert_eq!(settings.store.to_string(), "sqlite:/x/lobar.db");
}

#[test]
fn a_fleet_whose_floor_is_above_its_ceiling_is_refused() {
    let error =
        settled(PartialSettings::default(), "scale_floor = 11").expect_err("refused").to_string();
    assert!(error.contains("scale_ceiling"), "{error}");
    assert!(settled(PartialSettings::default(), "scale_ceiling = 0").is_err());
    let policy = settled(PartialSettings::default(), "scale_floor = 0").expect("valid").scaling();
    assert_eq!((policy.floor, policy.ceiling), (0, 10));
}

#[test]
fn models_do_not_lie_among_uploads() {
    let settings = settled(PartialSettings::default(), "").expect("valid");
    assert_eq!(settings.models.to_string(), "s3://lobar-models");
    let error =
        settled(PartialSettings::default(), "models = \"s3://xrays/models\"").expect_err("refused");
    assert!(error.to_string().contains("bucket of uploads"), "{error}");
}

#[test]
fn a_queue_whose_lanes_would_have_too_long_names_is_refused() {
    let error = settled(PartialSettings::default(), &format!("jobs = 'sqs://{}'", "q".repeat(73)));
    assert!(error.expect_err("refused").to_string().contains("jobs is"));
}

#[test]
fn there_is_a_local_user_only_where_no_other_machine_reaches_the_page() {
    let has =
        |file: &str| settled(PartialSettings::default(), file).expect("valid").has_local_user();
    assert!(has(""));
    assert!(has("listen = \"[::1]:8080\""));
    assert!(!has("local_user = \"off\""));
    assert!(!has("listen = \"0.0.0.0:8080\""));
    assert!(!has("trusted_proxies = \"127.0.0.1\""));
}

#[test]
fn a_certificate_without_its_key_is_refused_and_so_are_files_that_are_not_there() {
    for half in ["tls_cert = '/c.pem'", "tls_key = '/k.pem'"] {
        let error = settled(PartialSettings::default(), half).expect_err("refused").to_string();
        assert!(error.contains("LOBAR_TLS_CERT") && error.contains("LOBAR_TLS_KEY"), "{error}");
    }
    let both = settled(PartialSettings::default(), "tls_cert = '/nope'\ntls_key = '/k.pem'");
    let error = relations::check_places(&both.expect("valid")).expect_err("refused").to_string();
    assert!(error.contains("tls_cert is /nope"), "{error}");
}

#[test]
fn half_a_pair_of_credentials_is_refused() {
    let error =
        settled(PartialSettings::default(), "[s3]\naccess_key = \"x\"").expect_err("refused");
    assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"));
}

#[test]
fn the_secret_reaches_no_output() {
    let env = |name: &str| name.starts_with("AWS_").then(|| "hidden".to_owned() + &name[4..5]);
    let settings =
        settle(PartialSettings::default(), PartialSettings::default(), &env).expect("valid");
    assert_eq!(settings.s3_credentials.as_ref().expect("given").secret_key.reveal(), "hiddenS");
    let shown = format!("{settings:?}{}", settings.to_toml());
    assert!(!shown.contains("hiddenS") && shown.contains("hiddenA"));
    assert!(
        settle(
            PartialSettings::default(),
            file::parse(&settings.to_toml()).expect("readable"),
            &|_| None
        )
        .is_ok()
    );
}

#[test]
fn half_a_provider_is_refused_and_its_secret_reaches_no_output() {
    let env = |name: &str| (name == oidc::SECRET).then(|| "hidden".to_owned());
    let with = |text: &str, env: &dyn Fn(&str) -> Option<String>| {
        settle(PartialSettings::default(), file::parse(text).expect("readable"), env)
    };
    let whole =
        "oidc_issuer = 'https://id.example'\noidc_client_id = 'x'\noidc_roles = 'a=reader@*'";
    for (half, missing) in [
        ("oidc_client_id = 'x'", "LOBAR_OIDC_ISSUER"),
        ("oidc_issuer = 'https://id.example'\noidc_roles = 'a=reader@*'", "LOBAR_OIDC_CLIENT_ID"),
        ("oidc_issuer = 'https://id.example'\noidc_client_id = 'x'", "LOBAR_OIDC_ROLES"),
    ] {
        let error = with(half, &|_| None).expect_err(half).to_string();
        assert!(error.contains(missing), "{error}");
    }
    assert!(with("", &env).expect_err("refused").to_string().contains("LOBAR_OIDC_ISSUER"));
    let settings = with(whole, &env).expect("valid");
    assert!(!format!("{settings:?}{}", settings.to_toml()).contains("hidden"));
    let handed_on = settings.oidc.expect("set").settings().expect("readable");
    assert_eq!(handed_on.client_secret.expect("given").0, "hidden");
}

#[test]
fn a_secret_from_a_file_is_named_by_that_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    std::fs::write(&path, "hidden\n").expect("written");
    let file = format!("[s3]\naccess_key = 'x'\nsecret_key_file = '{}'", path.display());
    let settings = settled(PartialSettings::default(), &file).expect("valid");
    assert!(!settings.to_toml().contains("hidden"));
    assert_eq!(settled(PartialSettings::default(), &settings.to_toml()).expect("valid"), settings);
}

#[test]
fn a_model_that_is_not_there_and_a_data_folder_that_is_a_file_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let check = |line: String| {
        relations::check_places(&settled(PartialSettings::default(), &line).expect("valid"))
    };
    let error = check(format!("data = '{}'", file.display())).expect_err("refused");
    assert!(error.to_string().contains("data is") && error.code() == 2, "{error}");
    let checked = check("model = '/nope'".into());
    if cfg!(feature = "torch") {
        let error = checked.expect_err("refused");
        assert!(error.to_string().contains("model is /nope") && error.code() == 2, "{error}");
    }
    assert!(check(format!("model = '{}'", file.display())).is_ok());
}
