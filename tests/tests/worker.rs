//! The worker, against a real store, real queues and a real bucket, with an engine that does as told.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lobar_core::engine::{EngineError, NetworkInput};
use lobar_core::image::{Lane, Reason, State};
use lobar_core::object::ImageId;
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::store::{Claim, Completion, Outcome, Store};
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine, score};
use lobar_worker::{DeviceFault, WorkerError, WorkerSettings};

fn picture(seed: u32) -> Vec<u8> {
    kit::radiograph_jpeg(320, 300, seed)
}

/// What the network sees of a picture.
fn input(bytes: &[u8]) -> NetworkInput {
    lobar_imaging::prepare(bytes, &lobar_imaging::Limits::default()).expect("a radiograph").input
}

/// Equal but for the last digit that storage as text may cost. Two pictures differ by far more.
fn assert_is(probability: f64, expected: f64) {
    assert!((probability - expected).abs() < 1e-12, "{probability}, not {expected}");
}

async fn admit(rig: &Rig, lane: Lane, seeds: std::ops::Range<u32>) -> Vec<ImageId> {
    let mut images = Vec::new();
    for seed in seeds {
        images.push(rig.admit(&format!("incoming/north/{seed}.jpg"), lane, picture(seed)).await);
    }
    images
}

async fn attempts(rig: &Rig, images: &[ImageId]) -> Vec<u32> {
    let mut attempts = Vec::new();
    for image in images {
        attempts.push(rig.image(*image).await.attempts);
    }
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_image_gets_its_own_answer_once_whatever_the_batch() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..12).await;
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    for (seed, image) in images.iter().enumerate() {
        let image = rig.image(*image).await;
        assert_eq!(image.state, State::Ready);
        let finding = image.finding.expect("a finding");
        assert_is(finding.probability, score(&input(&picture(seed as u32))));
        assert_eq!(finding.flagged, finding.probability >= 0.5);
        let stages: Vec<&String> = finding.timings_ms.keys().collect();
        assert_eq!(stages, ["decode", "fetch", "infer", "wait"]);
    }
    rig.assert_each_ended_once(&images).await;
    assert_eq!(working.metric("lobar_images_total"), 12.0);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_assessed_says_why_and_harms_no_other() {
    let rig = Rig::open().await;
    let good = admit(&rig, Lane::Routine, 0..4).await;
    let mut bad = Vec::new();
    for (name, bytes, reason) in kit::broken_files() {
        bad.push((rig.admit(&format!("incoming/x/{name}"), Lane::Routine, bytes).await, reason));
    }
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    for (image, reason) in bad {
        let image = rig.image(image).await;
        assert_eq!(image.state, State::NeedsHuman);
        assert_eq!(image.reason.map(Reason::code), Some(reason));
        assert_eq!((image.finding, image.attempts), (None, 1));
    }
    for image in good {
        assert_eq!(rig.image(image).await.state, State::Ready);
    }
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_version_is_still_the_one_that_is_read() {
    let rig = Rig::open().await;
    let first = rig.admit("incoming/north/same.jpg", Lane::Routine, picture(1)).await;
    rig.put("incoming/north/same.jpg", Lane::Routine, picture(2)).await;
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    let finding = rig.image(first).await.finding.expect("a finding");
    assert_is(finding.probability, score(&input(&picture(1))));
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_number_needs_a_human_and_is_never_negative() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..3).await;
    let engine = ScriptedEngine::new(|batch| {
        let mut answers = ScriptedEngine::answer(batch)?;
        for (answer, input) in answers.iter_mut().zip(batch) {
            if *input == self::input(&picture(0)) {
                *answer = Err("NaN".into());
            } else if *input == self::input(&picture(1))
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
    let settings = WorkerSettings { max_batch: 8, ..Rig::worker_settings() };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_comes_after_another_claim_is_refused() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..1).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let working = rig.work(engine, Rig::worker_settings());
    steps.arrived().await;
    let claims = rig.store.claim(&images, 5).await.expect("answers");
    let [Claim::Granted(other)] = claims.as_slice() else { panic!("{claims:?}") };
    steps.go_on();
    let refused = "lobar_worker_completions_refused_total";
    rig.until("the result is refused", async || working.metric(refused) == 1.0).await;
    assert_eq!(rig.image(images[0]).await.state, State::Analysing, "nothing was written");
    let outcome = Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() };
    let completion = Completion { id: images[0], fence: other.fence, outcome };
    assert_eq!(rig.store.complete(&[completion]).await.expect("answers"), [true]);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_stops_the_work_before_the_engine_and_frees_its_slot() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..1).await;
    rig.objects.flowing.off();
    let lease = Duration::from_millis(600);
    let (engine, mut steps) = ScriptedEngine::stepped();
    let working = rig.work(engine, WorkerSettings { lease, ..Rig::worker_settings() });
    rig.until("it is claimed", async || rig.count(State::Analysing).await == 1).await;
    // Another takes the message, as soon as its lease has run out by the clock.
    let taken = loop {
        rig.clock.advance(Duration::from_secs(2));
        let queue = &rig.jobs.routine;
        let taken = queue.receive(1, Duration::ZERO, Duration::from_secs(24 * 3600)).await;
        if let Some(taken) = taken.expect("answers").pop() {
            break taken;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(taken.receive_count >= 2);
    let lost = "lobar_worker_leases_lost_total";
    rig.until("the loss is known", async || working.metric(lost) >= 1.0).await;
    rig.until("it is given back", async || rig.count(State::Queued).await == 1).await;
    assert_eq!(attempts(&rig, &images).await, [0], "a lost lease is not the image's fault");
    rig.objects.flowing.on();
    working.stop().await.expect("a graceful stop");
    assert!(steps.try_arrived().is_none(), "the engine never saw it");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_wait_for_a_store_that_is_away_and_cost_no_attempt() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..4).await;
    let seen = Arc::new(AtomicUsize::new(0));
    let (engine, mut steps) = ScriptedEngine::stepped();
    let working = rig.work(engine, Rig::worker_settings());
    seen.fetch_add(steps.arrived().await.len(), Ordering::SeqCst);
    rig.until("all are claimed", async || rig.count(State::Analysing).await == 4).await;
    rig.store.switch.off();
    while seen.load(Ordering::SeqCst) < 4 {
        steps.go();
        seen.fetch_add(steps.arrived().await.len(), Ordering::SeqCst);
    }
    steps.go();
    admit_more(&rig).await;
    assert_eq!(rig.count(State::Ready).await, 0);
    rig.store.switch.on();
    steps.go_on();
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 5);
    assert_eq!(attempts(&rig, &images).await, [1; 4], "each was computed once");
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

/// A job that arrives while the store is away is not lost either.
async fn admit_more(rig: &Rig) {
    rig.admit("incoming/north/more.jpg", Lane::Stat, picture(99)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_costs_no_attempt() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..4).await;
    rig.objects.switch.off();
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    let returned = "lobar_worker_returned_total";
    rig.until("it was tried ten times", async || working.metric(returned) >= 10.0).await;
    rig.objects.switch.on();
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 4);
    assert_eq!(attempts(&rig, &images).await, [1; 4]);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_denied_object_needs_a_human_but_a_denying_bucket_is_waited_for() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..1).await;
    rig.objects.allowing.off();
    rig.objects.switch.off();
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    let returned = "lobar_worker_returned_total";
    rig.until("it was tried again", async || working.metric(returned) >= 3.0).await;
    assert_eq!(rig.open_images().await, 1, "the bucket denies everything: no image's fault");
    rig.objects.switch.on();
    rig.until_quiet().await;
    assert_eq!(rig.image(images[0]).await.reason, Some(Reason::AccessDenied));
    assert_eq!(attempts(&rig, &images).await, [1]);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_object_is_gone_says_so() {
    let rig = Rig::open().await;
    let mut object = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    object.key = "incoming/north/never.jpg".into();
    object.version = None;
    let new = lobar_core::image::NewImage { object, lane: Lane::Routine };
    let image = rig.store.admit(&[new]).await.expect("answers")[0].id();
    rig.send(image, Lane::Routine).await;
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    assert_eq!(rig.image(image).await.reason, Some(Reason::ObjectMissing));
    working.stop().await.expect("a graceful stop");
}

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
    let settings =
        WorkerSettings { slots: 10, stat_slots: 2, max_batch: 4, ..Rig::worker_settings() };
    let working = rig.work(engine, settings);
    steps.arrived().await;
    let stopping = tokio::spawn(working.stop());
    steps.go_on();
    stopping.await.expect("no panic").expect("a graceful stop");
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

