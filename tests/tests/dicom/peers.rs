//! Who may come, and to which site what they send belongs.

use lobar_core::audit::{Action, Cursor, Filter};
use lobar_tests::rig::Rig;

use super::fixture::{run, said, serve, settings, succeed, versions, write_image};

#[tokio::test]
async fn a_peer_on_the_list_writes_to_its_own_site_and_others_are_rejected() {
    let rig = Rig::open().await;
    let mut listed = settings();
    listed.peers = "CR1=127.0.0.1 site=north lane=stat; WATCH=127.0.0.1 site=north store=off; \
                    FAR=10.0.0.5 site=south"
        .parse()
        .expect("a list");
    let lobar = serve(&rig, listed).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = write_image(folder.path(), 0).display().to_string();
    let port = lobar.port();
    let store = async |title: &str| {
        run("storescu", &["-v", "-aet", title, "127.0.0.1", &port, &file]).await
    };
    assert!(store("CR1").await.status.success());
    let key = &versions(&rig).await[0].object.key;
    assert!(key.starts_with("incoming/north/dicom/"), "{key}");
    for stranger in ["STRANGER", "FAR"] {
        let output = store(stranger).await;
        assert!(!output.status.success());
        assert!(said(&output).contains("Calling AE Title Not Recognized"), "{}", said(&output));
    }
    assert!(!store("WATCH").await.status.success(), "it may not store");
    succeed("echoscu", &["-aet", "WATCH", "127.0.0.1", &port]).await;
    assert_eq!(versions(&rig).await.len(), 1);
    assert!((lobar.metric("lobar_dicom_associations_total", "refused") - 2.0).abs() < 0.5);
    lobar.stop().await;
    let filter = Filter { action: Some(Action::Refused), ..Filter::default() };
    let entries = rig.audit.page(&filter, Cursor::After(0), 10).await.expect("reads");
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| !entry.detail.contains("STRANGER")), "not echoed");
}

#[tokio::test]
async fn who_calls_another_title_is_rejected_where_that_is_checked() {
    let rig = Rig::open().await;
    let mut checked = settings();
    checked.check_called = true;
    let lobar = serve(&rig, checked).await;
    let port = lobar.port();
    succeed("echoscu", &["-aec", "LOBAR", "127.0.0.1", &port]).await;
    let output = run("echoscu", &["-v", "-aec", "OTHER", "127.0.0.1", &port]).await;
    assert!(said(&output).contains("Called AE Title Not Recognized"), "{}", said(&output));
    lobar.stop().await;
}
