//! Which model answers: at the start, when another is activated, and when it cannot be had.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::{Engine, EngineError};
use lobar_core::image::{Lane, State};
use lobar_core::model_registry::Stage;
use lobar_core::object::ImageId;
use lobar_core::retry::Backoff;
use lobar_tests::rig::{Answers, Rig, ScriptedEngine, ScriptedEngines, Working, score};
use lobar_worker::WorkerSettings;
use lobar_worker::model::{LoadStage, ModelLoadError};

use super::{admit, assert_is, attempts, input, picture};

/// What the second model answers: never what the first does.
fn otherwise(batch: &[lobar_core::engine::NetworkInput]) -> Answers {
    let mut answers = ScriptedEngine::answer(batch)?;
    for prediction in answers.iter_mut().flatten() {
        prediction.probability = 1.0 - prediction.probability;
    }
    Ok(answers)
}

fn second() -> Result<Box<dyn Engine + Send>, ModelLoadError> {
    Ok(Box::new(ScriptedEngine::new(otherwise).of("second")))
}

fn first() -> Result<Box<dyn Engine + Send>, ModelLoadError> {
    Ok(Box::new(ScriptedEngine::truthful().of("first")))
}

/// Engines of `first` and `second`.
fn engines() -> Arc<ScriptedEngines> {
    let engines = Arc::new(ScriptedEngines::default());
    engines.on("first", first);
    engines.on("second", second);
    engines
}

fn serves(working: &Working, version: &str) -> bool {
    working.health.model().is_some_and(|model| model.version == version)
}

