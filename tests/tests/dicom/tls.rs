//! TLS with DCMTK, and certificates of those who send.

use std::path::Path;

use lobar_dicom::DicomTls;
use lobar_tests::rig::Rig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::fixture::{run, said, serve, settings, succeed, versions, write_image};

/// An authority with its certificate, and pairs for the server and for modalities, as files of a folder.
pub fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("signed");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("written");
    for (name, host) in [
        ("server", "127.0.0.1"),
        ("modality", "127.0.0.1"),
        ("other", "127.0.0.1"),
        ("unnamed", "127.0.0.1"),
        ("far", "far.example"),
    ] {
        let mut params = CertificateParams::new(vec![host.into()]).expect("names");
        // Another name than the authority has: OpenSSL would take it for self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &authority).expect("signed");
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("written");
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("written");
    }
}

#[tokio::test]
async fn storescu_sends_by_tls_and_who_has_no_certificate_is_turned_away() {
    let rig = Rig::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let image = write_image(folder.path(), 0).display().to_string();
    let mut secured = settings();
    let tls = DicomTls {
        certificate: file("server.pem").into(),
        key: file("server.key").into(),
        client_authorities: None,
    };
    secured.tls = Some(tls.clone());
    let lobar = serve(&rig, secured.clone()).await;
    let anonymous = ["+tla", "+cf", &file("ca.pem"), "127.0.0.1"].map(String::from);
    let store = async |how: &[String], port: &str| {
        let how: Vec<&str> = how.iter().map(String::as_str).collect();
        run("storescu", &[&how[..], &[port, &image]].concat()).await
    };
    assert!(store(&anonymous, &lobar.port()).await.status.success());
    assert_eq!(versions(&rig).await.len(), 1);
    let plain = run("echoscu", &["-ta", "5", "-to", "5", "127.0.0.1", &lobar.port()]).await;
    assert!(!plain.status.success(), "without TLS nobody is answered");
    lobar.stop().await;

    secured.tls = Some(DicomTls { client_authorities: Some(file("ca.pem").into()), ..tls });
    let lobar = serve(&rig, secured).await;
    assert!(!store(&anonymous, &lobar.port()).await.status.success());
    let (key, certificate, ca) = (file("modality.key"), file("modality.pem"), file("ca.pem"));
    let port = lobar.port();
    succeed("storescu", &["+tls", &key, &certificate, "+cf", &ca, "127.0.0.1", &port, &image])
        .await;
    lobar.stop().await;
}

#[tokio::test]
async fn the_certificate_of_one_peer_does_not_let_its_bearer_act_as_another() {
    let rig = Rig::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let fingerprint = async |name: &str| {
        let how = ["x509", "-noout", "-fingerprint", "-sha256", "-in", &file(name)];
        let printed = succeed("openssl", &how).await;
        printed.trim().split_once('=').expect("a fingerprint").1.to_owned()
    };
    let mut secured = settings();
    secured.tls = Some(DicomTls {
        certificate: file("server.pem").into(),
        key: file("server.key").into(),
        client_authorities: Some(file("ca.pem").into()),
    });
    let list = format!(
        "A=127.0.0.1 site=north cert={}; B=127.0.0.1 site=south cert={}; C=127.0.0.1 site=south",
        fingerprint("modality.pem").await,
        fingerprint("other.pem").await
    );
    secured.peers = list.parse().expect("a list");
    let lobar = serve(&rig, secured).await;
    let (port, ca) = (lobar.port(), file("ca.pem"));
    for (number, bearer, own) in [(0, "modality", "A"), (1, "other", "B"), (2, "unnamed", "C")] {
        let image = write_image(folder.path(), number).display().to_string();
        let (key, certificate) = (file(&format!("{bearer}.key")), file(&format!("{bearer}.pem")));
        for title in ["A", "B", "C"] {
            let how = ["-v", "+tls", &key, &certificate, "+cf", &ca, "-aet", title, "127.0.0.1"];
            let output = run("storescu", &[&how[..], &[port.as_str(), &image]].concat()).await;
            let told = said(&output);
            assert_eq!(output.status.success(), title == own, "{bearer} as {title}: {told}");
            let rejected = told.contains("Calling AE Title Not Recognized");
            assert_eq!(rejected, title != own, "{bearer} as {title}: {told}");
        }
    }
    lobar.stop().await;
    let keys = versions(&rig).await.into_iter().map(|it| it.object.key);
    let mut sites: Vec<String> =
        keys.map(|key| key.split('/').take(2).collect::<Vec<_>>().join("/")).collect();
    sites.sort();
    assert_eq!(sites, ["incoming/north", "incoming/south", "incoming/south"]);
}
