//! WADO-RS of the running system: instances that were sent compressed are had uncompressed, read by children of the executable.

use std::process::Command;

use dicom_dictionary_std::tags;
use dicom_object::from_reader;
use lobar_imaging::{Limits, decode};
use lobar_tests::kit::{Client, Lobar, answer, radiograph_jpeg};

use crate::film::{FILM, Film};

#[tokio::test]
async fn an_instance_that_came_compressed_by_c_store_is_had_uncompressed() {
    let folder = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::up(&folder.path().join("data"));
    let port = lobar.dicom.rsplit(':').next().expect("a port").to_owned();
    let radiograph = decode(&radiograph_jpeg(640, 500, 3), &Limits::default()).expect("a film");
    let film = Film { stored: 12, window: true, ..FILM };
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (plain, packed) = (path("plain.dcm"), path("packed.dcm"));
    std::fs::write(&plain, film.of(&radiograph)).expect("written");
    for (program, arguments) in [
        ("dcmcjpls", vec![plain.as_str(), packed.as_str()]),
        ("storescu", vec!["-xt", "127.0.0.1", &port, &packed]),
    ] {
        let ran = Command::new(program).args(&arguments).output().expect("DCMTK");
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    let image = Client::new(&lobar.page).settled(1).await.remove(0);
    let uid = |of: &str| image[of]["uid"].as_str().expect("a UID").to_owned();
    let address = format!(
        "{}/dicom-web/studies/{}/series/{}/instances/{}",
        lobar.page,
        uid("study"),
        uid("series"),
        uid("instance")
    );
    let get = async |path: &str, accept: &str| {
        let request = reqwest::Client::new().get(format!("{address}{path}"));
        let answer = request.header("accept", accept).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.expect("a body")
    };
    let pixels = |file: &[u8]| {
        let file = from_reader(file).expect("a file");
        file.element(tags::PIXEL_DATA).expect("pixels").to_bytes().expect("bytes").into_owned()
    };
    let expected = pixels(&std::fs::read(&plain).expect("a file"));
    assert!(pixels(&get("", "application/dicom").await) == expected, "bit for bit");
    assert!(get("/frames/1", "application/octet-stream").await == expected);
    let told = get("/metadata", "application/dicom+json").await;
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!(told[0]["00280101"]["Value"][0], 12);
    // The children of the page's process did it, and none of them ended over it.
    let (_, metrics) = answer(&format!("{}/metrics", lobar.page)).await.expect("an answer");
    for by in ["clock", "processor", "memory_or_crash"] {
        let none = format!("lobar_dicom_children_ended_total{{by=\"{by}\"}} 0\n");
        assert!(metrics.contains(&none), "{by}: {metrics}");
    }
    assert_eq!(lobar.stop(), 0);
}
