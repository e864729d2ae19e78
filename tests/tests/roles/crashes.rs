//! SIGKILL at every line: a role is ended before and after each call that it makes on a port, and another
//! takes over (T1, T2).

#![allow(clippy::print_stdout)] // the counters are to be read

use std::time::Duration;

use lobar_core::image::{Lane, State};
use lobar_core::object::ImageId;
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine};

/// Longer than any lease of the rig.
const PAST_EVERY_LEASE: Duration = Duration::from_secs(25 * 3600);
/// More steps than a role takes with these uploads.
const STEPS: u32 = 400;

/// A whole image, an urgent one, one that is there twice under another key, a broken one.
async fn upload(rig: &Rig) -> Vec<(ImageId, State)> {
    let picture = |seed| kit::radiograph_jpeg(320, 300, seed);
    let mut expected = Vec::new();
    for (key, lane, body, state) in [
        ("incoming/north/a.jpg", Lane::Routine, picture(1), State::Ready),
        ("incoming/north/stat/b.jpg", Lane::Routine, picture(2), State::Ready),
        ("incoming/north/c.jpg", Lane::Stat, picture(1), State::Ready),
        ("incoming/north/d.jpg", Lane::Routine, b"no picture".to_vec(), State::NeedsHuman),
    ] {
        expected.push((rig.put(key, lane, body).await.id(), state));
    }
    rig.until("the bucket told of all", async || {
        rig.uploads.inner.depth().await.expect("answers").ready == 4
    })
    .await;
    expected
}

/// Every upload ended as it should and was shown once.
async fn account(rig: &Rig, expected: &[(ImageId, State)], step: u32) {
    let events = rig.events().await;
    for (id, state) in expected {
        let image = rig.image(*id).await;
        assert_eq!(image.state, *state, "killed at step {step}");
        let shown = events.iter().filter(|event| event.image == *id && event.state == *state);
        assert_eq!(shown.count(), 1, "killed at step {step}");
    }
    assert_eq!(rig.open_images().await, 0, "killed at step {step}");
}

/// Kills `role` at each of its steps in turn. It answers whether the role came to the line before all was
/// done; the first that did not is the last.
async fn at_every_step(role: &str, run: impl AsyncFn(&Rig, u32) -> bool) {
    for step in 1..STEPS {
        let rig = Rig::open().await;
        let expected = upload(&rig).await;
        let reached = run(&rig, step).await;
        rig.until_quiet().await;
        account(&rig, &expected, step).await;
        if !reached {
            let killed = step - 1;
            println!(
                "{role}: attempted {killed} kills, acknowledged {} images each, lost 0, duplicated 0, \
                 recovered {killed}, unexpected 0",
                expected.len()
            );
            assert!(killed > 10, "{role} has more steps than {killed}");
            return;
        }
    }
    panic!("{role} never came to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingest_that_is_killed_at_any_step_loses_nothing_and_doubles_nothing() {
    at_every_step("ingest", async |rig, step| {
        rig.line.draw(step);
        let ingest = rig.ingest(Rig::ingest_settings());
        let reached = tokio::select! {
            () = rig.line.reached() => true,
            () = rig.until("all admitted", async || {
                rig.uploads.inner.depth().await.expect("answers") == Default::default()
            }) => false,
        };
        ingest.crash(rig).await;
        rig.line.erase();
        rig.clock.advance(PAST_EVERY_LEASE);
        let again = rig.ingest(Rig::ingest_settings());
        let worker = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
        rig.until("all admitted", async || {
            rig.uploads.inner.depth().await.expect("answers") == Default::default()
        })
        .await;
        rig.until_quiet().await;
        again.stop().await;
        worker.stop().await.expect("a clean stop");
        reached
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_at_any_step_loses_nothing_and_doubles_nothing() {
    at_every_step("worker", async |rig, step| {
        let ingest = rig.ingest(Rig::ingest_settings());
        rig.until("all admitted", async || {
            rig.uploads.inner.depth().await.expect("answers") == Default::default()
        })
        .await;
        ingest.stop().await;
        rig.line.draw(step);
        let worker = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
        let reached = tokio::select! {
            () = rig.line.reached() => true,
            () = rig.until_quiet() => false,
        };
        worker.crash(rig).await;
        rig.line.erase();
        rig.clock.advance(PAST_EVERY_LEASE);
        let other = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
        rig.until_quiet().await;
        other.stop().await.expect("a clean stop");
        reached
    })
    .await;
}
