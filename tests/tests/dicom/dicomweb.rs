//! DICOMweb as `dicomweb-client` speaks it, on the executable.

use std::path::Path;

use lobar_testkit::python_program;
use lobar_tests::kit::{Lobar, executable};

use super::fixture::{run, said};

#[tokio::test]
async fn dicomweb_client_finds_at_every_level_what_it_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::start_with(&executable(), &["up"], &folder.path().join("data"), &[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dicom/dicomweb.py");
    let url = format!("{}/dicom-web", lobar.page.trim_end_matches('/'));
    let output = run(python_program("python3"), &[script.to_str().expect("UTF-8"), &url]).await;
    assert!(output.status.success(), "{}", said(&output));
    // 20 searches at three levels. What it warns of goes to the other stream.
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "60");
    assert_eq!(lobar.stop(), 0);
}
