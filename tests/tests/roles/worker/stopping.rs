//! Stopping with work in hand.

use std::time::Duration;

use lobar_core::image::{Lane, State};
use lobar_core::queue::Queue;
use lobar_tests::rig::{Rig, ScriptedEngine};
use lobar_worker::WorkerSettings;

use super::{admit, attempts};

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_gives_back_what_it_cannot_finish_uncounted() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..6).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let drain = Duration::from_millis(100);
    let working = rig.work(engine, WorkerSettings { drain, ..Rig::worker_settings() });
    steps.arrived().await;
    working.stop().await.expect("a stop is no error");
    assert_eq!(attempts(&rig, &images).await, [0; 6], "interrupted is not failed");
    assert_eq!(rig.count(State::Queued).await, 6);
    let queue = &rig.jobs.routine;
    let again = queue.receive(10, Duration::ZERO, Duration::from_secs(60)).await.expect("answers");
    assert_eq!(again.iter().map(|d| d.receive_count).collect::<Vec<_>>(), [1; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_under_load_finishes_what_is_in_hand_and_leaves_the_rest() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..30).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let settings = Rig::worker_settings_with(4, 10, 2);
    let working = rig.work(engine, settings);
    steps.arrived().await;
    working.begin_stop();
    steps.go_on();
    working.ended().await.expect("a graceful stop");
    let (mut ready, mut queued) = (0, 0);
    for image in &images {
        let image = rig.image(*image).await;
        match image.state {
            State::Ready => ready += u64::from(image.attempts == 1),
            State::Queued => queued += u64::from(image.attempts == 0),
            other => panic!("{other} after the stop"),
        }
    }
    assert_eq!(ready + queued, 30);
    assert!(ready >= 1 && queued >= 20, "{ready} ready, {queued} queued");
    let depth = rig.depth(Lane::Routine).await;
    assert_eq!((depth.ready, depth.in_flight), (queued, 0));
}
