//! What reads other people's files does it in a process of its own: what happens to that costs the answer it was to give.
//!
//! Each runs in a fresh process of these tests, since how children are started is said once for a process.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lobar_core::study::Uids;
use lobar_imaging::isolation::{Program, serve, use_children};
use lobar_tests::kit::radiograph_jpeg;
use serde_json::json;

use super::image::{GREY_12, by};
use super::{AS_STORED, DICOM, OCTETS, nth, place};
use crate::fixture::Fixture;
use crate::wado::{of, opened, path, pixels};

const CHILD: &str = "dicom_transcode::apart::the_child";
const RLE: &str = "1.2.840.10008.1.2.5";

/// What a child runs that is this executable again.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn the_child() {
    let _ = serve(lobar_api::read_instance);
}

static ENDED: AtomicUsize = AtomicUsize::new(0);

/// From now on this process has children that do this.
fn children(path: PathBuf, arguments: &[&str], time: Duration) {
    use_children(Program {
        path,
        arguments: arguments.iter().map(Into::into).collect(),
        time,
        processor: 60,
        memory: 1 << 30,
        ended: |_| {
            ENDED.fetch_add(1, Ordering::SeqCst);
        },
    });
}

/// Runs one of the tests below, which are ignored otherwise, in a fresh process.
fn in_a_process_of_its_own(name: &str) {
    let this = std::env::current_exe().expect("this executable");
    let name = format!("dicom_transcode::apart::{name}");
    let output = Command::new(this).args(["--exact", &name, "--ignored", "--nocapture"]).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn instances_are_read_by_children() {
    in_a_process_of_its_own("with_children");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test, in a process of its own"]
async fn with_children() {
    let this = std::env::current_exe().expect("this executable");
    let arguments = ["--exact", CHILD, "--ignored", "--nocapture"];
    children(this, &arguments, Duration::from_secs(120));
    let fixture = Fixture::open().await;
    let uids = nth(0);
    let place = place(&uids);
    let file = by(&["dcmcrle"], &GREY_12.native(place));
    fixture.stored("north", &file, &of(place, RLE)).await;
    let instance = fixture.wado(&path(place), DICOM, None).await;
    assert!(pixels(&opened(&instance.body)) == GREY_12.pixels());
    let frame = fixture.wado(&format!("{}/frames/1", path(place)), OCTETS, None).await;
    assert!(frame.parts()[0].1 == GREY_12.pixels());
    let told = fixture.wado(&format!("{}/metadata", path(place)), "*/*", None).await.json();
    assert_eq!(told[0]["00100010"]["Value"], json!([{ "Alphabetic": "Müller^Jana" }]));
    assert_eq!(told[0]["00280101"]["Value"], json!([12]));
    assert_eq!(ENDED.load(Ordering::SeqCst), 0);
    fixture.stop().await;
}

#[test]
fn a_reader_that_never_ends_is_killed_and_the_server_goes_on() {
    in_a_process_of_its_own("with_children_that_never_end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test, in a process of its own"]
async fn with_children_that_never_end() {
    let script = "printf R >&0; while :; do :; done";
    children("/bin/sh".into(), &["-c", script], Duration::from_secs(1));
    only_its_own_answers_are_lost().await;
}

#[test]
fn a_reader_that_is_ended_by_the_system_costs_no_other_answer() {
    in_a_process_of_its_own("with_children_that_are_ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test, in a process of its own"]
async fn with_children_that_are_ended() {
    // As a process is ended that takes more memory than there is.
    let script = "printf R >&0; head -c 100 >/dev/null; kill -KILL $$";
    children("/bin/sh".into(), &["-c", script], Duration::from_secs(30));
    only_its_own_answers_are_lost().await;
}

/// Children give no answer: what is asked of DICOM files is refused, or told as far as it is known, within seconds.
async fn only_its_own_answers_are_lost() {
    let fixture = Fixture::open().await;
    let uids = nth(0);
    let place = place(&uids);
    let file = by(&["dcmcrle"], &GREY_12.native(place));
    fixture.stored("north", &file, &of(place, RLE)).await;
    let picture = Uids::of_image(fixture.pictured("north", &radiograph_jpeg(320, 300, 1)).await);
    let picture = [picture.study.as_str(), picture.series.as_str(), picture.instance.as_str()];
    let began = Instant::now();
    for (address, accept) in [(path(place), DICOM), (format!("{}/frames/1", path(place)), OCTETS)] {
        let answer = fixture.wado(&address, accept, None).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (404, &json!("undecodable")));
    }
    let told = fixture.wado(&format!("{}/metadata", path(place)), "*/*", None).await.json();
    assert_eq!(told[0]["00080018"]["Value"], json!([place[2]]), "what is known of it");
    assert!(told[0]["00280101"].is_null(), "and nothing of the file");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(ENDED.load(Ordering::SeqCst) >= 3, "children were asked");
    // What needs no reading, and what is no DICOM file, is given as before.
    assert!(fixture.wado(&path(place), AS_STORED, None).await.parts()[0].1 == file);
    assert_eq!(fixture.wado(&path(picture), DICOM, None).await.status, 200);
    assert_eq!(fixture.get("/v1/images").await.0, 200);
    fixture.stop().await;
}
