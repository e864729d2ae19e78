//! The bucket compared with the store: what was lost comes back, what is gone is marked, and nothing else changes.

use std::time::Duration;

use lobar_core::audit::Digest;
use lobar_core::image::{Lane, NewImage, Reason, State};
use lobar_core::object::ObjectVersion;
use lobar_core::queue::Settlement;
use lobar_core::store::{Basis, Claim, Completion, Outcome, Retained};
use lobar_core::study::{Attributes, Uid};
use lobar_ingest::{ReconcileOptions, ReconcilePorts, Reconciled, reconcile};
use lobar_tests::kit;
use lobar_tests::rig::Rig;

const OLD_ENOUGH: Duration = Duration::from_secs(3600);

fn ports(rig: &Rig) -> ReconcilePorts {
    ReconcilePorts {
        uploads: rig.uploads.clone(),
        store: rig.store.clone(),
        objects: rig.objects.clone(),
        listing: rig.bucket.clone(),
        clock: std::sync::Arc::new(rig.clock.clone()),
    }
}

async fn compared(rig: &Rig, options: &ReconcileOptions) -> Reconciled {
    reconcile(&ports(rig), options).await.expect("compared")
}

/// Puts pictures whose notifications are lost.
async fn put_unheard(rig: &Rig, count: usize) -> Vec<ObjectVersion> {
    let mut objects = Vec::new();
    for n in 0..count {
        let key = format!("incoming/north/a+b {n} é.jpg");
        objects.push(rig.put(&key, Lane::Routine, kit::radiograph_jpeg(32, 30, 1)).await);
    }
    lose(rig, count).await;
    objects
}

/// Loses so many notifications.
async fn lose(rig: &Rig, count: usize) {
    let mut lost = 0;
    while lost < count {
        let wait = Duration::from_secs(5);
        let taken = rig.uploads.inner.receive(100, wait, OLD_ENOUGH).await.expect("answers");
        lost += taken.len();
        let settled = taken.into_iter().map(|one| (one.receipt, Settlement::Done)).collect();
        assert!(rig.uploads.inner.settle(settled).await.iter().all(Result::is_ok));
    }
    assert_eq!(lost, count);
}

async fn images(rig: &Rig) -> u64 {
    let overview = rig.store.inner.overview().await.expect("answers");
    overview.by_state.iter().map(|(_, images)| images).sum()
}

