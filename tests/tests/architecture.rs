//! Who may depend on whom, held against what Cargo says.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Crates that are a vendor's or speak for one, and the one crate of ours that may name them.
const VENDORS: [(&str, &str); 8] = [
    ("aws-", "lobar-adapters"),
    ("s3s", "lobar-adapters"),
    ("sqlx", "lobar-adapters"),
    ("lapin", "lobar-adapters"),
    ("redis", "lobar-adapters"),
    ("tch", "lobar-model"),
    ("torch-sys", "lobar-model"),
    ("actix-web", "lobar-api"),
];

/// What the composition root, and the tests beside it, put together.
const EVERYTHING: &[&str] = &[
    "lobar-core",
    "lobar-consumer",
    "lobar-imaging",
    "lobar-model",
    "lobar-adapters",
    "lobar-ingest",
    "lobar-worker",
    "lobar-api",
];

/// Each crate and the crates of ours that it may depend on.
const ARROWS: [(&str, &[&str]); 10] = [
    ("lobar-core", &[]),
    ("lobar-consumer", &["lobar-core"]),
    ("lobar-imaging", &["lobar-core"]),
    ("lobar-model", &["lobar-core", "lobar-imaging"]),
    ("lobar-adapters", &["lobar-core"]),
    ("lobar-ingest", &["lobar-core", "lobar-consumer"]),
    ("lobar-worker", &["lobar-core", "lobar-consumer", "lobar-imaging"]),
    ("lobar-api", &["lobar-core", "lobar-imaging"]),
    ("lobar", EVERYTHING),
    ("lobar-tests", EVERYTHING),
];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata")
}

fn dependencies(package: &Package) -> BTreeSet<&str> {
    let kept = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
    kept.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn every_crate_stands_in_the_plan_and_depends_only_on_what_it_allows() {
    let metadata = metadata();
    let names: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ARROWS.iter().map(|(name, _)| *name).collect());
    for package in &metadata.packages {
        let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == package.name.as_str()).unwrap();
        for dependency in dependencies(package).intersection(&names) {
            assert!(allowed.contains(dependency), "{} may not see {dependency}", package.name);
        }
    }
}

#[test]
fn each_vendor_is_named_by_one_crate_only() {
    let metadata = metadata();
    let mut seen = 0;
    // The tests may: they break what the adapters stand on.
    for package in metadata.packages.iter().filter(|p| p.name.as_str() != "lobar-tests") {
        for dependency in dependencies(package) {
            for (vendor, owner) in VENDORS {
                let named = dependency == vendor
                    || (vendor.ends_with('-') && dependency.starts_with(vendor));
                // The executable links libtorch's path into itself.
                let linking = dependency == "torch-sys" && package.name.as_str() == "lobar";
                if named && package.name.as_str() == owner {
                    seen += 1;
                } else if named {
                    let package = &package.name;
                    assert!(linking, "{package} names {dependency}, which belongs to {owner}");
                }
            }
        }
    }
    assert!(seen >= 6, "the vendors' names in this test are no longer those of the crates in use");
}

#[test]
fn libtorch_is_optional_for_the_executable() {
    let metadata = metadata();
    let lobar = metadata.packages.iter().find(|p| p.name.as_str() == "lobar").unwrap();
    for dependency in &lobar.dependencies {
        if ["lobar-model", "torch-sys"].contains(&dependency.name.as_str()) {
            assert!(dependency.optional, "{} must be optional", dependency.name);
        }
    }
}
