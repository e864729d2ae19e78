//! An engine and its replicas behind one batcher.

use std::time::Duration;

use lobar_core::image::{Lane, State};
use lobar_tests::rig::{Rig, ScriptedEngine};
use lobar_worker::{DeviceFault, WorkerError, WorkerSettings};

use super::{admit, attempts};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_compute_at_once_and_each_image_is_answered_once() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..24).await;
    let (engine, mut steps) = ScriptedEngine::stepped_replicas(3);
    let working = rig.work(engine, Rig::worker_settings_with(4, 64, 8));
    for _ in 0..3 {
        // None of those before has been let go on.
        assert!(!steps.arrived().await.is_empty());
    }
    steps.go_on();
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 24);
    assert_eq!(attempts(&rig, &images).await, [1; 24]);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shared_among_replicas_that_have_nothing_to_do() {
    let rig = Rig::open().await;
    let (engine, mut steps) = ScriptedEngine::stepped_replicas(2);
    let working = rig.work(engine, Rig::worker_settings_with(8, 64, 8));
    let images = admit(&rig, Lane::Routine, 0..2).await;
    let sizes = [steps.arrived().await.len(), steps.arrived().await.len()];
    assert_eq!(sizes, [1, 1], "neither waits while the other computes both");
    steps.go_on();
    rig.until_quiet().await;
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_hangs_ends_the_worker_and_costs_the_others_images_no_attempt() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..2).await;
    let (engine, mut steps) = ScriptedEngine::stepped_replicas(2);
    let watchdog = Duration::from_millis(300);
    let settings = WorkerSettings { watchdog, ..Rig::worker_settings() };
    let hanging = rig.work(engine, settings);
    steps.arrived().await;
    let ended = hanging.ended().await;
    assert!(matches!(ended, Err(WorkerError::Device(DeviceFault::Hung(_)))), "{ended:?}");
    let mut tried = attempts(&rig, &images).await;
    tried.sort_unstable();
    assert_eq!(tried, [0, 1], "only the batch that has hung for longest is counted");
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 2);
    steps.go_on();
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_panics_ends_the_worker_and_another_finishes_the_work() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..6).await;
    let engine = ScriptedEngine::replicated(2, || |_: &[_]| panic!("as told"));
    let ended = rig.work(engine, Rig::worker_settings()).ended().await;
    assert!(matches!(ended, Err(WorkerError::Device(DeviceFault::Panicked(_)))), "{ended:?}");
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 6);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}
