//! Kubernetes: by its schemas, KEDA by its own, and by what the pods are told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use lobar_tests::kit::executable;
use serde_json::Value;

use crate::tools::{at, file, python, run, said, text, yaml};

/// The YAML files of a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(file(folder)).expect("readable");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect()
}

fn documents(kind: &str) -> Vec<Value> {
    let all = files("ops/kubernetes").into_iter().flat_map(|path| yaml(&path));
    all.filter(|document| document["kind"] == kind).collect()
}

fn named<'a>(documents: &'a [Value], name: &str) -> &'a Value {
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

#[test]
fn the_schemas_of_kubernetes_find_every_file_right() {
    let mut validate = python("kubernetes-validate");
    validate.arg("--strict").args(files("ops/kubernetes"));
    run(&mut validate);
}

#[test]
fn the_schema_of_scaled_objects_finds_both_right_and_a_misspelt_field_wrong() {
    let schema = file("tests/tests/ops/scaledobject.schema.json");
    let check = |path: &std::path::Path| {
        let mut check = python("check-jsonschema");
        check.arg("--schemafile").arg(&schema).arg(path).output().expect("runs")
    };
    let scaled = files("ops/kubernetes/keda");
    assert_eq!(scaled.len(), 2);
    let dir = tempfile::tempdir().expect("a folder");
    for path in &scaled {
        let checked = check(path);
        assert!(checked.status.success(), "{}", said(&checked));
        let text = std::fs::read_to_string(path).expect("readable");
        let wrong = dir.path().join("wrong.yaml");
        std::fs::write(&wrong, text.replace("maxReplicaCount", "maxReplicas")).expect("written");
        assert!(!check(&wrong).status.success(), "a misspelt field is not seen");
    }
}

#[test]
fn what_is_scaled_leaves_its_number_to_the_scaler_and_outlives_its_drain() {
    let deployments = documents("Deployment");
    let settings = documents("ConfigMap");
    let settings = at(named(&settings, "lobar-settings"), "/data");
    for path in files("ops/kubernetes/keda") {
        let scaled = yaml(&path).remove(0);
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
    let settings = at(named(&maps, "lobar-settings"), "/data").as_object().expect("data");
    let hidden = at(named(&secrets, "lobar-secrets"), "/stringData").as_object().expect("data");
    for name in settings.keys().chain(hidden.keys()).filter(|name| name.starts_with("LOBAR_")) {
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
