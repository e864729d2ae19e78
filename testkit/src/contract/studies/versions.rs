//! The same instance again.

use std::time::Duration;

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::study::{
    ANOTHER_VERSION, Attributes, NEWER_VERSION, SAME_INSTANCE, UID_SHARED, Uid, Uids,
};
use lobar_core::time::Stamp;

use super::super::erasure::{ErasureHarness, Kept};
use super::super::store::{admit, image, ready, told};
use super::{completion, film, finish, fresh, instance, known, of, priors, refuse};

async fn state(kept: &Kept, id: ImageId) -> (State, Option<String>) {
    let image = image(&*kept.store, id).await;
    (image.state, image.detail)
}

/// The states with their totals, as pages count them.
async fn total(kept: &Kept, state: State) -> u64 {
    let overview = kept.store.overview().await.expect("asked");
    overview.by_state.iter().filter(|(one, _)| *one == state).map(|(_, images)| images).sum()
}

async fn is_warned(kept: &Kept, id: ImageId) -> bool {
    let finding = image(&*kept.store, id).await.finding.expect("a finding");
    finding.warnings.iter().any(|word| word == ANOTHER_VERSION)
}

async fn words(kept: &Kept, id: ImageId) -> Vec<String> {
    known(kept, id).await.warnings
}

fn superseded(why: &str) -> (State, Option<String>) {
    (State::Superseded, Some(why.to_owned()))
}

pub async fn the_same_instance_with_the_same_bytes_is_one_image_and_the_later_one_is_superseded<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let first = finish(&kept, &film("north", "a"), instance("7", "1.9"), b"same").await;
    let second = finish(&kept, &film("north", "b"), instance("7", "1.9"), b"same").await;
    assert_eq!(state(&kept, first).await, (State::Ready, None));
    assert_eq!(state(&kept, second).await, superseded(SAME_INSTANCE));
    assert!(image(&*kept.store, second).await.finding.is_none());
    let states = told(&*kept.store, second).await;
    assert_eq!(states.last(), Some(&State::Superseded));
    assert!(!states.contains(&State::Ready));
    assert_eq!((total(&kept, State::Ready).await, total(&kept, State::Superseded).await), (1, 1));
    assert!(!is_warned(&kept, first).await);
    // Others without a UID of their own are as many as they are.
    for name in ["c", "d"] {
        let mut unnamed = instance("7", "1.9");
        unnamed.instance.uid = None;
        let one = finish(&kept, &film("north", name), unnamed, b"same").await;
        assert_eq!(state(&kept, one).await.0, State::Ready);
    }
}

pub async fn the_same_instance_with_other_bytes_is_a_new_version_with_a_warning_and_the_older_one_is_superseded<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let first = finish(&kept, &film("north", "a"), instance("7", "1.9"), b"one").await;
    harness.advance(Duration::from_secs(1)).await;
    let second = finish(&kept, &film("north", "b"), instance("7", "1.9"), b"two").await;
    assert_eq!(state(&kept, first).await, superseded(NEWER_VERSION));
    assert_eq!(state(&kept, second).await.0, State::Ready);
    assert!(is_warned(&kept, second).await);
    assert_eq!(known(&kept, second).await.replaces, Some(first));
    assert_eq!(told(&*kept.store, first).await.last(), Some(&State::Superseded));
    assert_eq!((total(&kept, State::Ready).await, total(&kept, State::Superseded).await), (1, 1));
}

pub async fn of_two_with_the_same_bytes_the_one_that_has_a_result_stays<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let first = refuse(&kept, &film("north", "a"), instance("7", "1.9"), b"same").await;
    let second = refuse(&kept, &film("north", "b"), instance("7", "1.9"), b"same").await;
    assert_eq!(state(&kept, first).await.0, State::NeedsHuman);
    assert_eq!(state(&kept, second).await, superseded(SAME_INSTANCE));
    // "Send it again" is what one does about an engine that failed.
    let third = finish(&kept, &film("north", "c"), instance("7", "1.9"), b"same").await;
    assert_eq!(state(&kept, first).await, superseded(SAME_INSTANCE));
    assert_eq!(state(&kept, third).await.0, State::Ready);
    assert!(image(&*kept.store, third).await.finding.expect("a finding").flagged);
    let fourth = refuse(&kept, &film("north", "d"), instance("7", "1.9"), b"same").await;
    assert_eq!(state(&kept, fourth).await, superseded(SAME_INSTANCE));
    assert_eq!((total(&kept, State::Ready).await, total(&kept, State::Superseded).await), (1, 3));
}

