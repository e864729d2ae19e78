//! DICOMweb as `dicomweb-client` speaks it, on the executable.

use std::path::Path;

use lobar_testkit::python_program;
use lobar_tests::kit::{Lobar, executable};

use super::fixture::{run, said};

/// Runs a script on a system of its own; what it prints. What it warns of goes to the other stream.
async fn printed(script: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::start_with(&executable(), &["up"], &folder.path().join("data"), &[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dicom").join(script);
    let url = format!("{}/dicom-web", lobar.page.trim_end_matches('/'));
    // Without a cache beside the sources.
    let arguments = ["-B", script.to_str().expect("UTF-8"), url.as_str()];
    let output = run(python_program("python3"), &arguments).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(lobar.stop(), 0);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn dicomweb_client_finds_at_every_level_what_it_stored() {
    // 20 searches at three levels.
    assert_eq!(printed("dicomweb.py").await, "60");
}

#[tokio::test]
async fn dicomweb_client_retrieves_what_it_stored_with_attributes_frames_and_pictures() {
    assert_eq!(printed("dicomweb_retrieve.py").await, "6");
}
