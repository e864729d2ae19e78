//! The machine's clock is set back while the endpoint and a client of it run.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object_store::{ObjectStore as _, Upload};
use lobar_core::time::{ManualClock, Stamp};
use lobar_testkit::preload::ShiftedClock;

use crate::fixture::{http, start, start_with};

/// More than the quarter of an hour that S3 bears.
const BACK: &str = "-3600";

#[allow(clippy::disallowed_methods, reason = "how the parent tells the child")]
fn offset() -> Option<PathBuf> {
    std::env::var_os("TEST_CLOCK_OFFSET").map(Into::into)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process whose clock another test sets back"]
async fn the_process_whose_clock_is_set_back() {
    let Some(offset) = offset() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let put = async |n: u32| {
        let upload = Upload {
            key: n.to_string(),
            body: "x".into(),
            lane: Lane::Routine,
            metadata: Default::default(),
        };
        objects.put(upload).await
    };
    for n in 0..8 {
        put(n).await.expect("stored");
    }
    std::fs::write(offset, BACK).expect("the clock is set back");
    // The client learns the time from each answer, and signs the next request by it.
    for n in 0..8 {
        put(n).await.expect("stored after the clock was set back");
    }
    endpoint.stop().await;
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_leaves_the_endpoint_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "clock::the_process_whose_clock_is_set_back", "--ignored"])
        .envs(ShiftedClock::new(folder.path(), "child").environment())
        .output()
        .expect("the child starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_dated_by_the_clock_as_it_is_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::new(Stamp(1_767_225_600_000_000));
    let shown = Arc::new(clock.clone());
    let endpoint = start_with(folder.path(), |options| options.clock = shown).await;
    let http = http();
    let date = async || {
        let answer = http.get(endpoint.url()).send().await.expect("an answer");
        answer.headers()["date"].to_str().expect("text").to_owned()
    };
    assert_eq!(date().await, "Thu, 01 Jan 2026 00:00:00 GMT");
    clock.set_back(Duration::from_secs(3600));
    assert_eq!(date().await, "Wed, 31 Dec 2025 23:00:00 GMT");
    endpoint.stop().await;
}
