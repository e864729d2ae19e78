//! Who may depend on whom, held against what Cargo says.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Crates that are a vendor's or speak for one, and the crates of ours that may name them.
const VENDORS: &[(&str, &[&str])] = &[
    ("aws-", &["lobar-aws", "lobar-s3", "lobar-sqs"]),
    ("s3s", &["lobar-endpoint"]),
    ("sqlx", &["lobar-sql", "lobar-endpoint"]),
    ("lapin", &["lobar-rabbitmq"]),
    ("redis", &["lobar-redis"]),
    ("tch", &["lobar-model", "lobar-lab"]),
    ("torch-sys", &["lobar-model", "lobar-lab"]),
    ("actix-web", &["lobar-api"]),
    ("dicom-ul", &["lobar-dicom"]),
];

/// The adapters, one a technology.
const ADAPTERS: &[&str] =
    &["lobar-memory", "lobar-rabbitmq", "lobar-redis", "lobar-s3", "lobar-sql", "lobar-sqs"];

/// Each crate and the crates of ours that it may depend on. `adapters` stands for all of them; what has
/// `everything` puts the others together.
const ARROWS: &[(&str, &[&str])] = &[
    ("lobar-core", &[]),
    ("lobar-console", &[]),
    ("lobar-trace", &["lobar-core"]),
    ("lobar-consumer", &["lobar-core"]),
    ("lobar-imaging", &["lobar-core"]),
    ("lobar-model", &["lobar-core"]),
    ("lobar-lab", &["lobar-console", "lobar-core", "lobar-imaging", "lobar-model"]),
    ("lobar-dicom", &["lobar-core", "lobar-imaging", "lobar-trace"]),
    ("lobar-deidentify", &["lobar-core"]),
    ("lobar-upload", &["lobar-console", "lobar-core"]),
    ("lobar-aws", &[]),
    ("lobar-memory", &["lobar-core"]),
    ("lobar-rabbitmq", &["lobar-core"]),
    ("lobar-redis", &["lobar-core"]),
    ("lobar-s3", &["lobar-core", "lobar-aws"]),
    ("lobar-sql", &["lobar-core"]),
    ("lobar-sqs", &["lobar-core", "lobar-aws"]),
    ("lobar-endpoint", &["lobar-core"]),
    ("lobar-ingest", &["lobar-core", "lobar-consumer", "lobar-trace"]),
    ("lobar-worker", &["lobar-core", "lobar-consumer", "lobar-imaging", "lobar-trace"]),
    ("lobar-autoscale", &["lobar-core", "lobar-consumer"]),
    ("lobar-plan", &["lobar-core"]),
    ("lobar-signin", &["lobar-core"]),
    ("lobar-oidc", &["lobar-core"]),
    (
        "lobar-api",
        &[
            "lobar-core",
            "lobar-deidentify",
            "lobar-imaging",
            "lobar-oidc",
            "lobar-signin",
            "lobar-trace",
        ],
    ),
    ("lobar-opener", &["lobar-core", "lobar-aws", "adapters"]),
    ("lobar-testkit", &["lobar-core"]),
    ("lobar", &["everything"]),
    ("lobar-tests", &["everything"]),
];

/// Crates of tests: they may name vendors, since they break what the adapters stand on.
const TESTS: &[&str] = &["lobar-testkit", "lobar-tests"];

fn allowed(package: &str, dependency: &str) -> bool {
    let (_, may) = ARROWS.iter().find(|(name, _)| *name == package).expect("in the plan");
    may.iter().any(|one| match *one {
        "adapters" => ADAPTERS.contains(&dependency),
        // Tests are of use to tests only.
        "everything" => !TESTS.contains(&dependency) || package == "lobar-tests",
        one => one == dependency,
    })
}

pub(crate) fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata")
}

fn dependencies(package: &Package) -> BTreeSet<&str> {
    let kept = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
    kept.map(|dependency| dependency.name.as_str()).collect()
}

/// A crate's features, and what each enables.
pub(crate) fn features(metadata: &Metadata, package: &str) -> BTreeMap<String, Vec<String>> {
    let package = metadata.packages.iter().find(|p| p.name.as_str() == package).expect(package);
    package.features.clone()
}

#[test]
fn every_crate_stands_in_the_plan_and_depends_only_on_what_it_allows() {
    let metadata = metadata();
    let names: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ARROWS.iter().map(|(name, _)| *name).collect());
    for package in &metadata.packages {
        for dependency in dependencies(package).intersection(&names) {
            let package = package.name.as_str();
            assert!(allowed(package, dependency), "{package} may not see {dependency}");
        }
    }
}

#[test]
fn each_vendor_is_named_by_its_adapter_only() {
    let metadata = metadata();
    let mut seen = 0;
    for package in metadata.packages.iter().filter(|p| !TESTS.contains(&p.name.as_str())) {
        for dependency in dependencies(package) {
            for (vendor, owners) in VENDORS {
                let named = dependency == *vendor
                    || (vendor.ends_with('-') && dependency.starts_with(vendor));
                let package = package.name.as_str();
                // The executable links libtorch's path into itself.
                let linking = dependency == "torch-sys" && package == "lobar";
                if named && owners.contains(&package) {
                    seen += 1;
                } else if named {
                    assert!(linking, "{package} names {dependency}, which belongs to {owners:?}");
                }
            }
        }
    }
    assert!(
        seen >= VENDORS.len(),
        "the vendors' names in this test are no longer those of the crates in use"
    );
}

#[test]
fn what_a_node_may_do_without_is_optional_for_the_executable() {
    let metadata = metadata();
    let optional = |package: &str, dependencies: &[&str]| {
        let package = metadata.packages.iter().find(|p| p.name.as_str() == package).unwrap();
        let named = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        for dependency in named.filter(|d| dependencies.contains(&d.name.as_str())) {
            assert!(dependency.optional, "{} must be optional", dependency.name);
        }
    };
    optional("lobar", &["lobar-model", "lobar-lab", "torch-sys", "lobar-endpoint"]);
    // What needs no service is always there.
    let services: Vec<_> =
        ADAPTERS.iter().copied().filter(|name| *name != "lobar-memory").collect();
    optional("lobar-opener", &services);
}

#[test]
fn every_adapter_of_a_service_is_a_feature_of_the_executable() {
    let metadata = metadata();
    let (executable, opener) = (features(&metadata, "lobar"), features(&metadata, "lobar-opener"));
    let tests = metadata.packages.iter().find(|p| p.name.as_str() == "lobar-tests").unwrap();
    let tests = tests.dependencies.iter().find(|d| d.name == "lobar-opener").unwrap();
    for adapter in opener.keys().filter(|name| *name != "default") {
        let passed_on = executable.get(adapter).expect(adapter);
        assert!(passed_on.contains(&format!("lobar-opener/{adapter}")), "{adapter}");
        assert!(executable["node"].contains(adapter), "a node has {adapter} unless told otherwise");
        assert!(opener["default"].contains(adapter), "opener/Cargo.toml, default lacks {adapter}");
        assert!(tests.features.contains(adapter), "tests/Cargo.toml, lobar-opener lacks {adapter}");
    }
}
