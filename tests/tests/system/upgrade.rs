//! A data folder that an earlier release and this one work on in turn, each killed with work in its hands (checklist
//! T15).
//!
//! `OLD_LOBAR_BIN=/path/to/an/earlier/lobar cargo test --workspace --test system -- --ignored --nocapture in_turn`

#![allow(clippy::print_stdout)] // the counters are to be read

use std::path::PathBuf;

use lobar_tests::kit::{Client, Lobar, executable, radiograph_jpeg};

use super::{assert_shown_once, states};

/// Uploads before each change of releases.
const UPLOADS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an earlier release; docs/reliability.md has its counters"]
async fn a_data_folder_is_served_by_an_earlier_release_and_this_one_in_turn() {
    #[allow(clippy::disallowed_methods, reason = "a test's own setting")]
    let old = std::env::var_os("OLD_LOBAR_BIN").expect("OLD_LOBAR_BIN names an earlier release");
    let (old, new) = (PathBuf::from(old), executable());
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    // Another test of this process may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let turns = [&old, &new, &old, &new];
    let mut uploaded = 0;
    for release in turns {
        let lobar = Lobar::start(release, &["up"], &data);
        for _ in 0..UPLOADS {
            let post = http.post(format!("{}/v1/images?site=north", lobar.page));
            let body = radiograph_jpeg(420, 400, uploaded);
            let post = post.header("content-type", "image/jpeg").body(body);
            let answer = post.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{:?}", answer.text().await);
            uploaded += 1;
        }
        // Some are analysed, most wait in the queues as this release wrote them.
        lobar.kill();
    }
    let lobar = Lobar::start(&new, &["up"], &data);
    let client = Client::new(&lobar.page);
    let images = client.settled(uploaded as usize).await;
    assert_eq!(states(&images, "ready"), images.len());
    assert_shown_once(&client, &images).await;
    assert_eq!(lobar.stop(), 0);
    println!(
        "a data folder of two releases in turn: attempted {uploaded}, acknowledged {uploaded}, lost 0, duplicated 0, \
         recovered {} kills, unexpected 0",
        turns.len()
    );
}
