//! Kubernetes: by its schemas, KEDA by its own, and by what the pods are told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use lobar_tests::kit::executable;
use serde_json::Value;

use crate::tools::{at, file, python, run, said, text, yaml};

/// The YAML files of a folder and of those within it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("readable");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            all.push(path);
        }
    }
    all
}

/// Everything in `ops/kubernetes`, read once.
fn everything() -> &'static [Value] {
    static ALL: LazyLock<Vec<Value>> = LazyLock::new(|| {
        files(&file("ops/kubernetes")).iter().flat_map(|path| yaml(path)).collect()
    });
    &ALL
}

pub(crate) fn documents(kind: &str) -> Vec<Value> {
    everything().iter().filter(|document| document["kind"] == kind).cloned().collect()
}

pub(crate) fn named<'a>(documents: &'a [Value], name: &str) -> &'a Value {
    let found = documents.iter().find(|document| document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// The pods of Deployments and Jobs.
fn pods() -> Vec<Value> {
    let mut all = documents("Deployment");
    all.extend(documents("Job"));
    all.iter().map(|document| at(document, "/spec/template/spec").clone()).collect()
}

fn containers(pod: &Value) -> &Vec<Value> {
    pod["containers"].as_array().expect("containers")
}

/// The schema of a kind that is not Kubernetes' own.
fn schema(kind: &str) -> PathBuf {
    file("tests/tests/ops/schemas").join(format!("{kind}.json"))
}

/// What its schema, Kubernetes' own or that of its kind, says against each document.
pub(crate) fn faults(documents: &[Value]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (at, document) in documents.iter().enumerate() {
        let kind = document["kind"].as_str().expect("a kind").to_owned();
        let path = dir.path().join(format!("{at}.yaml"));
        std::fs::write(&path, document.to_string()).expect("written");
        let foreign = schema(&kind).exists();
        kinds.entry(if foreign { kind } else { String::new() }).or_default().push(path);
    }
    let checked = kinds.iter().map(|(kind, paths)| {
        let mut check = if kind.is_empty() {
            let mut check = python("kubernetes-validate");
            check.arg("--strict");
            check
        } else {
            let mut check = python("check-jsonschema");
            check.arg("--schemafile").arg(schema(kind));
            check
        };
        check.args(paths).output().expect("runs")
    });
    checked.filter(|output| !output.status.success()).map(|output| said(&output)).collect()
}

#[test]
fn the_schemas_find_every_document_right() {
    let found = faults(everything());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_schemas_of_other_makers_find_a_misspelt_field_wrong() {
    let wrong = [
        ("ScaledObject", "maxReplicaCount", 4),
        ("TriggerAuthentication", "spec", 2),
        ("PodMonitor", "podMetricsEndpoints", 1),
        ("NodePool", "consolidateAfter", 1),
        ("Kustomization", "resources", 3),
        ("Component", "resources", 10),
    ];
    for (kind, field, how_many) in wrong {
        let right = documents(kind);
        assert!(right.len() <= how_many && !right.is_empty(), "{kind}: {}", right.len());
        let misspelt = right.iter().map(|document| {
            let text = document.to_string().replacen(&format!("\"{field}\""), "\"speck\"", 1);
            serde_json::from_str(&text).expect("JSON")
        });
        let found = faults(&misspelt.collect::<Vec<_>>()).concat();
        for at in 0..right.len() {
            let seen = found.contains(&format!("{at}.yaml"));
            assert!(seen, "{kind} {at}: a misspelt {field} is not seen: {found}");
        }
    }
}

#[test]
fn what_is_scaled_leaves_its_number_to_the_scaler_and_outlives_its_drain() {
    let deployments = documents("Deployment");
    let settings = documents("ConfigMap");
    let settings = at(named(&settings, "lobar-settings"), "/data");
    for scaled in documents("ScaledObject") {
        let target = at(&scaled, "/spec/scaleTargetRef/name").as_str().expect("a name");
        assert!(at(named(&deployments, target), "/spec").get("replicas").is_none());
        let (least, most) =
            (at(&scaled, "/spec/minReplicaCount"), at(&scaled, "/spec/maxReplicaCount"));
        assert_eq!(settings["LOBAR_SCALE_FLOOR"], least.to_string(), "what is wanted, is allowed");
        assert_eq!(settings["LOBAR_SCALE_CEILING"], most.to_string());
        let fallback = at(&scaled, "/spec/fallback/behavior");
        assert_eq!(fallback, "currentReplicasIfHigher", "without figures nothing is scaled in");
    }
    let drain: u64 = settings["LOBAR_DRAIN"].as_str().expect("text").parse().expect("seconds");
    for deployment in &deployments {
        let grace = at(deployment, "/spec/template/spec/terminationGracePeriodSeconds");
        assert!(
            grace.as_u64().expect("seconds") >= drain + 15,
            "{}",
            deployment["metadata"]["name"]
        );
    }
}

#[test]
fn a_pod_that_waits_for_a_service_is_not_started_anew() {
    for deployment in documents("Deployment") {
        for container in containers(at(&deployment, "/spec/template/spec")) {
            for probe in ["startupProbe", "livenessProbe"] {
                let path = container[probe].pointer("/httpGet/path").and_then(Value::as_str);
                assert_ne!(path, Some("/readyz"), "{probe} of {}", container["name"]);
            }
        }
    }
}

#[test]
fn the_api_outlives_the_proxy_that_leads_to_it() {
    let deployments = documents("Deployment");
    let pod = at(named(&deployments, "lobar-api"), "/spec/template/spec");
    let pause = |name: &str| -> u64 {
        let container = containers(pod).iter().find(|one| one["name"] == name).expect("there");
        let seconds = at(container, "/lifecycle/preStop/exec/command/1").as_str();
        seconds.expect("sleep SECONDS").parse().expect("seconds")
    };
    assert!(pause("api") > pause("proxy"), "requests would be answered 502");
}

#[test]
fn pods_run_our_commands_with_settings_that_lobar_takes() {
    let help = run(Command::new(executable()).args(["run", "--help"]));
    let (maps, secrets) = (documents("ConfigMap"), documents("Secret"));
    let settings = maps.iter().flat_map(|map| at(map, "/data").as_object().expect("data").keys());
    let hidden = at(named(&secrets, "lobar-secrets"), "/stringData").as_object().expect("data");
    for name in settings.chain(hidden.keys()).filter(|name| name.starts_with("LOBAR_")) {
        // The value of one that may hold a password is not shown.
        let known = [format!("[env: {name}=]"), format!("[env: {name}]")];
        assert!(known.iter().any(|known| help.contains(known)), "{name} is no setting");
    }
    let mut roles = BTreeSet::new();
    for pod in pods() {
        for container in containers(&pod) {
            let image = container["image"].as_str().expect("an image");
            assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
            if !image.starts_with("lobar-") {
                continue;
            }
            let arguments = container["args"].as_array().expect("arguments");
            let arguments: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
            let help = Command::new(executable()).args(&arguments).arg("--help").output();
            let help = help.expect("runs");
            assert!(help.status.success(), "{arguments:?}: {}", said(&help));
            roles.insert(arguments.join(" "));
            for source in container["envFrom"].as_array().expect("settings") {
                let map = source.pointer("/configMapRef/name").and_then(Value::as_str);
                let secret = source.pointer("/secretRef/name").and_then(Value::as_str);
                map.map(|name| named(&maps, name));
                secret.map(|name| named(&secrets, name));
            }
        }
    }
    assert_eq!(roles.len(), 5, "{roles:?}");
}

#[test]
fn nothing_is_set_by_a_flag_which_an_operator_s_environment_could_not_change() {
    let maps = documents("ConfigMap");
    let settings = at(named(&maps, "lobar-settings"), "/data");
    assert_eq!(settings["LOBAR_LISTEN"], "127.0.0.1:8080", "where the proxy looks for it");
    assert_eq!(settings["LOBAR_TRUSTED_PROXIES"], "127.0.0.1");
    for pod in pods() {
        for container in containers(&pod).iter().filter(|one| one["args"].is_array()) {
            let arguments = container["args"].as_array().expect("arguments");
            let flags = arguments.iter().filter_map(Value::as_str).filter(|it| it.starts_with('-'));
            assert!(flags.into_iter().all(|flag| flag == "--roles"), "{arguments:?}");
            // `env` goes before `envFrom`, in which operators set things.
            assert!(container.get("env").is_none(), "{}", container["name"]);
        }
    }
}

#[test]
fn no_pod_runs_as_root_writes_to_its_image_or_holds_a_token() {
    for pod in pods() {
        assert_eq!(at(&pod, "/securityContext/runAsNonRoot"), true);
        assert_eq!(pod["automountServiceAccountToken"], false);
        for container in containers(&pod) {
            assert_eq!(at(container, "/securityContext/readOnlyRootFilesystem"), true);
            assert_eq!(at(container, "/securityContext/allowPrivilegeEscalation"), false);
            assert!(container.pointer("/resources/limits/memory").is_some());
        }
    }
}

#[test]
fn services_and_budgets_select_pods_that_are_there() {
    let deployments = documents("Deployment");
    let pods: Vec<&Value> =
        deployments.iter().map(|it| at(it, "/spec/template/metadata/labels")).collect();
    let selected = |wanted: &Value| {
        let wanted = wanted.as_object().expect("labels");
        pods.iter().any(|labels| wanted.iter().all(|(name, value)| labels[name] == *value))
    };
    assert!(documents("Service").iter().all(|service| selected(at(service, "/spec/selector"))));
    let budgets = documents("PodDisruptionBudget");
    assert_eq!(budgets.len(), deployments.len());
    assert!(budgets.iter().all(|budget| selected(at(budget, "/spec/selector/matchLabels"))));
}

#[test]
fn the_proxy_s_configuration_is_the_one_that_is_tried() {
    let maps = documents("ConfigMap");
    let given = at(named(&maps, "lobar-proxy"), "/data/default.conf");
    assert_eq!(given.as_str().expect("text"), text("ops/nginx/api.conf"));
}
