//! The overlays of `ops/kubernetes`, as kustomize puts them together. It is in kubectl; that of Debian 12 is too old for it, so
//! set-up does not install one. Without one of 1.24 or newer this says so on the terminal and does nothing, unless
//! `REQUIRE_KUBECTL=1`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kubernetes::{documents, faults, named};
use crate::tools::{at, file, run, yaml};

/// Whether kubectl is there and has a kustomize that knows components.
fn there() -> bool {
    let version = Command::new("kubectl").args(["version", "--client", "-o", "json"]).output();
    let version = version.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok());
    let found = version.is_some_and(|version: Value| version["kustomizeVersion"].is_string());
    let required = std::env::var_os("REQUIRE_KUBECTL").is_some_and(|value| value == "1");
    assert!(found || !required, "REQUIRE_KUBECTL is set, but there is no kubectl with kustomize");
    if !found {
        let text =
            b"\nNOT CHECKED: overlays were not put together: there is no kubectl with kustomize\n";
        std::io::stderr().write_all(text).expect("standard error");
    }
    found
}

/// A copy of `ops/kubernetes`, to write overlays into.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        run(Command::new("cp").arg("-r").arg(file("ops/kubernetes")).arg(dir.path()));
        Self(dir)
    }

    fn overlay(&self, name: &str) -> PathBuf {
        self.0.path().join("kubernetes/overlays").join(name)
    }

    /// Adds an overlay of the base and some components.
    fn add(&self, name: &str, components: &[&str]) {
        std::fs::create_dir(self.overlay(name)).expect("a folder");
        let list: Vec<String> = components.iter().map(|it| format!("  - ../../{it}\n")).collect();
        let text = format!("resources: [../../base]\ncomponents:\n{}", list.concat());
        std::fs::write(self.overlay(name).join("kustomization.yaml"), text).expect("written");
    }

    /// Everything that is applied.
    fn rendered(&self, name: &str) -> Vec<Value> {
        let text = run(Command::new("kubectl").arg("kustomize").arg(self.overlay(name)));
        let path = self.overlay(name).join("rendered.txt");
        std::fs::write(&path, text).expect("written");
        yaml(Path::new(&path))
    }
}

fn of<'a>(rendered: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rendered.iter().filter(|document| document["kind"] == kind).collect()
}

#[test]
fn what_kustomize_puts_together_is_right_by_the_schemas_and_complete() {
    if !there() {
        return;
    }
    let copy = Copy::new();
    for scaler in ["by-need", "by-depth", "by-rabbitmq", "by-sqs"] {
        copy.add(scaler, &[&format!("keda/{scaler}")]);
    }
    for name in ["rabbitmq", "aws", "by-need", "by-depth", "by-rabbitmq", "by-sqs"] {
        let rendered = copy.rendered(name);
        let found = faults(&rendered);
        assert!(found.is_empty(), "{name}: {}", found.join("\n"));
        assert_eq!(of(&rendered, "ScaledObject").len(), 1, "{name}: two scalers fight");
        let maps: Vec<&Value> = of(&rendered, "ConfigMap");
        for deployment in of(&rendered, "Deployment") {
            let container = at(deployment, "/spec/template/spec/containers/0");
            for source in container["envFrom"].as_array().expect("settings") {
                let map = source.pointer("/configMapRef/name");
                let known = |name: &Value| maps.iter().any(|map| map["metadata"]["name"] == *name);
                assert!(map.is_none_or(known), "{name}: {source}");
            }
        }
        let settings = maps.iter().find(|map| map["metadata"]["name"] == "lobar-settings");
        let settings = &settings.expect("settings")["data"];
        for ingress in of(&rendered, "Ingress") {
            let host = at(ingress, "/spec/rules/0/host");
            assert_eq!(settings["LOBAR_HOSTS"], *host, "{name}: it would be answered 421");
            assert_eq!(at(ingress, "/spec/tls/0/hosts/0"), host, "{name}: passwords travel");
            let proxies = settings["LOBAR_TRUSTED_PROXIES"].as_str().expect("text");
            assert!(proxies.starts_with("127.0.0.1,"), "{name}: it does not know who asks");
        }
    }
}

#[test]
fn a_worker_with_a_gpu_asks_for_one_and_its_nodes_are_for_it_alone() {
    if !there() {
        return;
    }
    let rendered = Copy::new().rendered("aws");
    let worker = named(&rendered, "lobar-worker");
    assert_eq!(worker["kind"], "Deployment", "the first of that name");
    let pod = at(worker, "/spec/template/spec");
    let container = at(pod, "/containers/0");
    assert_eq!(at(container, "/resources/limits/nvidia.com~1gpu"), "1");
    assert!(container["image"].as_str().is_some_and(|image| image.contains("-cuda:")));
    let last = container["envFrom"].as_array().and_then(|all| all.last()).expect("settings");
    assert_eq!(at(last, "/configMapRef/name"), "lobar-worker-gpu", "what comes last holds");
    let pool = of(&rendered, "NodePool")[0];
    assert_eq!(at(pool, "/spec/template/metadata/labels"), at(pod, "/nodeSelector"));
    let taint = at(pool, "/spec/template/spec/taints/0/key");
    assert_eq!(at(pod, "/tolerations/0/key"), taint);
    let most = at(of(&rendered, "ScaledObject")[0], "/spec/maxReplicaCount").to_string();
    assert_eq!(at(pool, "/spec/limits/nvidia.com~1gpu"), &Value::String(most));
}

#[test]
fn no_node_is_taken_from_under_a_worker_to_save_one() {
    let pools = documents("NodePool");
    for pool in &pools {
        assert_eq!(at(pool, "/spec/disruption/consolidationPolicy"), "WhenEmpty");
    }
    let deployments = documents("Deployment");
    let worker = at(named(&deployments, "lobar-worker"), "/spec/template/metadata/annotations");
    assert_eq!(worker["cluster-autoscaler.kubernetes.io/safe-to-evict"], "false");
}

#[test]
fn pods_of_a_role_spread_over_zones_and_nodes() {
    for deployment in documents("Deployment") {
        let name = &deployment["metadata"]["name"];
        let pod = at(&deployment, "/spec/template");
        let spread = at(pod, "/spec/topologySpreadConstraints").as_array().expect("a list");
        let keys: Vec<&Value> = spread.iter().map(|one| &one["topologyKey"]).collect();
        assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], "{name}");
        for one in spread {
            assert_eq!(at(one, "/labelSelector/matchLabels"), at(pod, "/metadata/labels"));
        }
    }
}
