//! Images that may have taken a process down.

use std::time::Duration;

use lobar_core::image::{Lane, State};
use lobar_core::object::ImageId;
use lobar_core::store::{Claim, Store};
use lobar_tests::rig::{Rig, ScriptedEngine};

use super::{admit, attempts, input, picture};

/// A worker dies while it decodes all of these.
async fn die_decoding(rig: &Rig, images: &[ImageId]) {
    let claims = rig.store.claim(images, 5).await.expect("answers");
    let uncounted = claims.into_iter().filter_map(|claim| match claim {
        Claim::Granted(claimed) if !claimed.counted => Some(claimed.held()),
        _ => None,
    });
    let uncounted: Vec<_> = uncounted.collect();
    rig.store.count_attempts(&uncounted).await.expect("answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn suspects_of_one_crash_are_worked_on_together() {
    let rig = Rig::open().await;
    let suspects = admit(&rig, Lane::Routine, 0..5).await;
    die_decoding(&rig, &suspects).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let working = rig.work(engine, Rig::worker_settings());
    steps.arrived().await;
    // Nobody waits for the first batch to end.
    rig.until("all are being worked on", async || rig.count(State::Analysing).await == 5).await;
    steps.go_on();
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 5);
    assert_eq!(attempts(&rig, &suspects).await, [2; 5]);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn suspects_of_two_crashes_take_their_turn_one_at_a_time() {
    let rig = Rig::open().await;
    let suspects = admit(&rig, Lane::Routine, 0..5).await;
    for _ in 0..2 {
        die_decoding(&rig, &suspects).await;
    }
    let (engine, mut steps) = ScriptedEngine::stepped();
    let working = rig.work(engine, Rig::worker_settings());
    for turn in 0..5 {
        let batch = steps.arrived().await;
        assert_eq!(batch.len(), 1, "alone in its batch");
        let others = async || rig.count(State::Queued).await == 4 - turn;
        rig.until("the others wait in the store, uncounted", others).await;
        let tried = attempts(&rig, &suspects).await;
        assert_eq!(tried.iter().filter(|n| **n == 3).count() as u64, turn + 1, "{tried:?}");
        steps.go();
    }
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 5);
    rig.assert_each_ended_once(&suspects).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_kills_the_process_ends_in_quarantine_and_takes_nobody_along() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..8).await;
    let poison = input(&picture(3));
    let mut crashes = 0;
    let survivor = loop {
        let (killed, mut killing) = tokio::sync::mpsc::channel(1);
        let (alive, dead) = std::sync::mpsc::sync_channel::<()>(0);
        let poison = poison.clone();
        let engine = ScriptedEngine::new(move |batch| {
            if batch.contains(&poison) {
                let _ = killed.blocking_send(());
                // The process dies here: nothing is answered before it has.
                let _ = dead.recv();
            }
            ScriptedEngine::answer(batch)
        });
        let working = rig.work(engine, Rig::worker_settings());
        let quiet = rig.until_quiet();
        tokio::select! {
            () = quiet => break working,
            _ = killing.recv() => {}
        }
        working.crash(&rig).await;
        drop(alive);
        crashes += 1;
        // Its leases run out.
        rig.clock.advance(Duration::from_secs(2 * 24 * 3600));
    };
    assert_eq!(crashes, 5, "as often as it may be tried");
    for (seed, image) in images.iter().enumerate() {
        let expected = if seed == 3 { State::Failed } else { State::Ready };
        assert_eq!(rig.image(*image).await.state, expected, "image {seed}");
    }
    rig.assert_each_ended_once(&images).await;
    survivor.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_were_only_held_when_their_workers_died_end_as_if_nobody_had() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..30).await;
    // Nothing is fetched: each worker dies with claimed images, none of which it has begun to decode.
    rig.objects.flowing.off();
    for _ in 0..9 {
        let claims = rig.events().await.len();
        let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
        rig.until("images are claimed", async || rig.events().await.len() > claims).await;
        working.crash(&rig).await;
        rig.clock.advance(Duration::from_secs(2 * 24 * 3600));
    }
    rig.objects.flowing.on();
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 30);
    rig.assert_each_ended_once(&images).await;
    assert!(attempts(&rig, &images).await.into_iter().all(|tried| tried <= 2));
    working.stop().await.expect("a graceful stop");
}
