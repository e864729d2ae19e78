//! Peers that are called by TLS: reports to pynetdicom, and C-ECHO to DCMTK.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lobar_dicom::{DicomSettings, DicomTls};
use lobar_testkit::services::free_port;
use lobar_tests::kit::executable;
use lobar_tests::rig::Rig;

use super::commitment_later::{meanwhile, until_tried};
use super::fixture::{PATIENCE, run, said, serve, settings, succeed, uid};
use super::modality::{Listener, ask_by};
use super::tls::write_certificates;

fn file(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn tls(folder: &Path) -> DicomTls {
    DicomTls {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        client_authorities: Some(folder.join("ca.pem")),
    }
}

fn listed(folder: &Path, list: &str) -> DicomSettings {
    let mut settings = settings();
    settings.tls = Some(tls(folder));
    settings.peers = list.parse().expect("a list");
    settings.limits.report_look = Duration::from_millis(20);
    settings
}

async fn fingerprint(folder: &Path, name: &str) -> String {
    let at = file(folder, name);
    let how = ["x509", "-noout", "-fingerprint", "-sha256", "-in", &at];
    let printed = succeed("openssl", &how).await;
    printed.trim().split_once('=').expect("a fingerprint").1.to_owned()
}

#[tokio::test]
async fn a_peer_that_shows_another_certificate_than_its_entry_names_is_told_nothing() {
    let rig = Rig::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_certificates(folder);
    let ca = file(folder, "ca.pem");
    let own = free_port();
    let named = fingerprint(folder, "modality.pem").await;
    let list = format!("CR1=127.0.0.1 site=north address=127.0.0.1:{own} tls=on cert={named}");
    let lobar = serve(&rig, listed(folder, &list)).await;
    let [key, certificate] = ["modality.key", "modality.pem"].map(|name| file(folder, name));
    let [other_key, other] = ["other.key", "other.pem"].map(|name| file(folder, name));
    let impostor = Listener::start(own, &[&other_key, &other, &ca]).await;
    let by = [key.as_str(), &certificate, &ca];
    let answer = ask_by(&by, &lobar.port(), "1.2.1", &[&uid(0)]).await;
    assert_eq!(answer.expect("an answer"), "0000");
    until_tried(&rig, 2).await;
    assert_eq!(impostor.rest().await, Vec::<String>::new());
    let mut modality = Listener::start(own, &[&key, &certificate, &ca]).await;
    let report = meanwhile(&rig, Duration::from_secs(60), modality.next()).await;
    assert_eq!(report, format!("2 1.2.1 [] [('{}', 274)]", uid(0)));
    lobar.stop().await;
}

#[tokio::test]
async fn a_peer_without_a_named_certificate_has_to_show_one_for_the_host_of_its_address() {
    let rig = Rig::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_certificates(folder);
    let ca = file(folder, "ca.pem");
    let own = free_port();
    let list = format!("CR1=127.0.0.1 site=north address=127.0.0.1:{own} tls=on");
    let lobar = serve(&rig, listed(folder, &list)).await;
    let [key, certificate] = ["modality.key", "modality.pem"].map(|name| file(folder, name));
    let [far_key, far] = ["far.key", "far.pem"].map(|name| file(folder, name));
    let elsewhere = Listener::start(own, &[&far_key, &far, &ca]).await;
    let by = [key.as_str(), &certificate, &ca];
    let answer = ask_by(&by, &lobar.port(), "1.2.1", &[&uid(0)]).await;
    assert_eq!(answer.expect("an answer"), "0000");
    until_tried(&rig, 2).await;
    assert_eq!(elsewhere.rest().await, Vec::<String>::new());
    let mut modality = Listener::start(own, &[&key, &certificate, &ca]).await;
    let report = meanwhile(&rig, Duration::from_secs(60), modality.next()).await;
    assert_eq!(report, format!("2 1.2.1 [] [('{}', 274)]", uid(0)));
    lobar.stop().await;
}

#[tokio::test]
async fn doctor_echoes_dcmtk_by_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_certificates(folder);
    let port = free_port().to_string();
    let [key, certificate, ca] =
        ["modality.key", "modality.pem", "ca.pem"].map(|it| file(folder, it));
    let mut peer = tokio::process::Command::new("storescp");
    peer.args(["+tls", &key, &certificate, "+cf", &ca, &port]).current_dir(folder);
    let _peer = peer.stdout(Stdio::null()).kill_on_drop(true).spawn().expect("starts");
    let listens = async {
        while tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listens).await.expect("it listens");
    let data = folder.join("data").display().to_string();
    let list = format!(
        "HERE=127.0.0.1 site=north address=127.0.0.1:{port} tls=on; PLAIN=127.0.0.1 site=north address=127.0.0.1:{port}"
    );
    let how = ["doctor", "--roles", "s3,dicom", "--signal", "poll:", "--data", &data];
    let [own, own_key] = ["server.pem", "server.key"].map(|it| file(folder, it));
    let tls = ["--dicom-tls-cert", &own, "--dicom-tls-key", &own_key, "--dicom-tls-client-ca", &ca];
    let told = run(executable(), &[&how[..], &tls[..], &["--dicom-peers", &list]].concat()).await;
    let told = said(&told);
    assert!(
        told.contains(&format!("good    DICOM peer: HERE at 127.0.0.1:{port} answers")),
        "{told}"
    );
    assert!(told.contains("advice  DICOM peer: PLAIN at"), "{told}");
}