/// The version that each image's finding names, after looking that it is the one whose answer it is.
async fn versions(rig: &Rig, images: &[ImageId]) -> Vec<String> {
    let mut versions = Vec::new();
    for (seed, image) in images.iter().enumerate() {
        let finding = rig.image(*image).await.finding.expect("a finding");
        let truth = score(&input(&picture(seed as u32)));
        match finding.model.version.as_str() {
            "first" => assert_is(finding.probability, truth),
            "second" => assert_is(finding.probability, 1.0 - truth),
            other => panic!("nobody activated {other}"),
        }
        assert_eq!(finding.model.sha256, lobar_tests::rig::model(&finding.model.version).sha256);
        versions.push(finding.model.version);
    }
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_load_loses_nothing_and_each_result_names_the_weights_that_made_it() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let mut images = admit(&rig, Lane::Routine, 0..20).await;
    let (stepped, mut steps) = ScriptedEngine::stepped();
    let (engines, mut stepped) = (engines(), Some(stepped));
    engines.on("first", move || Ok(Box::new(stepped.take().expect("asked for once").of("first"))));
    let settings = Rig::worker_settings_with(4, 64, 8);
    let working = rig.follow(&engines, settings);
    steps.arrived().await;
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("the second serves", async || {
        steps.go();
        serves(&working, "second")
    })
    .await;
    for seed in 20..40 {
        let name = format!("incoming/north/{seed}.jpg");
        images.push(rig.admit(&name, Lane::Routine, picture(seed)).await);
    }
    rig.until_quiet().await;
    let versions = versions(&rig, &images).await;
    let of = |version: &str| versions.iter().filter(|one| *one == version).count();
    assert!(of("first") >= 1 && of("second") >= 20, "{versions:?}");
    assert_eq!(attempts(&rig, &images).await, [1; 40], "a swap costs no attempt");
    rig.assert_each_ended_once(&images).await;
    assert!(serves(&working, "second"));
    assert_eq!(working.metric("lobar_worker_model_swaps_total"), 1.0);
    assert_eq!(working.metric("lobar_worker_batches_failed_total"), 0.0);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_to_the_device_before_a_swap_is_the_old_models_and_the_rest_the_new_ones() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let (stepped, mut steps) = ScriptedEngine::stepped();
    let (engines, mut stepped) = (engines(), Some(stepped));
    engines.on("first", move || Ok(Box::new(stepped.take().expect("asked for once").of("first"))));
    let settings = Rig::worker_settings_with(1, 64, 8);
    let working = rig.follow(&engines, settings);
    let mut images = admit(&rig, Lane::Routine, 0..1).await;
    steps.arrived().await;
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("the second is made", async || engines.asked("second") == 1).await;
    steps.go();
    rig.until("the second serves", async || serves(&working, "second")).await;
    for seed in 1..4 {
        let name = format!("incoming/north/{seed}.jpg");
        images.push(rig.admit(&name, Lane::Routine, picture(seed)).await);
    }
    rig.until_quiet().await;
    assert_eq!(versions(&rig, &images).await, ["first", "second", "second", "second"]);
    engines.on("first", first);
    rig.registry.roll_back("test").await.expect("rolled back");
    rig.until("the first serves again", async || serves(&working, "first")).await;
    images.push(rig.admit("incoming/north/4.jpg", Lane::Routine, picture(4)).await);
    rig.until_quiet().await;
    assert_eq!(versions(&rig, &images).await[4], "first");
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_changes_the_engine_and_all_its_replicas() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let (stepped, mut steps) = ScriptedEngine::stepped_replicas(2);
    let (engines, mut stepped) = (engines(), Some(stepped));
    engines.on("first", move || Ok(Box::new(stepped.take().expect("asked for once").of("first"))));
    engines.on("second", || Ok(Box::new(ScriptedEngine::replicated(2, || otherwise).of("second"))));
    let working = rig.follow(&engines, Rig::worker_settings_with(1, 64, 8));
    let mut images = admit(&rig, Lane::Routine, 0..2).await;
    steps.arrived().await;
    steps.arrived().await;
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("the second is made", async || engines.asked("second") == 1).await;
    steps.go();
    steps.go();
    rig.until("the second serves", async || serves(&working, "second")).await;
    for seed in 2..12 {
        let name = format!("incoming/north/{seed}.jpg");
        images.push(rig.admit(&name, Lane::Routine, picture(seed)).await);
    }
    rig.until_quiet().await;
    let versions = versions(&rig, &images).await;
    assert_eq!(versions[..2], ["first", "first"]);
    assert!(versions[2..].iter().all(|one| one == "second"), "{versions:?}");
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_with_too_few_replicas_changes_nothing_and_says_so() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let engines = engines();
    let two =
        || Ok(Box::new(ScriptedEngine::replicated(2, || ScriptedEngine::answer).of("first")) as _);
    engines.on("first", two);
    let working = rig.follow(&engines, Rig::worker_settings());
    rig.until("the first serves", async || serves(&working, "first")).await;
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("it is said", async || working.health.model_error().is_some()).await;
    let images = admit(&rig, Lane::Routine, 0..3).await;
    rig.until_quiet().await;
    assert_eq!(versions(&rig, &images).await, ["first"; 3]);
    engines.on("second", || Ok(Box::new(ScriptedEngine::replicated(2, || otherwise).of("second"))));
    rig.registry.roll_back("test").await.expect("rolled back");
    rig.until("all is well", async || working.health.model_error().is_none()).await;
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("the second serves", async || serves(&working, "second")).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_had_changes_nothing_that_is_served_and_is_tried_again() {
    type Made = fn() -> Result<Box<dyn Engine + Send>, ModelLoadError>;
    let bad: [(&str, Made); 6] = [
        ("fetch", || Err(ModelLoadError::new(LoadStage::Fetch, "the object store is away"))),
        ("sha256", || Err(ModelLoadError::new(LoadStage::Sha256, "damaged"))),
        ("card", || Err(ModelLoadError::new(LoadStage::Card, "no threshold"))),
        // Other weights than were registered under this version.
        ("card", first),
        ("golden", || Ok(Box::new(Broken(ScriptedEngine::truthful().of("second"), false)))),
        ("golden", || Ok(Box::new(Broken(ScriptedEngine::truthful().of("second"), true)))),
    ];
    for (stage, maker) in bad {
        let rig = Rig::open().await;
        rig.register(&["first", "second"]).await;
        let engines = engines();
        engines.on("second", maker);
        let working = rig.follow(&engines, Rig::worker_settings());
        rig.until("the first serves", async || serves(&working, "first")).await;
        rig.registry.activate("second", "test").await.expect("activated");
        rig.until("it is tried again", async || engines.asked("second") >= 3).await;
        let images = admit(&rig, Lane::Routine, 0..3).await;
        rig.until_quiet().await;
        assert_eq!(versions(&rig, &images).await, ["first"; 3]);
        assert!(working.health.is_ready());
        let why = working.health.model_error().expect("it is said");
        assert!(why.contains("second"), "{why}");
        assert!(working.metric_of("lobar_worker_model_failures_total", stage) >= 2.0, "{stage}");
        assert_eq!(working.metric("lobar_worker_model_swaps_total"), 0.0);
        // Whoever goes back has nothing to wait for.
        rig.registry.roll_back("test").await.expect("rolled back");
        rig.until("nothing is wrong", async || working.health.model_error().is_none()).await;
        working.stop().await.expect("a graceful stop");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_tries_of_a_bad_model_nothing_is_done_and_a_good_one_is_taken_at_once() {
    let rig = Rig::open().await;
    rig.register(&["first", "second", "bad"]).await;
    let engines = engines();
    let hour = Duration::from_secs(3600);
    let model_backoff = Backoff { first: hour, max: hour };
    let working = rig.follow(&engines, WorkerSettings { model_backoff, ..Rig::worker_settings() });
    rig.until("the first serves", async || serves(&working, "first")).await;
    rig.registry.activate("bad", "test").await.expect("activated");
    rig.until("it is tried", async || working.health.model_error().is_some()).await;
    admit(&rig, Lane::Routine, 0..8).await;
    rig.until_quiet().await;
    assert_eq!(engines.asked("bad"), 1);
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("the second serves", async || serves(&working, "second")).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_wanted_once_it_is_loaded_is_not_taken() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let engines = engines();
    let working = rig.follow(&engines, Rig::worker_settings());
    rig.until("the first serves", async || serves(&working, "first")).await;
    engines.hold();
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("it is being made", async || engines.asked("second") == 1).await;
    rig.registry.roll_back("test").await.expect("rolled back");
    // Only a worker that has given the second up asks for a shadow's engine while nothing is made.
    rig.registry.shadow(Some("second"), "test").await.expect("a shadow");
    rig.until("the change was seen", async || engines.asked("second") == 2).await;
    engines.go_on();
    let images = admit(&rig, Lane::Routine, 0..4).await;
    rig.until_quiet().await;
    assert_eq!(versions(&rig, &images).await, ["first"; 4]);
    assert_eq!(working.metric("lobar_worker_model_swaps_total"), 0.0);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_have_the_active_model_is_not_ready_and_takes_nothing() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let images = admit(&rig, Lane::Routine, 0..1).await;
    let engines = engines();
    engines.on("first", || Err(ModelLoadError::new(LoadStage::Fetch, "the object store is away")));
    let working = rig.follow(&engines, Rig::worker_settings());
    rig.until("it is tried again", async || engines.asked("first") >= 3).await;
    assert!(!working.health.is_ready());
    assert_eq!(working.health.model(), None, "never silently another");
    assert!(working.health.model_error().expect("it is said").contains("away"));
    assert_eq!((rig.depth(Lane::Routine).await.ready, engines.asked("second")), (1, 0));
    engines.on("first", first);
    rig.until_quiet().await;
    assert!(working.health.is_ready() && working.health.model_error().is_none());
    assert_eq!(versions(&rig, &images).await, ["first"]);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_was_ever_activated_the_shipped_model_is_registered_and_activated_once() {
    let rig = Rig::open().await;
    let engines = Arc::new(ScriptedEngines::default());
    engines.on("shipped", || Ok(Box::new(ScriptedEngine::truthful().of("shipped"))));
    let workers = [(); 3].map(|()| rig.follow(&engines, Rig::worker_settings()));
    for working in &workers {
        rig.until("all serve it", async || serves(working, "shipped")).await;
    }
    let assignment = rig.registry.assignment().await.expect("answers");
    let active = assignment.active.expect("a model");
    assert_eq!((active.model.version.as_str(), active.stage), ("shipped", Stage::Active));
    let history = rig.registry.history(10).await.expect("answers");
    let did: Vec<_> = history.iter().map(|one| (one.action.as_str(), one.by.as_str())).collect();
    assert_eq!(did, [("activate", "lobar"), ("register", "lobar")]);
    for working in workers {
        working.stop().await.expect("a graceful stop");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_in_the_middle_of_a_stop_loses_nothing() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let images = admit(&rig, Lane::Routine, 0..12).await;
    let (stepped, mut steps) = ScriptedEngine::stepped();
    let (engines, mut stepped) = (engines(), Some(stepped));
    engines.on("first", move || Ok(Box::new(stepped.take().expect("asked for once").of("first"))));
    let settings = Rig::worker_settings_with(2, 6, 1);
    let working = rig.follow(&engines, settings);
    steps.arrived().await;
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("the second is made", async || engines.asked("second") == 1).await;
    working.begin_stop();
    steps.go_on();
    working.ended().await.expect("a graceful stop");
    let mut ready = 0;
    for image in &images {
        let image = rig.image(*image).await;
        match image.state {
            State::Ready => ready += 1,
            State::Queued => assert_eq!(image.attempts, 0),
            other => panic!("{other} after the stop"),
        }
    }
    assert!(ready >= 1);
    let working = rig.follow(&engines, Rig::worker_settings());
    rig.until_quiet().await;
    versions(&rig, &images).await;
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_no_model_that_is_being_fetched() {
    let rig = Rig::open().await;
    rig.register(&["first", "second"]).await;
    let engines = engines();
    let working = rig.follow(&engines, Rig::worker_settings());
    rig.until("the first serves", async || serves(&working, "first")).await;
    engines.hold();
    rig.registry.activate("second", "test").await.expect("activated");
    rig.until("it is being made", async || engines.asked("second") == 1).await;
    working.stop().await.expect("a graceful stop");
    let starting = rig.follow(&engines, Rig::worker_settings());
    rig.until("it is being made", async || engines.asked("second") == 2).await;
    starting.stop().await.expect("a graceful stop before it was ever ready");
}

/// An engine that fails the worker's own check: by an error, or by a panic.
struct Broken(ScriptedEngine, bool);

impl Engine for Broken {
    fn info(&self) -> &lobar_core::engine::EngineInfo {
        self.0.info()
    }

    fn infer(&mut self, batch: &[lobar_core::engine::NetworkInput]) -> Answers {
        assert!(!self.1, "as told");
        Err(EngineError::Batch { size: batch.len(), why: "always".into() })
    }
}