pub async fn a_newer_version_without_a_result_supersedes_nothing_and_has_the_warning<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let first = finish(&kept, &film("north", "a"), instance("7", "1.9"), b"one").await;
    harness.advance(Duration::from_secs(1)).await;
    // A transfer that broke off: the header is whole.
    let short = refuse(&kept, &film("north", "b"), instance("7", "1.9"), b"on").await;
    assert_eq!(state(&kept, first).await.0, State::Ready);
    assert_eq!(state(&kept, short).await.0, State::NeedsHuman);
    assert_eq!(
        (words(&kept, first).await, words(&kept, short).await),
        (vec![], vec![ANOTHER_VERSION.to_owned()])
    );
    assert!(known(&kept, short).await.replaces.is_none());
    // One that has a result takes the place of both.
    harness.advance(Duration::from_secs(1)).await;
    let third = finish(&kept, &film("north", "c"), instance("7", "1.9"), b"two").await;
    for older in [first, short] {
        assert_eq!(state(&kept, older).await, superseded(NEWER_VERSION));
    }
    assert_eq!(words(&kept, third).await, [ANOTHER_VERSION]);
}

pub async fn the_bytes_of_an_older_version_again_are_no_new_version<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    finish(&kept, &film("north", "a"), instance("7", "1.9"), b"one").await;
    harness.advance(Duration::from_secs(1)).await;
    let second = finish(&kept, &film("north", "b"), instance("7", "1.9"), b"two").await;
    harness.advance(Duration::from_secs(1)).await;
    let late = finish(&kept, &film("north", "c"), instance("7", "1.9"), b"one").await;
    assert_eq!(state(&kept, second).await.0, State::Ready);
    assert_eq!(state(&kept, late).await, superseded(SAME_INSTANCE));
}

pub async fn one_instance_uid_of_two_patients_or_two_studies_supersedes_nothing_and_the_later_image_is_warned_of<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let first = finish(&kept, &film("north", "a"), instance("7", "1.9"), b"one").await;
    harness.advance(Duration::from_secs(1)).await;
    let second = finish(&kept, &film("north", "b"), instance("8", "1.9"), b"two").await;
    harness.advance(Duration::from_secs(1)).await;
    let mut next_day = of("8", "1.3", "20260302");
    next_day.instance.uid = Uid::parse("1.9");
    let third = finish(&kept, &film("north", "c"), next_day, b"three").await;
    for (image, warnings) in [
        (first, vec![]),
        (second, vec![UID_SHARED.to_owned()]),
        (third, vec![UID_SHARED.to_owned()]),
    ] {
        assert_eq!(state(&kept, image).await.0, State::Ready);
        assert_eq!(words(&kept, image).await, warnings);
    }
    assert_eq!(priors(&kept, third).await, [second]);
    // Those of one patient are compared on.
    harness.advance(Duration::from_secs(1)).await;
    let copy = finish(&kept, &film("north", "d"), instance("7", "1.9"), b"one").await;
    assert_eq!(state(&kept, copy).await, superseded(SAME_INSTANCE));
    // Two that name nobody may be the same.
    let nobody = || Attributes { patient: Default::default(), ..instance("7", "1.8") };
    let first = finish(&kept, &film("north", "e"), nobody(), b"same").await;
    let second = finish(&kept, &film("north", "f"), nobody(), b"same").await;
    assert_eq!(state(&kept, first).await.0, State::Ready);
    assert_eq!(state(&kept, second).await, superseded(SAME_INSTANCE));
}

