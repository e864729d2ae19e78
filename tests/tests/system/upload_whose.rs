//! `lobar upload` with whom the files show.

use std::path::Path;

use lobar_tests::kit::{Client, Lobar, originals};

use crate::lobar_upload;

/// What the command says of an upload of the folder for a patient.
fn upload(lobar: &Lobar, folder: &Path, state: &Path, patient: &[&str]) -> (bool, String) {
    let ran = lobar_upload(&lobar.page, folder, state).args(patient).output().expect("it runs");
    (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[tokio::test]
async fn an_upload_says_whom_its_files_show_and_the_same_file_of_another_patient_is_another_image()
{
    let dir = tempfile::tempdir().expect("a folder");
    let files = dir.path().join("files");
    originals(&files, 1);
    let lobar = Lobar::up(&dir.path().join("data"));
    let client = Client::new(&lobar.page);
    let jana = [
        "--patient-id=71",
        "--patient-name=Müller^Jana",
        "--patient-birth-date=2021-03-02",
        "--patient-sex=F",
        "--accession=A-1",
        "--study-date=20240301",
        "--view-position=AP",
        "--patient-issuer=NORTH",
    ];
    for patient in [&jana[..], &["--patient-id=72"], &[]] {
        let (uploaded, said) = upload(&lobar, &files, dir.path(), patient);
        assert!(uploaded && said.contains("1 uploaded"), "{said}");
        let first = batch_of(&client, &said).await;
        assert_eq!((&first["files"], &first["duplicates"]), (&1.into(), &0.into()));
        let (uploaded, said) = upload(&lobar, &files, dir.path(), patient);
        assert!(uploaded && said.contains("1 were there already"), "{said}");
        let again = batch_of(&client, &said).await;
        assert!(again["id"] != first["id"], "another run is another batch");
        assert_eq!(again["files"], 1);
    }
    let images = client.settled(3).await;
    let of = |id: &str| {
        images.iter().find(|image| image["patient"]["id"] == id).unwrap_or_else(|| panic!("{id}"))
    };
    let (seen, other) = (of("71"), of("72"));
    assert_eq!(seen["patient"]["name"], "Müller^Jana");
    assert_eq!(seen["patient"]["age"], "002Y");
    assert_eq!(
        (&seen["patient"]["sex"], &seen["patient"]["issuer"]),
        (&"F".into(), &"NORTH".into())
    );
    assert_eq!(seen["study"]["accession"], "A-1");
    assert_eq!(seen["study"]["date"], "20240301");
    assert_eq!(seen["instance"]["view_position"], "AP");
    assert_eq!(other["patient"]["name"], serde_json::Value::Null);
    assert!(images.iter().all(|image| image["status"] == "ready"));

    // What cannot be kept is refused, and nothing of it repeated.
    let (uploaded, said) = upload(&lobar, &files, dir.path(), &["--study-date=yesterday"]);
    assert!(!uploaded && said.contains("`study_date`") && !said.contains("yesterday"), "{said}");
    assert_eq!(lobar.stop(), 0);
}

/// The batch whose address a run printed.
async fn batch_of(client: &Client, said: &str) -> serde_json::Value {
    let (_, id) = said.split_once("/#/batches/").unwrap_or_else(|| panic!("no address: {said}"));
    client.get(&format!("/v1/batches/{}", id.split_whitespace().next().unwrap_or_default())).await
}
