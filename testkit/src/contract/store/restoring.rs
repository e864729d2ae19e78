//! What was superseded or removed and is current again.

#![allow(missing_docs)] // the names say it

use std::time::Duration;

use lobar_core::image::{Reason, State};
use lobar_core::object::ObjectVersion;
use lobar_core::store::{Admission, Outcome, Store};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::{
    StoreHarness, admit, complete, granted, image, new, object, ready, state, told, unversioned,
};

pub async fn a_version_that_is_current_again_after_a_deletion_is_queued_as_if_new<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let seen = |version: &str, order| object(key, version, Some(order));
    let first = seen("v1", 1);
    admit(&*store, &first).await;
    let claimed = granted(&*store, first.id()).await;
    assert!(complete(&*store, &claimed, ready(0.9)).await);

    // A delete marker is put on the key, and taken off.
    let marker = ObjectVersion { version: None, etag: None, ..seen("", 2) };
    assert_eq!(store.remove(&marker).await.expect("removed"), [first.id()]);
    let back = [Admission::Pending(first.id()), Admission::Settled(first.id())];
    assert_eq!(admit(&*store, &seen("v1", 3)).await, back[0]);
    let image = image(&*store, first.id()).await;
    assert_eq!((image.state, image.attempts, image.finding), (State::Queued, 0, None));
    assert_eq!(told(&*store, first.id()).await.last(), Some(&State::Queued));
    // What led there, notified again, changes nothing.
    assert_eq!(admit(&*store, &first).await, back[0]);
    assert_eq!(store.remove(&marker).await.expect("removed"), []);

    // A newer version is put on it, and deleted.
    let second = seen("v2", 4);
    admit(&*store, &second).await;
    assert_eq!(state(&*store, &first).await, State::Superseded);
    assert_eq!(admit(&*store, &seen("v1", 3)).await, back[1]);
    assert_eq!(store.remove(&seen("v2", 5)).await.expect("removed"), [second.id()]);
    assert_eq!(admit(&*store, &seen("v1", 5)).await, back[0]);
    assert_eq!(state(&*store, &first).await, State::Queued);
    assert_eq!(state(&*store, &second).await, State::Removed);
}

pub async fn a_version_that_was_admitted_without_an_order_is_current_again_after_a_deletion<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let (unordered, seen) = (object(key, "v1", None), |order| object(key, "v1", Some(order)));
    admit(&*store, &unordered).await;
    let marker = ObjectVersion { version: None, etag: None, ..seen(2) };
    assert_eq!(store.remove(&marker).await.expect("removed"), [unordered.id()]);
    let settled = Admission::Settled(unordered.id());
    assert_eq!(admit(&*store, &seen(1)).await, settled, "its own notification, late");
    assert_eq!(admit(&*store, &unordered).await, settled);
    assert_eq!(admit(&*store, &seen(3)).await, Admission::Pending(unordered.id()));
    assert_eq!(state(&*store, &unordered).await, State::Queued);
}

pub async fn an_image_whose_object_could_not_be_read_is_queued_as_if_new_when_the_object_is_put_again<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let put = |sequencer| unversioned("incoming/north/a.jpg", "aa", sequencer);
    let failed = |reason| Outcome::Failed { reason, detail: "as told".into() };
    let id = put(Some(2)).id();
    admit(&*store, &put(Some(2))).await;
    let claimed = granted(&*store, id).await;
    assert!(complete(&*store, &claimed, failed(Reason::FetchFailed)).await);
    let given_up = image(&*store, id).await;
    assert_eq!((given_up.state, given_up.reason), (State::Failed, Some(Reason::FetchFailed)));
    assert!(given_up.finding.is_none() && given_up.finished_at.is_some());
    for heard_before in [Some(2), Some(1), None] {
        assert_eq!(admit(&*store, &put(heard_before)).await, Admission::Settled(id));
    }
    assert_eq!(admit(&*store, &put(Some(3))).await, Admission::Pending(id));
    let again = image(&*store, id).await;
    assert_eq!((again.state, again.reason, again.attempts), (State::Queued, None, 0));
    assert_eq!((again.detail, again.finished_at), (None, None));

    // What failed for another reason may take the process down: it is not tried again.
    let claimed = granted(&*store, id).await;
    assert!(complete(&*store, &claimed, failed(Reason::RepeatedFailure)).await);
    assert_eq!(admit(&*store, &put(Some(4))).await, Admission::Settled(id));
}

