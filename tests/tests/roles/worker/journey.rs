//! What becomes of images when nothing fails but the files.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use lobar_core::image::{Lane, Reason, State};
use lobar_core::object::ImageId;
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::store::Store;
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine, score};
use lobar_worker::{Capacity, WorkerSettings};

use super::{admit, assert_is, attempts, input, picture};

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
    let waits =
        ["routine", "stat"].map(|lane| working.observations_of("lobar_finished_seconds", lane));
    assert_eq!(waits, [12, 0]);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_received_while_a_claim_is_under_way_is_claimed_together() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..6).await;
    rig.store.claiming.off();
    let capacity = Capacity::for_batch(4).and_then(|capacity| capacity.with_receive(1));
    let settings = Rig::worker_settings_for(capacity.expect("valid"));
    let working = rig.work(ScriptedEngine::truthful(), settings);
    rig.until("one is claimed", async || rig.store.claiming.held() == 1).await;
    rig.until("all are received", async || rig.depth(Lane::Routine).await.in_flight == 6).await;
    assert_eq!(rig.store.claiming.held(), 1, "one claim at a time");
    rig.store.claiming.on();
    rig.until_quiet().await;
    for image in images {
        assert_eq!(rig.image(image).await.state, State::Ready);
    }
    let claims = rig.injector.counts()["store.claim"].calls;
    assert!(claims < 6, "{claims} claims of six images");
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
async fn urgent_images_overtake_a_backlog() {
    let rig = Rig::open().await;
    admit(&rig, Lane::Routine, 0..40).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let settings = Rig::worker_settings_with(4, 12, 4);
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
async fn files_larger_than_what_they_may_take_in_memory_are_worked_on_one_by_one() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..12).await;
    let urgent = admit(&rig, Lane::Stat, 100..102).await;
    let settings = WorkerSettings { file_memory: 1, ..Rig::worker_settings() };
    let working = rig.work(ScriptedEngine::truthful(), settings);
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 14);
    rig.assert_each_ended_once(&[images, urgent].concat()).await;
    working.stop().await.expect("a graceful stop");
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
async fn a_small_batch_is_filled_with_routine_images() {
    let rig = Rig::open().await;
    admit(&rig, Lane::Routine, 0..12).await;
    let (engine, mut steps) = ScriptedEngine::stepped();
    let capacity = Capacity::for_batch(2).expect("valid");
    let working = rig.work(engine, Rig::worker_settings_for(capacity));
    // The first batch may be smaller: an idle device takes what is there. While it computes, all other
    // slots fill with decoded images.
    let first = steps.arrived().await.len();
    let slots = u64::try_from(capacity.routine_slots()).expect("few");
    rig.until("every routine slot holds a decoded image", async || {
        working.observations_of("lobar_stage_seconds", "decode") >= slots
    })
    .await;
    steps.go();
    let second = steps.arrived().await.len();
    assert_eq!(first.max(second), 2, "routine images came one at a time");
    steps.go_on();
    rig.until_quiet().await;
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
    let settings = Rig::worker_settings_with(4, 8, 2);
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
