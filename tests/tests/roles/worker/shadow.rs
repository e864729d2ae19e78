//! A model that looks on unseen.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::{Engine, NetworkInput};
use lobar_core::image::{Lane, State};
use lobar_core::object::ImageId;
use lobar_tests::rig::{Answers, Rig, ScriptedEngine, ScriptedEngines, Steps, Working};
use lobar_worker::WorkerSettings;

use super::{admit, attempts};

const IMAGES: &str = "lobar_worker_shadow_images_total";

/// A model `shown` that is active, and `shadow` beside it with this engine.
async fn beside(
    rig: &Rig,
    shadow: impl Engine + Send + 'static,
    settings: WorkerSettings,
) -> (Working, Arc<ScriptedEngines>) {
    rig.register(&["shown", "shadow"]).await;
    rig.registry.shadow(Some("shadow"), "test").await.expect("a shadow");
    let engines = Arc::new(ScriptedEngines::default());
    engines.on("shown", || Ok(Box::new(ScriptedEngine::truthful().of("shown"))));
    let mut shadow: Option<Box<dyn Engine + Send>> = Some(Box::new(shadow));
    engines.on("shadow", move || Ok(shadow.take().expect("asked for once")));
    let working = rig.follow(&engines, settings);
    rig.until("the shadow is made", async || engines.asked("shadow") == 1).await;
    (working, engines)
}

fn half(batch: &[NetworkInput]) -> Answers {
    let mut answers = ScriptedEngine::answer(batch)?;
    for prediction in answers.iter_mut().flatten() {
        prediction.probability /= 2.0;
    }
    Ok(answers)
}

/// Admits one image after another until the shadow has been offered one: from then on it looks on.
async fn until_it_looks_on(rig: &Rig, working: &Working, steps: Option<&mut Steps>) -> u32 {
    let mut seeds = 0;
    let mut steps = steps;
    loop {
        admit(rig, Lane::Routine, seeds..seeds + 1).await;
        seeds += 1;
        rig.until_quiet().await;
        let arrived = steps.as_mut().is_some_and(|steps| steps.try_arrived().is_some());
        if arrived || working.metric(IMAGES) > 0.0 {
            return seeds;
        }
        assert!(seeds < 500, "the shadow never looks on");
    }
}

async fn assert_shown(rig: &Rig, images: &[ImageId]) {
    for image in images {
        let image = rig.image(*image).await;
        assert_eq!(image.state, State::Ready);
        assert_eq!(image.finding.expect("a finding").model.version, "shown");
    }
    assert_eq!(attempts(rig, images).await, vec![1; images.len()]);
    rig.assert_each_ended_once(images).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_sees_what_was_answered_and_nothing_of_it_is_shown() {
    let rig = Rig::open().await;
    let shadow = ScriptedEngine::new(half).of("shadow");
    let settings = WorkerSettings { shadow_queue: 64, ..Rig::worker_settings() };
    let (working, _) = beside(&rig, shadow, settings).await;
    let before = until_it_looks_on(&rig, &working, None).await;
    let events = rig.events().await.len();
    let images = admit(&rig, Lane::Routine, before..before + 20).await;
    rig.until_quiet().await;
    assert_shown(&rig, &images).await;
    let seen = |working: &Working| working.metric_of(IMAGES, "compared");
    rig.until("all are compared", async || seen(&working) >= 20.0).await;
    assert_eq!(working.metric(IMAGES), seen(&working), "none dropped, failed or lost");
    let compared = rig.registry.compare("shadow").await.expect("answers");
    let [compared] = compared.as_slice() else { panic!("{compared:?}") };
    assert_eq!(compared.shown_version, "shown");
    assert_eq!(compared.images as f64, seen(&working));
    assert!(compared.mean_difference < 0.0 && compared.largest_difference > 0.0);
    // Three events an image: queued, analysing, ready.
    let queued = rig.events().await.len() - events;
    assert_eq!(queued, 60, "the shadow writes no events");
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_hangs_delays_nothing_and_what_it_misses_is_counted() {
    let rig = Rig::open().await;
    let (stepped, mut steps) = ScriptedEngine::stepped();
    let settings = WorkerSettings { shadow_queue: 2, ..Rig::worker_settings() };
    let (working, _) = beside(&rig, stepped.of("shadow"), settings).await;
    let before = until_it_looks_on(&rig, &working, Some(&mut steps)).await;
    // From here on it holds on to what it has.
    let images = admit(&rig, Lane::Routine, before..before + 12).await;
    rig.until_quiet().await;
    assert_shown(&rig, &images).await;
    assert!(working.metric_of(IMAGES, "dropped") >= 8.0);
    assert_eq!(working.metric_of(IMAGES, "compared"), 0.0);
    working.stop().await.expect("a graceful stop, although the shadow hangs");
    steps.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_does_not_come_back_is_given_up_and_the_next_one_looks_on() {
    let rig = Rig::open().await;
    let (stepped, mut steps) = ScriptedEngine::stepped();
    let watchdog = Duration::from_millis(300);
    let settings = WorkerSettings { watchdog, ..Rig::worker_settings() };
    let (working, engines) = beside(&rig, stepped.of("shadow"), settings).await;
    until_it_looks_on(&rig, &working, Some(&mut steps)).await;
    rig.until("it is given up", async || working.metric_of(IMAGES, "failed") >= 1.0).await;
    assert!(working.health.is_ready());
    engines.on("next", || Ok(Box::new(ScriptedEngine::new(half).of("next"))));
    rig.registry.register(&lobar_tests::rig::model("next"), "test").await.expect("registered");
    rig.registry.shadow(Some("next"), "test").await.expect("a shadow");
    let mut seed = 1_000;
    while working.metric_of(IMAGES, "compared") == 0.0 {
        admit(&rig, Lane::Routine, seed..seed + 1).await;
        rig.until_quiet().await;
        seed += 1;
        assert!(seed < 1_500, "the next shadow never looks on");
    }
    working.stop().await.expect("a graceful stop");
    steps.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_panics_harms_nothing_and_is_left_alone() {
    let rig = Rig::open().await;
    let shadow = ScriptedEngine::new(|_| panic!("as told")).of("shadow");
    let (working, engines) = beside(&rig, shadow, Rig::worker_settings()).await;
    let before = until_it_looks_on(&rig, &working, None).await;
    let images = admit(&rig, Lane::Routine, before..before + 8).await;
    rig.until_quiet().await;
    assert_shown(&rig, &images).await;
    assert_eq!(working.metric_of(IMAGES, "compared"), 0.0);
    assert_eq!(engines.asked("shadow"), 1, "it is not loaded again and again");
    assert!(working.health.is_ready());
    working.stop().await.expect("a graceful stop");
}