pub async fn a_version_that_was_itself_deleted_never_comes_back<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let first = object(key, "v1", Some(1));
    admit(&*store, &first).await;
    assert_eq!(store.remove(&object(key, "v1", Some(2))).await.expect("removed"), [first.id()]);
    // Somebody saw it just before.
    let late = object(key, "v1", Some(3));
    assert_eq!(admit(&*store, &late).await, Admission::Settled(first.id()));
    assert_eq!(state(&*store, &first).await, State::Removed);
}

pub async fn a_deletion_from_before_an_image_was_seen_current_leaves_it_alone<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let marker = |key| ObjectVersion { version: None, etag: None, ..object(key, "", Some(2)) };
    // The end of a delete marker is told of before its beginning.
    let key = "incoming/north/a.jpg";
    admit(&*store, &object(key, "v1", Some(1))).await;
    admit(&*store, &object(key, "v1", Some(3))).await;
    assert_eq!(store.remove(&marker(key)).await.expect("removed"), []);
    // In one batch, too.
    let key = "incoming/north/b.jpg";
    let both = [1, 3].map(|order| new(&object(key, "v1", Some(order))));
    store.admit(&both).await.expect("admitted");
    assert_eq!(store.remove(&marker(key)).await.expect("removed"), []);
}

/// Where time stands for the store: no image has changed after it.
async fn now(store: &dyn Store, harness: &impl StoreHarness) -> Stamp {
    harness.advance(Duration::from_secs(60)).await;
    let probe = object("incoming/north/clock.jpg", &Uuid::now_v7().to_string(), None);
    admit(store, &probe).await;
    image(store, probe.id()).await.received_at
}

pub async fn an_image_that_the_bucket_shows_again_is_queued_as_if_new<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let [first, second] = [1, 2].map(|n| object(key, &format!("v{n}"), Some(n)));
    admit(&*store, &first).await;
    let claimed = granted(&*store, first.id()).await;
    assert!(complete(&*store, &claimed, ready(0.9)).await);
    admit(&*store, &second).await;
    let held = granted(&*store, second.id()).await;

    // The newer version is gone, and nothing told of it.
    let seen = now(&*store, &harness).await;
    assert!(store.restore(&first, seen).await.expect("restored"));
    let back = image(&*store, first.id()).await;
    assert_eq!((back.state, back.attempts, back.finding), (State::Queued, 0, None));
    assert_eq!(state(&*store, &second).await, State::Superseded);
    assert!(!complete(&*store, &held, ready(0.1)).await, "its work is void");
    assert_eq!(admit(&*store, &first).await, Admission::Pending(first.id()), "it gets a job");
    let claimed = granted(&*store, first.id()).await;
    assert!(complete(&*store, &claimed, ready(0.2)).await);

    // So is a version of which a deletion was told.
    let seen = now(&*store, &harness).await;
    harness.advance(Duration::from_secs(60)).await;
    store.remove(&object(key, "v1", Some(3))).await.expect("removed");
    let later = now(&*store, &harness).await;
    assert!(!store.restore(&first, seen).await.expect("asked"), "it changed since");
    assert!(store.restore(&first, later).await.expect("restored"));
    assert_eq!(state(&*store, &first).await, State::Queued);
    assert_eq!(told(&*store, first.id()).await.last(), Some(&State::Queued));
    let overview = store.overview().await.expect("answers");
    let queued = overview.by_state.iter().find(|(state, _)| *state == State::Queued);
    assert_eq!(queued.map(|(_, images)| *images), Some(2), "with the one that tells the time");
}

pub async fn nothing_is_restored_that_is_unknown_current_or_changed_since_it_was_seen<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let [first, second] = [1, 2].map(|n| object(key, &format!("v{n}"), Some(n)));
    let seen = now(&*store, &harness).await;
    assert!(!store.restore(&first, seen).await.expect("asked"), "unknown");
    harness.advance(Duration::from_secs(60)).await;
    admit(&*store, &first).await;
    let later = now(&*store, &harness).await;
    assert!(!store.restore(&first, later).await.expect("asked"), "current");
    harness.advance(Duration::from_secs(60)).await;
    admit(&*store, &second).await;
    // The bucket was looked at before the newer version came.
    assert!(!store.restore(&first, later).await.expect("asked"), "changed since");
    assert_eq!(state(&*store, &first).await, State::Superseded);
    assert_eq!(state(&*store, &second).await, State::Queued);
    assert_eq!(told(&*store, first.id()).await, [State::Queued, State::Superseded]);
}
