//! What becomes of images when the engine fails.

use std::time::Duration;

use lobar_core::engine::{EngineError, NetworkInput};
use lobar_core::image::{Lane, Reason, State};
use lobar_tests::rig::{Rig, ScriptedEngine};
use lobar_worker::{DeviceFault, WorkerError, WorkerSettings};

use super::{admit, attempts, input, picture};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_number_needs_a_human_and_is_never_negative() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..3).await;
    let engine = ScriptedEngine::new(|batch| {
        let mut answers = ScriptedEngine::answer(batch)?;
        for (answer, input) in answers.iter_mut().zip(batch) {
            if *input == super::input(&picture(0)) {
                *answer = Err("NaN".into());
            } else if *input == super::input(&picture(1))
                && let Ok(prediction) = answer
            {
                prediction.probability = f64::NAN;
            }
        }
        Ok(answers)
    });
    let working = rig.work(engine, Rig::worker_settings());
    rig.until_quiet().await;
    for image in &images[..2] {
        let image = rig.image(*image).await;
        assert_eq!(image.state, State::NeedsHuman);
        assert_eq!(image.reason, Some(Reason::EngineFailed));
    }
    assert_eq!(rig.image(images[2]).await.state, State::Ready);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_is_cut_in_two_and_costs_no_attempt() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..8).await;
    let engine = ScriptedEngine::new(|batch| match batch.len() {
        5.. => Err(EngineError::Batch { size: batch.len(), why: "out of memory".into() }),
        _ => ScriptedEngine::answer(batch),
    });
    // All eight are decoded before the first fetch is let through, so that they meet in one batch.
    rig.objects.flowing.off();
    let settings = Rig::worker_settings_with(8, 64, 8);
    let working = rig.work(engine, settings);
    rig.until("all are claimed", async || rig.count(State::Analysing).await == 8).await;
    rig.objects.flowing.on();
    rig.until_quiet().await;
    assert_eq!(attempts(&rig, &images).await, [1; 8]);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_always_fails_in_the_engine_goes_to_quarantine_alone() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..6).await;
    let poison = input(&picture(2));
    let engine = ScriptedEngine::new(move |batch| match batch.contains(&poison) {
        true => Err(EngineError::Batch { size: batch.len(), why: "illegal shape".into() }),
        false => ScriptedEngine::answer(batch),
    });
    let working = rig.work(engine, Rig::worker_settings());
    rig.until_quiet().await;
    for (seed, image) in images.iter().enumerate() {
        let image = rig.image(*image).await;
        let expected = if seed == 2 { State::Failed } else { State::Ready };
        assert_eq!(image.state, expected, "image {seed}");
        assert!(seed == 2 || image.attempts <= 2, "the innocent are tried alone at once");
    }
    assert_eq!(rig.image(images[2]).await.reason, Some(Reason::RepeatedFailure));
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_device_ends_the_worker_and_costs_no_attempt() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..5).await;
    let engine = ScriptedEngine::new(|_| Err(EngineError::DeviceLost("unplugged".into())));
    let ended = rig.work(engine, Rig::worker_settings()).ended().await;
    assert!(matches!(ended, Err(WorkerError::Device(DeviceFault::Lost(_)))), "{ended:?}");
    assert_eq!(attempts(&rig, &images).await, [0; 5]);
    assert_eq!(rig.count(State::Queued).await, 5);
    assert_eq!(rig.depth(Lane::Routine).await.ready, 5, "given back at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_engine_ends_the_worker_and_another_finishes_the_work() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..5).await;
    let ended = rig.work(ScriptedEngine::new(|_| panic!("as told")), Rig::worker_settings());
    let ended = ended.ended().await;
    assert!(matches!(ended, Err(WorkerError::Device(DeviceFault::Panicked(_)))), "{ended:?}");
    let tried = attempts(&rig, &images).await;
    assert!(tried.contains(&1), "the batch in the engine is counted: {tried:?}");
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 5);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_ends_the_worker_and_another_finishes_the_work() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..3).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let watchdog = Duration::from_millis(300);
    let hanging = rig.work(engine, WorkerSettings { watchdog, ..Rig::worker_settings() });
    steps.arrived().await;
    let ended = hanging.ended().await;
    assert!(matches!(ended, Err(WorkerError::Device(DeviceFault::Hung(_)))), "{ended:?}");
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 3);
    // The hung engine wakes up at last: nobody listens.
    steps.go_on();
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_engine_fails_its_first_check_never_receives() {
    struct Broken(ScriptedEngine);
    let rig = Rig::open().await;
    admit(&rig, Lane::Routine, 0..1).await;
    impl lobar_core::engine::Engine for Broken {
        fn info(&self) -> &lobar_core::engine::EngineInfo {
            self.0.info()
        }
        fn infer(&mut self, batch: &[NetworkInput]) -> lobar_tests::rig::Answers {
            Err(EngineError::Batch { size: batch.len(), why: "always".into() })
        }
    }
    let ended = rig.work(Broken(ScriptedEngine::truthful()), Rig::worker_settings()).ended().await;
    assert!(matches!(ended, Err(WorkerError::Device(DeviceFault::Lost(_)))), "{ended:?}");
    assert_eq!(rig.depth(Lane::Routine).await.ready, 1);
    assert_eq!(rig.count(State::Queued).await, 1);
}
