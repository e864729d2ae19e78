//! The machine's clock is set back while the endpoint and a client of it run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object_store::{ObjectStore as _, Upload};
use lobar_core::time::{ManualClock, Stamp};

use crate::fixture::{http, start, start_with};

/// The file that holds by how many seconds the child's clock is off.
const OFFSET: &str = "LOBAR_TEST_CLOCK_OFFSET";
/// More than the quarter of an hour that S3 bears.
const BACK: &str = "-3600";

/// Puts the time of day off by what [`OFFSET`] holds; clocks that only grow are left alone.
const SHIFTED_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, now);
    char text[32] = {0};
    int file = id == CLOCK_REALTIME ? open(getenv("LOBAR_TEST_CLOCK_OFFSET"), O_RDONLY) : -1;
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
        close(file);
    }
    return done;
}
"#;

/// Builds the library that stands before the system's clock. The linker of every Rust toolchain is a C
/// compiler.
fn shifted_clock(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, SHIFTED_CLOCK).expect("written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compiler.status().expect("a C compiler").success());
    library
}

#[allow(clippy::disallowed_methods, reason = "how the parent tells the child")]
fn offset() -> Option<PathBuf> {
    std::env::var_os(OFFSET).map(Into::into)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process whose clock another test sets back"]
async fn the_process_whose_clock_is_set_back() {
    let Some(offset) = offset() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let put = async |n: u32| {
        let upload = Upload { key: n.to_string(), body: "x".into(), lane: Lane::Routine };
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
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "0").expect("written");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "clock::the_process_whose_clock_is_set_back", "--ignored"])
        .env("LD_PRELOAD", shifted_clock(folder.path()))
        .env(OFFSET, &offset)
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
