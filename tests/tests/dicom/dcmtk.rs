//! Real peers: DCMTK's `echoscu`, `storescu`, `dcmsend`.

use std::path::Path;

use dicom_dictionary_std::tags;
use lobar_core::audit::{Action, Cursor, Filter};
use lobar_tests::rig::Rig;

use super::fixture::{objects, run, said, serve, settings, succeed, uid, versions, write_image};

#[tokio::test]
async fn an_echo_is_answered() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let text = succeed("echoscu", &["-v", "127.0.0.1", &lobar.port()]).await;
    assert!(text.contains("Received Echo Response (Success)"), "{text}");
    lobar.stop().await;
}

/// A file in another transfer syntax, and the option by which `storescu` proposes that one.
async fn converted(folder: &Path, number: usize, how: &[&str], name: &str) -> String {
    let original = write_image(folder, number);
    let into = folder.join(format!("{number}-{name}.dcm")).display().to_string();
    let original = original.display().to_string();
    let mut arguments = how[1..].to_vec();
    arguments.extend([original.as_str(), into.as_str()]);
    succeed(how[0], &arguments).await;
    into
}

#[tokio::test]
async fn every_transfer_syntax_that_storescu_proposes_is_stored_as_it_was_sent() {
    let kinds: [(&str, &[&str], &str); 9] = [
        ("1.2.840.10008.1.2", &["dcmconv", "+ti"], "-xi"),
        ("1.2.840.10008.1.2.1", &["dcmconv", "+te"], "-xe"),
        ("1.2.840.10008.1.2.2", &["dcmconv", "+tb"], "-xb"),
        ("1.2.840.10008.1.2.1.99", &["dcmconv", "+td"], "-xd"),
        ("1.2.840.10008.1.2.5", &["dcmcrle"], "-xr"),
        ("1.2.840.10008.1.2.4.70", &["dcmcjpeg"], "-xs"),
        ("1.2.840.10008.1.2.4.51", &["dcmcjpeg", "+ee"], "-xx"),
        ("1.2.840.10008.1.2.4.80", &["dcmcjpls"], "-xt"),
        ("1.2.840.10008.1.2.4.81", &["dcmcjpls", "+en"], "-xu"),
    ];
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let folder = tempfile::tempdir().expect("a folder");
    for (number, (syntax, how, option)) in kinds.into_iter().enumerate() {
        let file = converted(folder.path(), number, how, "converted").await;
        succeed("storescu", &[option, "127.0.0.1", &lobar.port(), &file]).await;
        let sent = dicom_object::open_file(&file).expect("a file");
        let instance = sent.meta().media_storage_sop_instance_uid().to_owned();
        let stored = objects(&rig).await.into_iter().find_map(|bytes| {
            let read = dicom_object::from_reader(&bytes[..]).expect("a file");
            (read.meta().media_storage_sop_instance_uid() == instance).then_some(read)
        });
        let stored = stored.unwrap_or_else(|| panic!("{syntax} is not there"));
        assert_eq!(stored.meta().transfer_syntax(), syntax);
        let pixels = |of: &dicom_object::DefaultDicomObject| {
            of.element(tags::PIXEL_DATA).expect("pixels").value().clone()
        };
        assert!(pixels(&stored) == pixels(&sent), "{syntax}: other pixels");
    }
    assert_eq!(versions(&rig).await.len(), kinds.len());
    let sent = kinds.len() as f64;
    lobar.until("lobar_dicom_stores_total", "success", sent).await;
    lobar.stop().await;
}

#[tokio::test]
async fn a_folder_that_dcmsend_sends_is_stored_once_however_often_it_is_sent() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_image(folder.path(), number);
    }
    let path = folder.path().display().to_string();
    for _ in 0..2 {
        succeed("dcmsend", &["+sd", "127.0.0.1", &lobar.port(), &path]).await;
    }
    let stored = versions(&rig).await;
    assert_eq!(stored.len(), 5);
    for number in 0..5 {
        let prefix = format!("incoming/local/dicom/{}/", uid(number));
        assert_eq!(stored.iter().filter(|it| it.object.key.starts_with(&prefix)).count(), 1);
    }
    lobar.stop().await;
    let filter = Filter { action: Some(Action::Uploaded), ..Filter::default() };
    let entries = rig.audit.page(&filter, Cursor::After(0), 10).await.expect("reads");
    assert_eq!(entries.len(), 2, "an entry for each association");
    assert!(entries[0].detail.contains("\"instances\":5"), "{}", entries[0].detail);
    assert_eq!(entries[0].actor_kind, "machine");
}

#[tokio::test]
async fn a_class_that_nobody_configured_is_not_accepted() {
    let rig = Rig::open().await;
    let mut configured = settings();
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_image(folder.path(), 0).display().to_string();
    let class = "1.2.840.10008.5.1.4.1.1.2";
    succeed("dcmodify", &["-nb", "-m", &format!("0008,0016={class}"), &path]).await;
    let lobar = serve(&rig, settings()).await;
    let refused = run("storescu", &["-v", "127.0.0.1", &lobar.port(), &path]).await;
    assert!(said(&refused).contains("No presentation context for"), "{}", said(&refused));
    assert!(versions(&rig).await.is_empty());
    lobar.stop().await;
    configured.more_classes = vec![class.into()];
    let lobar = serve(&rig, configured).await;
    succeed("storescu", &["127.0.0.1", &lobar.port(), &path]).await;
    assert_eq!(versions(&rig).await.len(), 1);
    lobar.stop().await;
}
