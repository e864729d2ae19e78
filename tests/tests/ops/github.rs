//! What runs on GitHub, as far as it can be checked anywhere else.

use std::process::Command;

use lobar_tests::kit::workspace;
use serde_json::Value;

use crate::tools::{file, python, run};

const WORKFLOWS: [&str; 2] = [".github/workflows/check.yml", ".github/workflows/release.yml"];

#[test]
fn github_s_schemas_find_the_workflows_right_and_every_job_has_a_time_limit() {
    for schema in ["vendor.github-workflows", "custom.github-workflows-require-timeout"] {
        for workflow in WORKFLOWS {
            run(python("check-jsonschema").args(["--builtin-schema", schema]).arg(file(workflow)));
        }
    }
    let dependabot = file(".github/dependabot.yml");
    run(python("check-jsonschema").args(["--builtin-schema", "vendor.dependabot"]).arg(dependabot));
}

/// Stands for `kubectl`.
const KUBECTL: &str = r#"#!/bin/sh
printf '%s\n' "$*" >> "$RUNNER_TEMP/asked"
[ "$1" = kustomize ] || exit 0
for part in account settings network ingest worker api; do cat "$2/../../base/$part.yaml"; echo ---; done
cat "$2/../../dicom/dicom.yaml"
"#;

/// A YAML file of the repository, as JSON.
fn yaml(path: &str) -> Value {
    let script =
        "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1])), default=str))";
    let said = run(python("python").args(["-c", script]).arg(file(path)));
    serde_json::from_str(&said).expect("JSON")
}

#[test]
fn whatever_is_to_be_kept_new_lies_where_it_is_looked_for() {
    let of_ecosystem = |name: &str| match name {
        "cargo" => "Cargo.toml",
        "npm" => "package.json",
        "pip" => "requirements.txt",
        "docker" => "worker.Dockerfile",
        "docker-compose" => "compose.yaml",
        "terraform" => "versions.tf",
        "github-actions" => ".github/workflows",
        other => panic!("{other}: say what it looks for"),
    };
    let updates = yaml(".github/dependabot.yml");
    for update in updates["updates"].as_array().expect("a list") {
        let name = update["package-ecosystem"].as_str().expect("a name");
        let one = update["directory"].as_str().map(|folder| vec![folder.to_owned()]);
        let many = || serde_json::from_value(update["directories"].clone()).expect("folders");
        for folder in one.unwrap_or_else(many) {
            let path = workspace().join(folder.trim_start_matches('/')).join(of_ecosystem(name));
            assert!(path.exists(), "{name}: {} is not there", path.display());
        }
    }
}

#[test]
fn a_release_builds_the_images_that_there_are_and_deploys_every_role_from_them() {
    let release = yaml(WORKFLOWS[1]);
    let images =
        release["jobs"]["images"]["strategy"]["matrix"]["image"].as_array().expect("a list");
    for image in images {
        file(&format!("ops/docker/{}.Dockerfile", image.as_str().expect("a name")));
    }
    let steps = release["jobs"]["deploy"]["steps"].as_array().expect("a list");
    let script = steps.iter().find_map(|step| step["run"].as_str()).expect("a script");
    // The script's own words, with a `kubectl` that notes what it is asked for, and renders by putting one file after another.
    let folder = tempfile::tempdir().expect("a folder");
    let manifests = folder.path().join("ops/kubernetes");
    run(Command::new("mkdir").arg(folder.path().join("ops")));
    run(Command::new("cp").arg("-r").arg(file("ops/kubernetes")).arg(&manifests));
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    let kubectl = bin.join("kubectl");
    std::fs::write(&kubectl, KUBECTL).expect("written");
    run(Command::new("chmod").arg("+x").arg(&kubectl));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    run(Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("RUNNER_TEMP", folder.path())
        .envs([
            ("KUBECONFIG_TEXT", "x"),
            ("REGISTRY", "images.example/lobar"),
            ("VERSION", "v9.9.9"),
            ("OVERLAY", "ops/kubernetes/overlays/rabbitmq"),
        ]));
    let asked = std::fs::read_to_string(folder.path().join("asked")).expect("it was asked");
    let rendered = std::fs::read_to_string(folder.path().join("lobar.yaml")).expect("there");
    for role in ["ingest", "worker", "dicom", "api"] {
        let applied = format!("lobar.yaml -l app.kubernetes.io/component={role}\n");
        assert!(asked.contains(&applied), "{asked}");
        assert!(asked.contains(&format!("deployment/lobar-{role}\n")), "{asked}");
        assert!(rendered.contains(&format!("\n  name: lobar-{role}\n")), "{role}");
    }
    let migrate = std::fs::read_to_string(folder.path().join("migrate.yaml")).expect("there");
    for image in [&rendered, &migrate] {
        assert!(image.contains("image: images.example/lobar/lobar-node:v9.9.9"), "{image}");
        assert!(!image.contains("image: lobar-"), "an image of before is kept");
    }
    let (migrated, first) = (
        asked.find("job/lobar-migrate --").or(asked.find("job/lobar-migrate")),
        asked.find("component=ingest"),
    );
    assert!(migrated < first, "the schema comes first: {asked}");
}
