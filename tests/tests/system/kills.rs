//! `lobar up` killed at random during a bulk upload (checklist T17).

#![allow(clippy::print_stdout)] // the counters are to be read

use std::time::{Duration, Instant};

use lobar_testkit::services::free_port;
use lobar_tests::kit::{Client, Lobar, executable, radiograph_jpeg};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{assert_shown_once, lobar_upload, states};

/// How long everything may take to end after the last kill.
const PATIENCE: Duration = Duration::from_secs(300);

struct Run {
    seed: u64,
    kills: u32,
    images: u32,
}

/// Uploads by the command that resumes, and kills the server meanwhile; prints the counters.
async fn survive(run: Run) {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    std::fs::create_dir(&files).expect("made");
    for seed in 0..run.images {
        std::fs::write(files.join(format!("{seed}.jpg")), radiograph_jpeg(320, 300, seed))
            .expect("written");
    }
    let [page, s3] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let up = || {
        let arguments = ["up", "--listen", &page, "--s3-listen", &s3];
        Lobar::start(&executable(), &arguments, &data)
    };
    let mut random = StdRng::seed_from_u64(run.seed);
    let (mut acknowledged_by_then, mut recovered) = (0, 0);
    for nth in 0..run.kills {
        let lobar = up();
        recovered += u32::from(nth > 0);
        // The client goes on where it was; it ends when the server is killed, or when all is uploaded.
        let mut upload = lobar_upload(&lobar.page, &files, dir.path()).spawn().expect("starts");
        tokio::time::sleep(Duration::from_millis(random.random_range(0..2500))).await;
        lobar.kill();
        let _ = upload.kill();
        acknowledged_by_then += u32::from(upload.wait().expect("ends").success());
    }
    let lobar = up();
    recovered += 1;
    let done = lobar_upload(&lobar.page, &files, dir.path()).output().expect("runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let (client, began, wanted) = (Client::new(&lobar.page), Instant::now(), run.images as usize);
    let images = loop {
        let images = client.images().await;
        let open = states(&images, "queued") + states(&images, "analysing");
        if states(&images, "ready") >= wanted && open == 0 {
            break images;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {wanted} ready", states(&images, "ready"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    // A file whose PUT was under way when the kill came may be there in two versions.
    let (ready, twice) = (states(&images, "ready"), states(&images, "superseded"));
    let (lost, doubled) = (wanted.saturating_sub(ready), ready.saturating_sub(wanted));
    let unexpected = images.len() - ready - twice;
    println!(
        "seed {}: attempted {} kills, acknowledged {wanted} files, lost {lost}, duplicated {doubled}, \
         recovered {recovered} (uploads that were whole before the last kill: {acknowledged_by_then}; files sent \
         twice: {twice}), unexpected {unexpected}",
        run.seed, run.kills
    );
    assert_eq!((lost, doubled, unexpected), (0, 0, 0));
    assert_shown_once(&client, &images).await;
    assert_eq!(lobar.stop(), 0);
}

#[tokio::test]
async fn three_kills_at_random_during_a_bulk_upload_lose_and_double_nothing() {
    survive(Run { seed: 1, kills: 3, images: 60 }).await;
}

#[tokio::test]
#[ignore = "takes minutes; docs/reliability.md has its counters"]
async fn fifty_kills_at_random_during_a_bulk_upload_lose_and_double_nothing() {
    survive(Run { seed: 17, kills: 50, images: 1000 }).await;
}
