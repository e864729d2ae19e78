//! OHIF, a viewer in the browser, behind one proxy with Lobar: its list of studies is what QIDO-RS finds.

use std::path::Path;

use lobar_core::study::{Attributes, Uid};
use lobar_testkit::services::{Server, free_port};
use lobar_testkit::{python_program, workspace};

use crate::browser::Browser;
use crate::fixture::{Fixture, eventually, ready};

/// OHIF's server. Ended when dropped.
fn serve_ohif(port: u16, lobar: &str, token: &str) -> Server {
    let program = workspace().join(".ohif");
    assert!(program.exists(), "{} is missing: run `make test`", program.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/ohif.py");
    let (python, port) = (python_program("python3"), port.to_string());
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let command = [text(&python), text(&script), text(&program)];
    let [python, script, program] = &command;
    let folder = tempfile::tempdir().expect("a folder").keep();
    let lobar = lobar.trim_start_matches("http://");
    let server = Server::new(folder, &[python, script, program, &port, lobar, token], &[]);
    server.start();
    server
}

/// What is known of a film of this patient.
fn film(patient: &str, name: &str, number: &str) -> Attributes {
    let study = format!("1.2.826.0.1.3680043.10.3.{number}");
    let mut known = Attributes::default();
    known.patient.id.id = patient.into();
    known.patient.name = Some(name.into());
    known.study.date = Some(format!("2026010{number}"));
    known.study.accession = Some(format!("A-{number}"));
    known.study.uid = Uid::parse(&study);
    known.series.uid = Uid::parse(&format!("{study}.1"));
    known.series.modality = Some("CR".into());
    known.instance.uid = Uid::parse(&format!("{study}.1.1"));
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ohif_lists_the_studies_of_the_own_site_and_finds_a_patients() {
    let fixture = Fixture::open().await;
    let token = fixture.token("reader@north").await;
    let ids = fixture
        .admit(["north/1", "north/2", "south/3"].map(|key| format!("incoming/{key}.dcm")))
        .await;
    for (id, known) in ids.iter().zip([
        film("4711", "Mustermann^Erika", "1"),
        film("4712", "Müller^Jörg", "2"),
        film("4713", "Elsewhere^Person", "3"),
    ]) {
        fixture.finish_known(&[*id], &ready(0.9), Some(&known)).await;
    }
    let port = free_port();
    let origin = format!("http://127.0.0.1:{port}");
    let _ohif = serve_ohif(port, &fixture.base, &token);
    eventually("OHIF is served", async || fixture.http.get(&origin).send().await.ok()).await;

    let browser = Browser::open_with_graphics(&origin).await;
    for part in ["1-2 of 2", "Mustermann, Erika", "Müller, Jörg", "A-2", "02-Jan-2026", "CR"] {
        browser.text_becomes("#root", part).await;
    }
    browser.page.goto(&format!("{origin}/?mrn=4712")).await.expect("the page");
    browser.text_becomes("#root", "1-1 of 1").await;
    browser.text_becomes("#root", "Müller, Jörg").await;
    browser.screenshot("ohif-studies.png").await;
    browser.close().await;
    fixture.stop().await;
}