#[tokio::test(flavor = "multi_thread")]
async fn urgent_images_overtake_a_backlog() {
    let rig = Rig::open().await;
    admit(&rig, Lane::Routine, 0..40).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let settings =
        WorkerSettings { slots: 12, stat_slots: 4, max_batch: 4, ..Rig::worker_settings() };
    let working = rig.work(engine, settings);
    steps.arrived().await;
    let urgent = admit(&rig, Lane::Stat, 100..101).await[0];
    let urgent_input = input(&picture(100));
    rig.until("it is in hand", async || rig.image(urgent).await.state == State::Analysing).await;
    let mut batches = 0;
    loop {
        steps.go();
        batches += 1;
        if steps.arrived().await.contains(&urgent_input) {
            break;
        }
    }
    // At most: what was in hand before it (8 slots, 4 of them in the first batch), and its decoding.
    assert!(batches <= 6, "after {batches} batches");
    steps.go_on();
    rig.until_quiet().await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn suspects_take_their_turn_one_at_a_time() {
    let rig = Rig::open().await;
    let suspects = admit(&rig, Lane::Routine, 0..5).await;
    // An earlier worker died with all of them in its hands.
    rig.store.claim(&suspects, 5).await.expect("answers");
    let (engine, mut steps) = ScriptedEngine::stepped();
    let working = rig.work(engine, Rig::worker_settings());
    for turn in 0..5 {
        let batch = steps.arrived().await;
        assert_eq!(batch.len(), 1, "alone in its batch");
        let others = async || rig.count(State::Queued).await == 4 - turn;
        rig.until("the others wait in the store, uncounted", others).await;
        let tried = attempts(&rig, &suspects).await;
        assert_eq!(tried.iter().filter(|n| **n == 2).count() as u64, turn + 1, "{tried:?}");
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
        let poison = poison.clone();
        let engine = ScriptedEngine::new(move |batch| {
            if batch.contains(&poison) {
                let _ = killed.blocking_send(());
                // The process dies here; whatever this answers is heard by nobody.
                std::thread::sleep(Duration::from_millis(200));
            }
            ScriptedEngine::answer(batch)
        });
        let working = rig.work(engine, Rig::worker_settings());
        let quiet = rig.until_quiet();
        tokio::select! {
            () = quiet => break working,
            _ = killing.recv() => {}
        }
        working.crash().await;
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
async fn a_second_job_for_an_image_in_work_waits_and_is_then_forgotten() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..1).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let working = rig.work(engine, Rig::worker_settings());
    steps.arrived().await;
    rig.send(images[0], Lane::Routine).await;
    rig.until("the second job is put off", async || {
        rig.depth(Lane::Routine).await.delayed == 1 || rig.depth(Lane::Routine).await.in_flight == 2
    })
    .await;
    steps.go_on();
    rig.until_quiet().await;
    assert_eq!(attempts(&rig, &images).await, [1]);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_nobody_understands_are_put_aside() {
    let rig = Rig::open().await;
    let unknown = ImageId(uuid::Uuid::from_u128(7));
    rig.send(unknown, Lane::Routine).await;
    let messages = [&b"garbage"[..], br#"{"v":99,"image":"later"}"#];
    let messages = messages.map(|body| Outgoing::now(body.to_vec())).to_vec();
    assert!(rig.jobs.stat.send(messages).await.iter().all(Result::is_ok));
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    let aside =
        async || rig.depth(Lane::Stat).await.dead == 2 && rig.depth(Lane::Routine).await.dead == 1;
    rig.until("all three are put aside", aside).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_work_and_no_image_is_computed_twice() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..40).await;
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let engine = || {
        let seen = seen.clone();
        ScriptedEngine::new(move |batch| {
            let mut seen = seen.lock().expect("nobody panicked");
            seen.extend(batch.iter().map(|input| input.pixels().to_vec()));
            ScriptedEngine::answer(batch)
        })
    };
    let settings = WorkerSettings { slots: 8, receive: 4, ..Rig::worker_settings() };
    let workers = [rig.work(engine(), settings.clone()), rig.work(engine(), settings)];
    rig.until_quiet().await;
    let seen = seen.lock().expect("nobody panicked").clone();
    assert_eq!(seen.len(), 40);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 40);
    rig.assert_each_ended_once(&images).await;
    for worker in workers {
        worker.stop().await.expect("a graceful stop");
    }
}
