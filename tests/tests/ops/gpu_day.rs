//! The script for a machine with a GPU, rehearsed in small on the CPU.

use lobar_tests::kit::{executable, originals};
use serde_json::Value;

use crate::tools::{file, python, run};

#[test]
fn what_a_gpu_is_asked_for_can_be_rehearsed_without_one() {
    let dir = tempfile::tempdir().expect("a folder");
    originals(&dir.path().join("xrays"), 2);
    let pictures = std::fs::read_dir(dir.path().join("xrays")).expect("readable");
    let out = dir.path().join("result.json");
    let mut script = python("python");
    script
        .arg(file("ops/gpu_day.py"))
        .arg("--lobar")
        .arg(executable())
        .args(["--device", "cpu", "--small", "--out"])
        .arg(&out)
        .args(pictures.map(|picture| picture.expect("readable").path()));
    let said: Value = serde_json::from_str(&run(&mut script)).expect("JSON");
    assert_eq!(said["agreement"]["agrees"], true, "{said}");
    assert_eq!(said["agreement"]["pictures"], 2);
    for (part, figure) in [
        ("engine", "images_per_second"),
        ("decode", "cores_decode_images_per_second"),
        ("pipeline", "share_of_that"),
        ("pipeline", "urgent_p99_ms"),
        ("train", "images_per_second"),
    ] {
        assert!(said[part][figure].as_f64() > Some(0.0), "{part}: {}", said[part]);
    }
    assert!(said["pytorch"]["left_out"].is_string() || said["pytorch"]["best"].is_string());
    let kept: Value = serde_json::from_slice(&std::fs::read(&out).expect("written")).expect("JSON");
    assert_eq!(kept, said);
}

#[test]
fn a_part_that_fails_is_named_and_the_others_are_measured() {
    let dir = tempfile::tempdir().expect("a folder");
    originals(&dir.path().join("xrays"), 1);
    let picture = std::fs::read_dir(dir.path().join("xrays")).expect("readable").next();
    let mut script = python("python");
    script
        .arg(file("ops/gpu_day.py"))
        .args(["--small", "--device", "cuda:0", "--lobar", "/nowhere/lobar"])
        .arg(picture.expect("one").expect("readable").path());
    let output = script.output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for part in ["machine", "agreement", "engine", "decode", "pipeline", "train"] {
        assert!(said[part]["failed"].is_string(), "{part}: {}", said[part]);
    }
}
