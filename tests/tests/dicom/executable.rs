//! The executable: `lobar up` listens, tells where, loses nothing when it is killed, and `lobar doctor` asks peers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lobar_core::object_store::ObjectListing;
use lobar_s3::{S3ObjectStore, S3Options};
use lobar_testkit::services::free_port;
use lobar_tests::kit::{Client, Lobar, executable};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::client::Peer;
use super::fixture::{PATIENCE, run, said, serve, settings, succeed, write_image};
use lobar_tests::rig::Rig;

fn port(lobar: &Lobar) -> String {
    lobar.dicom.rsplit(':').next().expect("a port").to_owned()
}

#[tokio::test]
async fn an_instance_that_is_sent_stands_in_the_list_and_a_stop_waits_for_no_idle_association() {
    let folder = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::up(&folder.path().join("data"));
    let file = write_image(folder.path(), 0).display().to_string();
    succeed("storescu", &["127.0.0.1", &port(&lobar), &file]).await;
    let images = Client::new(&lobar.page).settled(1).await;
    assert_eq!(images.len(), 1);
    let idle = Peer::associate(lobar.dicom.parse().expect("an address"), "IDLE").await;
    assert_eq!(lobar.stop(), 0);
    drop(idle);
}

#[tokio::test]
async fn kills_at_random_while_a_modality_sends_lose_and_double_nothing() {
    const IMAGES: usize = 12;
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    std::fs::create_dir(&files).expect("made");
    for number in 0..IMAGES {
        write_image(&files, number);
    }
    let data = folder.path().join("data");
    let listen = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let up = || {
        let arguments = ["up", "--s3-listen", &listen[0], "--dicom-listen", &listen[1]];
        Lobar::start(&executable(), &arguments, &data)
    };
    let mut random = StdRng::seed_from_u64(12);
    for _ in 0..3 {
        let lobar = up();
        let mut sending = send(&port(&lobar), &files).spawn().expect("starts");
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        lobar.kill();
        let _ = sending.wait();
    }
    let lobar = up();
    let sent = send(&port(&lobar), &files).output().expect("runs");
    assert!(sent.status.success(), "{}", said(&sent));
    let images = Client::new(&lobar.page).settled(IMAGES).await;
    assert_eq!(images.len(), IMAGES);
    let options = S3Options {
        endpoint: Some(lobar.s3.clone()),
        region: Some("us-east-1".into()),
        credentials: Some(lobar.key_pair()),
        ..S3Options::new("xrays")
    };
    let bucket = S3ObjectStore::connect(options).await;
    let page = bucket.versions("incoming/local/dicom/", None).await.expect("lists");
    assert_eq!(page.versions.len(), IMAGES, "one version each");
    assert_eq!(lobar.stop(), 0);
}

fn send(port: &str, files: &Path) -> Command {
    let mut command = Command::new("storescu");
    command.args(["+sd", "127.0.0.1", port]).arg(files);
    command.stderr(std::process::Stdio::null());
    command
}

#[tokio::test]
async fn doctor_asks_the_peers_that_have_an_address() {
    let rig = Rig::open().await;
    let there = serve(&rig, settings()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let list = format!(
        "HERE=127.0.0.1 site=north address={}; AWAY=127.0.0.1 site=north address=127.0.0.1:{}",
        there.address,
        free_port()
    );
    let data = folder.path().join("data").display().to_string();
    let mut command = tokio::process::Command::new(executable());
    command.args([
        "doctor",
        "--roles",
        "s3,ingest,dicom,api",
        "--data",
        &data,
        "--signal",
        "poll:",
    ]);
    let output = command.args(["--dicom-peers", &list]).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("in time").expect("runs");
    let text = said(&output);
    assert!(text.contains("good    DICOM peer: HERE at 127.0.0.1:"), "{text}");
    assert!(text.contains("advice  DICOM peer: AWAY at 127.0.0.1:"), "{text}");
    there.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_where_it_was_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let data = folder.path().join("data").display().to_string();
    let arguments = ["run", "--roles", "s3,dicom", "--signal", "poll:", "--data", &data];
    let listen = ["--s3-listen", "127.0.0.1:0", "--dicom-listen", &address];
    let output = run(executable(), &[&arguments[..], &listen[..]].concat()).await;
    assert!(!output.status.success());
    assert!(
        said(&output).contains(&format!("cannot listen for DICOM on {address}")),
        "{}",
        said(&output)
    );
}
