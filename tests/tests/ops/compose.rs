//! The compose file: by its schema, and by what it tells Lobar and the emulator.

use std::collections::BTreeSet;
use std::process::Command;

use lobar_tests::kit::executable;
use serde_json::Value;

use crate::emulator::Emulator;
use crate::tools::{at, file, python, run, said, text, yaml};

const FILE: &str = "ops/compose/compose.yaml";

fn compose() -> Value {
    yaml(&file(FILE)).remove(0)
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().expect("services").iter()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `${NAME:?…}` with something in place of the secret.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (_, after) = after.split_once('}').expect("a closed variable");
        filled += before;
        filled += "0123abcd";
        rest = after;
    }
    filled + rest
}

/// What a service sets in its environment, secrets filled in.
fn environment(service: &Value) -> Vec<(String, String)> {
    let variables = service["environment"].as_object().into_iter().flatten();
    variables.map(|(name, value)| (name.clone(), filled(value.as_str().expect("text")))).collect()
}

/// Services that run our executable.
fn roles(compose: &Value) -> Vec<(&String, &Value)> {
    let is_ours =
        |image: &str| ["lobar-node:", "lobar-worker:"].iter().any(|i| image.starts_with(i));
    services(compose).filter(|(_, s)| s["image"].as_str().is_some_and(is_ours)).collect()
}

#[test]
fn the_schema_of_compose_files_finds_it_right() {
    let schema = ["--builtin-schema", "vendor.compose-spec"];
    run(python("check-jsonschema").args(schema).arg(file(FILE)));
}

#[test]
fn every_port_is_on_loopback_and_every_image_has_a_tag() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for port in words(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{name}: {image}");
    }
}

#[test]
fn what_is_waited_for_exists_and_can_become_healthy() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for (other, wanted) in service["depends_on"].as_object().into_iter().flatten() {
            let target = &compose["services"][other];
            assert!(target.is_object(), "{name} waits for {other}, which is not there");
            let condition = wanted["condition"].as_str().expect("a condition");
            // Our own images bring their check with them.
            let checked = target["healthcheck"]["test"].is_array() || target["build"].is_object();
            let disabled = target["healthcheck"]["disable"] == true;
            match condition {
                "service_healthy" => assert!(checked && !disabled, "{other} has no health check"),
                "service_completed_successfully" => assert_ne!(target["restart"], "always"),
                other => panic!("{name}: {other}"),
            }
        }
    }
}

#[test]
fn what_is_mounted_and_built_from_is_in_the_repository() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for mount in words(&service["volumes"]) {
            let source = mount.split(':').next().expect("a source");
            match source.starts_with('.') {
                true => drop(file(&format!("ops/compose/{source}"))),
                false => assert!(compose["volumes"].get(source).is_some(), "{name}: {source}"),
            }
        }
        if let Some(build) = service["build"].as_object() {
            assert_eq!(build["context"], "../..");
            file(build["dockerfile"].as_str().expect("a path"));
        }
        for secret in words(&service["secrets"]) {
            assert!(compose["secrets"].get(secret).is_some(), "{name}: {secret}");
        }
    }
}

#[test]
fn the_settings_of_every_role_are_ones_that_lobar_takes() {
    let compose = compose();
    let dir = tempfile::tempdir().expect("a folder");
    let mut seen = BTreeSet::new();
    for (name, service) in roles(&compose) {
        let settings = environment(service);
        let mut config = Command::new(executable());
        config.arg("config").envs(settings).current_dir(dir.path());
        let shown = run(&mut config);
        assert!(shown.contains("lobar-uploads"), "{name}");
        assert!(!shown.contains(":0123abcd@"), "{name}: `lobar config` shows a password");
        // `--help` comes last: what stands before it is checked first.
        let arguments = words(&service["command"]);
        let help = Command::new(executable()).args(&arguments).arg("--help").output();
        let help = help.expect("runs");
        assert!(help.status.success(), "lobar {arguments:?}: {}", said(&help));
        seen.extend(arguments.iter().map(|word| (*word).to_owned()));
    }
    for role in ["ingest", "dicom", "worker", "api", "migrate"] {
        assert!(seen.contains(role), "nobody runs {role}");
    }
}

#[test]
fn nothing_is_set_by_a_flag_which_an_operator_s_environment_could_not_change() {
    let compose = compose();
    for (name, service) in roles(&compose) {
        let flags = words(&service["command"]).into_iter().filter(|word| word.starts_with('-'));
        assert!(flags.into_iter().all(|flag| flag == "--roles"), "{name}");
    }
    let api = environment(&compose["services"]["api"]);
    assert!(api.contains(&("LOBAR_TRUSTED_PROXIES".into(), "127.0.0.1".into())), "{api:?}");
    assert!(api.contains(&("LOBAR_LISTEN".into(), "127.0.0.1:8080".into())), "{api:?}");
}