pub async fn a_derived_uid_that_comes_back_as_a_stored_one_refuses_nothing<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let jpeg = film("north", "a");
    let unnamed = of("7", "1.1", "20260101");
    let mut copy = unnamed.clone();
    copy.instance.uid = Some(Uids::of(jpeg.id(), Some("north"), &unnamed).instance);
    // Fetched as DICOM, sent on, and here before the file itself comes again.
    let dicom = finish(&kept, &film("north", "b"), copy, b"dicom").await;
    harness.advance(Duration::from_secs(1)).await;
    finish(&kept, &jpeg, unnamed, b"jpeg").await;
    assert_eq!(state(&kept, jpeg.id()).await.0, State::Ready);
    assert_eq!(state(&kept, dicom).await, superseded(NEWER_VERSION));
}

pub async fn when_an_image_goes_what_it_superseded_is_queued_again<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| film("north", name));
    // Renamed: a copy, then a deletion.
    finish(&kept, &a, instance("7", "1.9"), b"one").await;
    finish(&kept, &b, instance("7", "1.9"), b"one").await;
    assert_eq!(state(&kept, b.id()).await, superseded(SAME_INSTANCE));
    kept.store.remove(&a).await.expect("removed");
    assert_eq!(state(&kept, b.id()).await, (State::Queued, None));
    assert_eq!(told(&*kept.store, b.id()).await.last(), Some(&State::Queued));
    assert_eq!((total(&kept, State::Queued).await, total(&kept, State::Superseded).await), (1, 0));
    finish(&kept, &b, instance("7", "1.9"), b"one").await;
    assert_eq!(state(&kept, b.id()).await.0, State::Ready);
    // A newer version that is deleted gives its place back.
    harness.advance(Duration::from_secs(1)).await;
    finish(&kept, &c, instance("7", "1.9"), b"two").await;
    assert_eq!(state(&kept, b.id()).await, superseded(NEWER_VERSION));
    kept.store.remove(&c).await.expect("removed");
    assert_eq!(state(&kept, b.id()).await.0, State::Queued);
    finish(&kept, &b, instance("7", "1.9"), b"one").await;
    // Other content under its key.
    finish(&kept, &d, instance("7", "1.9"), b"one").await;
    admit(&*kept.store, &super::object("incoming/north/b", "v2", Some(2))).await;
    assert_eq!(state(&kept, d.id()).await.0, State::Queued);
    finish(&kept, &d, instance("7", "1.9"), b"one").await;
    // What has no object any more stays.
    kept.store.remove(&d).await.expect("removed");
    assert_eq!(state(&kept, b.id()).await.0, State::Superseded);
}

pub async fn an_older_version_that_is_finished_late_is_superseded_and_the_newer_one_has_the_warning<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let (older, newer) = (film("north", "a"), film("north", "b"));
    admit(&*kept.store, &older).await;
    harness.advance(Duration::from_secs(1)).await;
    finish(&kept, &newer, instance("7", "1.9"), b"two").await;
    assert!(!is_warned(&kept, newer.id()).await);
    let done = completion(&kept, &older, ready(0.9), Some(instance("7", "1.9")), b"one").await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    assert_eq!(state(&kept, older.id()).await, superseded(NEWER_VERSION));
    assert_eq!(state(&kept, newer.id()).await.0, State::Ready);
    assert!(is_warned(&kept, newer.id()).await);
    assert_eq!(known(&kept, newer.id()).await.replaces, Some(older.id()));
}

pub async fn the_same_instance_again_after_the_earlier_one_was_removed_is_a_new_image<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let first = film("north", "a");
    finish(&kept, &first, instance("7", "1.9"), b"same").await;
    kept.store.remove(&first).await.expect("removed");
    let second = film("north", "b");
    finish(&kept, &second, instance("7", "1.9"), b"same").await;
    assert_eq!(state(&kept, second.id()).await.0, State::Ready);
    // Another content under its key: nothing of it stands any more.
    admit(&*kept.store, &super::object("incoming/north/b", "v2", Some(2))).await;
    let third = finish(&kept, &film("north", "c"), instance("7", "1.9"), b"same").await;
    assert_eq!(state(&kept, third).await.0, State::Ready);
    assert!(!is_warned(&kept, third).await);
}

