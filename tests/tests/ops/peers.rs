//! The comparison with programs of others, in small.

use lobar_tests::kit::{executable, originals};
use serde_json::Value;

use crate::tools::{file, python, run};

#[test]
fn lobar_and_a_python_consumer_are_measured_on_the_same_services_in_one_run() {
    let dir = tempfile::tempdir().expect("a folder");
    originals(&dir.path().join("xrays"), 2);
    let pictures = std::fs::read_dir(dir.path().join("xrays")).expect("readable");
    let mut compare = python("python");
    compare
        .arg(file("tests/peers/compare.py"))
        .arg("--lobar")
        .arg(executable())
        .args(["--images", "4", "--single", "1", "--rounds", "1", "--json"])
        .args(["--only", "int8 1×", "--log"])
        .arg(dir.path().join("log"))
        .args(pictures.map(|picture| picture.expect("readable").path()));
    let said: Value = serde_json::from_str(&run(&mut compare)).expect("JSON");
    let figures = said["figures"].as_object().expect("figures");
    let names: Vec<_> = figures.keys().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for (name, figure) in figures {
        for what in ["images_per_second", "images_per_core_second", "single_ms"] {
            assert!(figure[what].as_f64() > Some(0.0), "{name}: {what} is {}", figure[what]);
        }
    }
    let of = |name: &str| figures[name]["images_per_second"].as_f64().expect("a number");
    let peer = names.iter().find(|name| name.starts_with("consumer")).expect("the peer");
    let ratio = said["ratios"]["images/s over the best peer's"].as_f64().expect("a ratio");
    assert!((ratio - of("lobar") / of(peer)).abs() < 1e-6, "{said}");
}