#[test]
fn who_may_send_by_dicom_stands_in_a_list_and_the_example_in_the_readme_is_on_it() {
    let compose = compose();
    let dicom = &compose["services"]["dicom"];
    let set = environment(dicom);
    let value = |name: &str| {
        let found = set.iter().find(|(one, _)| one == name);
        found.unwrap_or_else(|| panic!("{name} is not set")).1.clone()
    };
    let peers: lobar_dicom::Peers = value("LOBAR_DICOM_PEERS").parse().expect("a list");
    // What Docker gives a client of a port that is on loopback.
    let address = "172.18.0.1".parse().expect("an address");
    let origin = lobar_dicom::Origin { address, certificate: None };
    // DCMTK's title where none is given.
    let sender = "STORESCU".parse().expect("a title");
    assert!(peers.find(&sender, origin).is_some_and(|peer| peer.may_store));
    let listens: std::net::SocketAddr = value("LOBAR_DICOM_LISTEN").parse().expect("an address");
    let published = format!("127.0.0.1:{0}:{0}", listens.port());
    assert_eq!(words(&dicom["ports"]), [published.as_str()]);
    assert!(!listens.ip().is_loopback(), "the port leads to the container's own address");
    let readme = text("ops/README.md");
    assert!(readme.contains(&format!("`storescu 127.0.0.1 {} ", listens.port())));
}

#[test]
fn a_role_has_longer_to_stop_than_it_drains() {
    let compose = compose();
    for (name, service) in roles(&compose) {
        let grace = service["stop_grace_period"].as_str().expect("a time");
        let grace: u64 = grace.trim_end_matches('s').parse().expect("seconds");
        let drain: u64 = at(service, "/environment/LOBAR_DRAIN")
            .as_str()
            .expect("text")
            .parse()
            .expect("seconds");
        assert!(grace >= drain + 10, "{name}: {grace} s to stop, {drain} s to drain");
    }
}

#[test]
fn the_example_names_every_secret_and_holds_none() {
    let example = text("ops/compose/.env.example");
    let given = example.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let given: BTreeSet<&str> = given
        .map(|line| line.strip_suffix('=').unwrap_or_else(|| panic!("{line} holds something")))
        .collect();
    let written = text(FILE);
    let mut asked: BTreeSet<&str> =
        written.split("${").skip(1).map(|rest| rest.split(":?").next().expect("a name")).collect();
    let compose = compose();
    let secrets = compose["secrets"].as_object().into_iter().flatten();
    asked.extend(secrets.map(|(_, from)| from["environment"].as_str().expect("a variable")));
    assert_eq!(given, asked);
    let ignored = text("ops/compose/.gitignore");
    assert!(ignored.contains("/.env") && ignored.contains("/secrets/"));
}

#[test]
fn prometheus_looks_for_services_that_are_there_on_the_port_that_they_listen_on() {
    let compose = compose();
    let prometheus = &yaml(&file("ops/prometheus/prometheus.yml"))[0];
    let mut found = BTreeSet::new();
    for job in prometheus["scrape_configs"].as_array().expect("jobs") {
        for looked_for in job["dns_sd_configs"].as_array().into_iter().flatten() {
            assert_eq!(looked_for["port"], 9464);
            found.extend(words(&looked_for["names"]));
        }
    }
    assert_eq!(found, BTreeSet::from(["api", "dicom", "ingest", "worker"]));
    assert!(found.iter().all(|name| compose["services"].get(*name).is_some()));
}

#[test]
fn the_set_up_makes_a_bucket_whose_uploads_are_announced_and_can_be_called_again() {
    let emulator = Emulator::start();
    let compose = compose();
    let setup = at(&compose, "/services/setup");
    let programs = python("aws").get_program().to_str().expect("UTF-8").to_owned();
    let path = std::path::Path::new(&programs).parent().expect("a folder").to_owned();
    let paths = std::env::var("PATH").expect("a PATH");
    for _ in 0..2 {
        let mut script = Command::new("sh");
        script.arg(file("ops/compose/setup.sh")).envs(environment(setup));
        script.env("PATH", format!("{}:{paths}", path.display()));
        run(script.envs(emulator.environment()));
    }
    let uploads = compose["x-settings"]["LOBAR_UPLOADS"].as_str().expect("a URL");
    let queue = uploads.strip_prefix("sqs://").and_then(|rest| rest.split('?').next());
    let ask = ["sqs", "get-queue-url", "--queue-name", queue.expect("a queue")];
    let url = emulator.ask(&ask)["QueueUrl"].as_str().expect("a URL").to_owned();
    let bucket = compose["x-settings"]["LOBAR_BUCKET"].as_str().expect("a bucket");
    emulator.assert_announces(bucket, "incoming/north/a.jpeg", &url, "ObjectCreated");
    let versioning = emulator.ask(&["s3api", "get-bucket-versioning", "--bucket", bucket]);
    assert_eq!(versioning["Status"], "Enabled");
}