/// Runs ingest until so many images are there and no notification is left.
async fn ingest(rig: &Rig, count: u64) {
    let ingesting = rig.ingest(Rig::ingest_settings());
    rig.until("everything is admitted", async || {
        let depth = rig.uploads.inner.depth().await.expect("answers");
        images(rig).await == count && depth.ready + depth.in_flight + depth.delayed == 0
    })
    .await;
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_an_image_are_admitted_once() {
    let rig = Rig::open().await;
    let objects = put_unheard(&rig, 5).await;
    rig.put("incoming/north/folder/", Lane::Routine, Vec::new()).await;
    lose(&rig, 1).await;
    let options = ReconcileOptions::default();
    assert_eq!(compared(&rig, &options).await.admitted, 0, "their notifications may be on the way");
    rig.clock.advance(OLD_ENOUGH);
    let dry = ReconcileOptions { dry_run: true, ..options.clone() };
    assert_eq!(compared(&rig, &dry).await.admitted, 5);
    assert_eq!(rig.uploads.inner.depth().await.expect("answers").ready, 0, "only counted");
    let done = compared(&rig, &options).await;
    let expected = Reconciled { objects: 5, admitted: 5, ..Reconciled::default() };
    assert_eq!(done, expected);
    ingest(&rig, 5).await;
    for object in &objects {
        assert_eq!(rig.image(object.id()).await.state, State::Queued, "under its own identity");
    }
    rig.clock.advance(OLD_ENOUGH);
    let again = compared(&rig, &options).await;
    assert_eq!(again, Reconciled { objects: 5, images: 5, ..Reconciled::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_object_is_gone_is_marked_and_its_neighbours_stay() {
    let rig = Rig::open().await;
    let objects = put_unheard(&rig, 3).await;
    rig.clock.advance(OLD_ENOUGH);
    let options = ReconcileOptions::default();
    compared(&rig, &options).await;
    ingest(&rig, 3).await;
    rig.bucket.remove(&objects[1]).await.expect("removed");
    lose(&rig, 1).await;
    rig.clock.advance(OLD_ENOUGH);
    let done = compared(&rig, &options).await;
    assert_eq!((done.images, done.removed, done.admitted), (3, 1, 0));
    let mut states = Vec::new();
    for object in &objects {
        states.push(rig.image(object.id()).await.state);
    }
    assert_eq!(states, [State::Queued, State::Removed, State::Queued]);
    assert_eq!(compared(&rig, &options).await.removed, 0, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_current_again_without_a_notification_is_assessed_anew() {
    let rig = Rig::open().await;
    let objects = put_unheard(&rig, 2).await;
    rig.clock.advance(OLD_ENOUGH);
    let options = ReconcileOptions::default();
    compared(&rig, &options).await;
    ingest(&rig, 2).await;
    // The image says removed, as after a delete marker; that the marker was taken off again, nobody told.
    rig.store.inner.remove(&objects[0]).await.expect("removed");
    assert_eq!(compared(&rig, &options).await.restored, 0, "its notification may be on the way");
    rig.clock.advance(OLD_ENOUGH);
    let dry = ReconcileOptions { dry_run: true, ..options.clone() };
    assert_eq!(compared(&rig, &dry).await.restored, 1);
    assert_eq!(rig.image(objects[0].id()).await.state, State::Removed, "only counted");
    let done = compared(&rig, &options).await;
    assert_eq!((done.restored, done.admitted, done.removed), (1, 0, 0));
    assert_eq!(rig.image(objects[0].id()).await.state, State::Queued);
    rig.until("ingest was told", async || {
        rig.uploads.inner.depth().await.expect("answers").ready == 1
    })
    .await;
    ingest(&rig, 2).await;
    assert_eq!(rig.image(objects[0].id()).await.state, State::Queued);
    rig.clock.advance(OLD_ENOUGH);
    assert_eq!(compared(&rig, &options).await.restored, 0, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_restored_by_no_comparison_and_counted_by_none() {
    let rig = Rig::open().await;
    let objects = put_unheard(&rig, 2).await;
    rig.clock.advance(OLD_ENOUGH);
    let options = ReconcileOptions::default();
    compared(&rig, &options).await;
    ingest(&rig, 2).await;
    for object in &objects {
        let claims = rig.store.inner.claim(&[object.id()], 3).await.expect("claimed");
        let [Claim::Granted(claimed)] = &claims[..] else { panic!("{claims:?}") };
        let mut known = Attributes::default();
        known.instance.uid = Uid::parse("1.2.3");
        let done = Completion {
            id: claimed.id,
            fence: claimed.fence,
            outcome: Outcome::NeedsHuman { reason: Reason::EngineFailed, detail: "x".into() },
            trace: None,
            basis: Basis {
                input: Some(Digest::of(b"same")),
                identity: Some(Box::new(known)),
                ..Basis::default()
            },
        };
        assert_eq!(rig.store.inner.complete(&[done]).await.expect("completed"), [true]);
    }
    assert_eq!(rig.image(objects[1].id()).await.state, State::Superseded);
    rig.clock.advance(OLD_ENOUGH);
    for dry_run in [true, false] {
        let options = ReconcileOptions { dry_run, ..options.clone() };
        assert_eq!(compared(&rig, &options).await.restored, 0, "{dry_run}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_replaced_after_it_was_seen_does_not_supersede_what_replaced_it() {
    let rig = Rig::open().await;
    let old = put_unheard(&rig, 1).await.remove(0);
    rig.clock.advance(OLD_ENOUGH);
    assert_eq!(compared(&rig, &ReconcileOptions::default()).await.admitted, 1);
    // The newer version is notified, read and admitted before what the comparison sent.
    let new = rig.put(&old.key, Lane::Routine, kit::radiograph_jpeg(32, 30, 2)).await;
    let image = NewImage { object: new.clone(), lane: Lane::Routine };
    rig.store.inner.admit(&[image]).await.expect("admitted");
    ingest(&rig, 1).await;
    assert_eq!(rig.image(new.id()).await.state, State::Queued);
    assert_eq!(rig.store.inner.states(&[old.id()]).await.expect("asked"), [None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_comparison_keeps_images_whose_objects_expired() {
    let rig = Rig::open().await;
    let objects = put_unheard(&rig, 2).await;
    rig.clock.advance(OLD_ENOUGH);
    let options = ReconcileOptions { mark: false, ..ReconcileOptions::default() };
    compared(&rig, &options).await;
    ingest(&rig, 2).await;
    rig.bucket.remove(&objects[0]).await.expect("removed");
    lose(&rig, 1).await;
    rig.clock.advance(OLD_ENOUGH);
    let done = compared(&rig, &options).await;
    assert_eq!((done.images, done.missing, done.removed), (2, 1, 0));
    assert_eq!(rig.image(objects[0].id()).await.state, State::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_waiting_notification_may_tell_of_is_left_to_it() {
    let rig = Rig::open().await;
    rig.put("incoming/north/a.jpg", Lane::Routine, kit::radiograph_jpeg(32, 30, 1)).await;
    rig.until("the bucket told of it", async || {
        rig.uploads.inner.depth().await.expect("answers").ready == 1
    })
    .await;
    rig.clock.advance(OLD_ENOUGH);
    assert_eq!(compared(&rig, &ReconcileOptions::default()).await.admitted, 0);
    lose(&rig, 1).await;
    assert_eq!(compared(&rig, &ReconcileOptions::default()).await.admitted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_looks_like_another_one_costs_no_image_unless_it_is_forced() {
    const IMAGES: usize = 24;
    let rig = Rig::open().await;
    let objects = put_unheard(&rig, IMAGES).await;
    rig.clock.advance(OLD_ENOUGH);
    let options = ReconcileOptions::default();
    compared(&rig, &options).await;
    ingest(&rig, IMAGES as u64).await;
    for object in &objects {
        rig.bucket.remove(object).await.expect("removed");
    }
    lose(&rig, IMAGES).await;
    rig.clock.advance(OLD_ENOUGH);
    let done = compared(&rig, &options).await;
    assert_eq!((done.removed, done.spared), (0, IMAGES as u64));
    assert_eq!(rig.count(State::Queued).await, IMAGES as u64);
    let forced = compared(&rig, &ReconcileOptions { force: true, ..options }).await;
    assert_eq!((forced.removed, forced.spared), (IMAGES as u64, 0));
    assert_eq!(rig.count(State::Removed).await, IMAGES as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_result_is_no_longer_kept_is_not_analysed_anew() {
    let rig = Rig::open().await;
    let id = put_unheard(&rig, 1).await[0].id();
    rig.clock.advance(OLD_ENOUGH);
    let options = ReconcileOptions::default();
    compared(&rig, &options).await;
    ingest(&rig, 1).await;
    let store = &rig.store.inner;
    let Claim::Granted(claimed) = store.claim(&[id], 3).await.expect("claimed").remove(0) else {
        panic!("granted")
    };
    let outcome = Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() };
    let done =
        Completion { id, fence: claimed.fence, outcome, trace: None, basis: Basis::default() };
    assert_eq!(store.complete(&[done]).await.expect("completed"), [true]);
    rig.clock.advance(OLD_ENOUGH);
    assert_eq!(store.prune(Retained::Results, OLD_ENOUGH / 2, 9).await.expect("pruned"), 1);
    rig.clock.advance(OLD_ENOUGH);
    let kept = ReconcileOptions { results_kept: Some(OLD_ENOUGH / 2), ..options.clone() };
    let told = compared(&rig, &kept).await;
    assert_eq!((told.objects, told.restored, told.admitted), (1, 0, 0));
    assert_eq!(
        compared(&rig, &options).await.restored,
        1,
        "it is, where results are kept for ever"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_away_ends_a_comparison_and_the_next_goes_on() {
    let rig = Rig::open().await;
    put_unheard(&rig, 2).await;
    rig.clock.advance(OLD_ENOUGH);
    let options = ReconcileOptions::default();
    rig.uploads.switch.off();
    reconcile(&ports(&rig), &options).await.expect_err("the queue is away");
    rig.uploads.switch.on();
    rig.store.switch.off();
    reconcile(&ports(&rig), &options).await.expect_err("the store is away");
    rig.store.switch.on();
    assert_eq!(compared(&rig, &options).await.admitted, 2);
    ingest(&rig, 2).await;
}