pub async fn the_same_instance_at_another_site_is_another_image<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    for key in ["north", "south", "a name", "a name"] {
        let name = format!("{key}-{}", total(&kept, State::Ready).await);
        let one = finish(&kept, &film(key, &name), instance("7", "1.9"), b"same").await;
        assert_eq!(state(&kept, one).await.0, State::Ready);
    }
}

pub async fn two_workers_that_finish_the_same_instance_leave_one_image<H: ErasureHarness>() {
    let harness = H::start().await;
    let (kept, other) = (harness.open().await, harness.open().await);
    for round in 0..10 {
        let uid = format!("1.9.{round}");
        let objects = ["a", "b"].map(|name| film("north", &format!("{name}{round}")));
        let bytes: [&[u8]; 2] = if round % 2 == 0 { [b"same"; 2] } else { [b"one", b"two"] };
        let mut done = Vec::new();
        for (object, bytes) in objects.iter().zip(bytes) {
            admit(&*kept.store, object).await;
            harness.advance(Duration::from_secs(1)).await;
            let known = Some(instance("7", &uid));
            done.push(completion(&kept, object, ready(0.9), known, bytes).await);
        }
        let (first, second) =
            tokio::join!(kept.store.complete(&done[..1]), other.store.complete(&done[1..]));
        assert_eq!((first.expect("done"), second.expect("done")), (vec![true], vec![true]));
        let states = [state(&kept, objects[0].id()).await.0, state(&kept, objects[1].id()).await.0];
        let left = states.iter().filter(|state| **state == State::Ready).count();
        assert_eq!(left, 1, "{states:?}");
        if round % 2 == 1 {
            assert_eq!(states, [State::Superseded, State::Ready]);
            assert!(is_warned(&kept, objects[1].id()).await);
        }
    }
}

pub async fn versions_finished_in_one_batch_leave_the_newest<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let before = finish(&kept, &film("north", "z"), instance("7", "1.9"), b"zero").await;
    let contents: [&[u8]; 4] = [b"one", b"one", b"two", b"three"];
    let (mut objects, mut done) = (Vec::new(), Vec::new());
    for (n, bytes) in contents.into_iter().enumerate() {
        harness.advance(Duration::from_secs(1)).await;
        let object = film("north", &n.to_string());
        admit(&*kept.store, &object).await;
        let known = Some(instance("7", "1.9"));
        done.push(completion(&kept, &object, ready(0.9), known, bytes).await);
        objects.push(object);
    }
    done.reverse();
    assert_eq!(kept.store.complete(&done).await.expect("completed"), [true; 4]);
    assert_eq!(state(&kept, before).await, superseded(NEWER_VERSION));
    assert_eq!(state(&kept, objects[0].id()).await, superseded(NEWER_VERSION));
    assert_eq!(state(&kept, objects[1].id()).await, superseded(SAME_INSTANCE));
    assert_eq!(state(&kept, objects[2].id()).await, superseded(NEWER_VERSION));
    assert_eq!(state(&kept, objects[3].id()).await.0, State::Ready);
    assert!(is_warned(&kept, objects[3].id()).await);
    assert_eq!((total(&kept, State::Ready).await, total(&kept, State::Superseded).await), (1, 4));
    assert_eq!(priors(&kept, objects[3].id()).await, []);
}

pub async fn a_duplicate_is_not_restored_by_a_look_into_the_bucket_while_its_image_is_there<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let (first, second) = (film("north", "a"), film("north", "b"));
    finish(&kept, &first, instance("7", "1.9"), b"same").await;
    finish(&kept, &second, instance("7", "1.9"), b"same").await;
    let restored = kept.store.restore(&second, Stamp(i64::MAX)).await.expect("asked");
    assert!(!restored);
    kept.store.remove(&first).await.expect("removed");
    // It is queued again, and nothing is left to restore.
    assert!(!kept.store.restore(&second, Stamp(i64::MAX)).await.expect("asked"));
    let done = completion(&kept, &second, ready(0.9), Some(instance("7", "1.9")), b"same").await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    assert_eq!(state(&kept, second.id()).await.0, State::Ready);
}
