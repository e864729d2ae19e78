//! What becomes of images when leases, the store or the bucket are lost for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lobar_core::image::{Lane, Reason, State};
use lobar_core::queue::Queue;
use lobar_core::store::{Claim, Completion, Outcome, Store};
use lobar_tests::rig::{Rig, ScriptedEngine};
use lobar_worker::WorkerSettings;

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
    let completion = Completion { id: images[0], fence: other.fence, outcome, trace: None };
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
