//! The script that measures how Lobar grows, rehearsed in small.

use lobar_tests::kit::executable;
use serde_json::Value;

use crate::tools::{file, python, run};

const CURVES: [(&str, &str, &[&str]); 5] = [
    ("workers", "workers", &["images/s", "own core-ms per image"]),
    (
        "stored",
        "stored images",
        &["first page, median", "page anywhere, p95", "flagged, median", "one image, p95"],
    ),
    ("clients", "clients", &["median since upload sent, ms", "last since upload sent, ms"]),
    ("files", "MB a file", &["images/s", "most memory, MB"]),
    ("sites", "sites", &["first page of all", "first page of one", "figures of all"]),
];

#[test]
fn each_curve_has_figures_and_their_exponents() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("figures.json");
    let mut script = python("python");
    script.arg(file("ops/growth.py")).arg("--lobar").arg(executable());
    // What it leaves in its temporary folder would be found here.
    script.args(["--small", "--json"]).arg(&out).env("TMPDIR", dir.path());
    let tables = run(&mut script);

    let told: Value = serde_json::from_slice(&std::fs::read(&out).expect("written")).expect("JSON");
    for (name, made_larger, figures) in CURVES {
        let curve = &told["curves"][name];
        let points = curve["points"].as_array().unwrap_or_else(|| panic!("{name}: {curve}"));
        let sizes: Vec<_> = points.iter().filter_map(|point| point[made_larger].as_f64()).collect();
        assert!(sizes.len() == 2 && sizes[0] < sizes[1], "{name}: {curve}");
        for figure in figures {
            let all_there = points.iter().all(|point| point[figure].as_f64() > Some(0.0));
            assert!(
                all_there && curve["exponents"][figure].is_number(),
                "{name}, {figure}: {curve}"
            );
        }
        assert!(tables.contains(&format!("{name}: ")), "{tables}");
    }
    assert_eq!(tables.matches("| **exponent** |").count(), CURVES.len(), "{tables}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("readable").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_curve_that_fails_is_named_and_the_others_are_measured() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("figures.json");
    let mut script = python("python");
    script
        .arg(file("ops/growth.py"))
        .args(["--small", "--lobar", "/nowhere/lobar", "--only", "sites", "workers", "--json"])
        .arg(&out);
    assert_eq!(script.output().expect("runs").status.code(), Some(1));
    let told: Value = serde_json::from_slice(&std::fs::read(&out).expect("written")).expect("JSON");
    for name in ["sites", "workers"] {
        assert!(told["curves"][name]["failed"].is_string(), "{name}: {told}");
    }
    assert!(told["curves"]["files"].is_null(), "{told}");
}
