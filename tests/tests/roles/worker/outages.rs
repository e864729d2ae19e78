//! What becomes of images when leases, the store or the bucket are lost for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lobar_core::image::{Lane, Reason, State};
use lobar_core::object::ImageId;
use lobar_core::queue::Queue;
use lobar_core::store::{Basis, Claim, Completion, Outcome, Store};
use lobar_tests::rig::{Kind, Plan, Rig, Scope, ScriptedEngine};
use lobar_worker::{UnreadableObject, WorkerSettings};

use super::{admit, attempts, picture};

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
    let completion = Completion {
        id: images[0],
        fence: other.fence,
        outcome,
        trace: None,
        basis: Basis::default(),
    };
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

/// Bounds that a test reaches.
fn soon_unreadable() -> WorkerSettings {
    let unreadable = UnreadableObject { failures: 3, age: Duration::ZERO };
    WorkerSettings { unreadable, ..Rig::worker_settings() }
}

/// The object of an image fails for now, for ever.
async fn fail_for_ever(rig: &Rig, image: ImageId) {
    let scope = Scope::Victim(u32::MAX);
    let plan = Plan { call: "objects.fetch".into(), kind: Kind::Transient, scope };
    rig.injector.plan(&rig.image(image).await.object, vec![plan]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_fails_for_ever_while_others_are_delivered_ends_with_a_reason() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..1).await;
    fail_for_ever(&rig, images[0]).await;
    let working = rig.work(ScriptedEngine::truthful(), soon_unreadable());
    let mut others = 0;
    while rig.image(images[0]).await.state != State::Failed {
        let before = rig.injector.injected();
        rig.until("it is tried again", async || {
            rig.injector.injected() > before || rig.open_images().await == 0
        })
        .await;
        assert!(others < 20, "others are delivered, and it is tried for ever");
        let other = admit(&rig, Lane::Stat, 100 + others..101 + others).await[0];
        rig.until("another is ready", async || rig.image(other).await.state == State::Ready).await;
        others += 1;
    }
    rig.until_quiet().await;
    let image = rig.image(images[0]).await;
    assert_eq!((image.reason, image.finding), (Some(Reason::FetchFailed), None));
    assert!(others >= 3, "{others} others were delivered");
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_delivers_nothing_costs_no_image_however_long_it_is_away() {
    let rig = Rig::open().await;
    admit(&rig, Lane::Routine, 0..4).await;
    rig.objects.switch.off();
    let working = rig.work(ScriptedEngine::truthful(), soon_unreadable());
    let returned = "lobar_worker_returned_total";
    rig.until("it was tried often", async || working.metric(returned) >= 40.0).await;
    assert_eq!(rig.open_images().await, 4);
    rig.objects.switch.on();
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 4);
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_today_is_waited_for_although_only_its_object_fails() {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..1).await;
    fail_for_ever(&rig, images[0]).await;
    let unreadable = UnreadableObject { failures: 1, ..UnreadableObject::default() };
    let settings = WorkerSettings { unreadable, ..Rig::worker_settings() };
    let working = rig.work(ScriptedEngine::truthful(), settings);
    for other in 0..5 {
        let before = rig.injector.injected();
        rig.until("it is tried again", async || rig.injector.injected() > before).await;
        let other = admit(&rig, Lane::Stat, 100 + other..101 + other).await[0];
        rig.until("another is ready", async || rig.image(other).await.state == State::Ready).await;
    }
    assert_eq!(rig.open_images().await, 1);
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
