//! Admission, supersession, removal.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use lobar_core::image::{Lane, NewImage, State};
use lobar_core::object::ObjectVersion;
use lobar_core::store::{Admission, Claim};

use super::{
    StoreHarness, admit, claim, complete, granted, image, new, object, ready, state, told,
    unversioned,
};

pub async fn an_image_is_admitted_once_however_often_it_is_notified<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let one = object("incoming/north/1.jpg", "v1", Some(1));
    let id = one.id();
    assert_eq!(admit(&*store, &one).await, Admission::New(id));
    assert_eq!(admit(&*store, &one).await, Admission::Pending(id));
    let twice = store.admit(&[new(&one), new(&one)]).await.expect("admitted");
    assert_eq!(twice, [Admission::Pending(id), Admission::Pending(id)]);
    let other = object("incoming/north/2.jpg", "v1", None);
    let twice = store.admit(&[new(&other), new(&other)]).await.expect("admitted");
    assert_eq!(twice, [Admission::New(other.id()), Admission::Pending(other.id())]);

    let claimed = granted(&*store, id).await;
    assert_eq!(admit(&*store, &one).await, Admission::Pending(id));
    assert!(complete(&*store, &claimed, ready(0.1)).await);
    assert_eq!(admit(&*store, &one).await, Admission::Settled(id));
    assert_eq!(told(&*store, id).await, [State::Queued, State::Analysing, State::Ready]);

    // At the same time, through several handles.
    let third = object("incoming/north/3.jpg", "v1", Some(9));
    let mut admitting = Vec::new();
    for _ in 0..4 {
        let (store, third) = (harness.open().await, third.clone());
        admitting.push(tokio::spawn(async move { admit(&*store, &third).await }));
    }
    let mut news = 0;
    for admitting in admitting {
        news += usize::from(matches!(admitting.await.expect("a task"), Admission::New(_)));
    }
    assert_eq!(news, 1);
    assert_eq!(told(&*store, third.id()).await, [State::Queued]);
}

pub async fn a_newer_version_of_the_same_key_supersedes_the_older_ones<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let [first, second, third] =
        [1, 2, 3].map(|n| object("incoming/north/a.jpg", &format!("v{n}"), Some(n)));
    let neighbour = object("incoming/north/b.jpg", "v1", Some(1));
    admit(&*store, &first).await;
    admit(&*store, &neighbour).await;
    let claimed = granted(&*store, first.id()).await;
    assert!(complete(&*store, &claimed, ready(0.875)).await);
    assert_eq!(admit(&*store, &second).await, Admission::New(second.id()));
    assert_eq!(admit(&*store, &third).await, Admission::New(third.id()));

    let old = image(&*store, first.id()).await;
    assert_eq!(old.state, State::Superseded);
    assert!(old.finding.is_some(), "a finding made before is kept");
    assert_eq!(state(&*store, &second).await, State::Superseded);
    assert_eq!(state(&*store, &third).await, State::Queued);
    assert_eq!(state(&*store, &neighbour).await, State::Queued, "another key is not concerned");
    assert_eq!(told(&*store, second.id()).await, [State::Queued, State::Superseded]);
    assert_eq!(claim(&*store, second.id()).await, Claim::Settled(State::Superseded));
    assert_eq!(admit(&*store, &second).await, Admission::Settled(second.id()));

    // All in one batch.
    let [one, two] = [5, 6].map(|n| object("incoming/north/c.jpg", &format!("v{n}"), Some(n)));
    let answers = store.admit(&[new(&one), new(&two)]).await.expect("admitted");
    assert_eq!(answers, [Admission::Settled(one.id()), Admission::New(two.id())]);
    assert_eq!(state(&*store, &one).await, State::Superseded);
}

pub async fn an_older_version_that_arrives_late_is_stored_as_superseded<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let newer = object("incoming/north/a.jpg", "v2", Some(0x100));
    // Shorter, as sequencers of other lengths are compared by value.
    let older = ObjectVersion {
        sequencer: Some("FF".into()),
        ..object("incoming/north/a.jpg", "v1", None)
    };
    admit(&*store, &newer).await;
    assert_eq!(admit(&*store, &older).await, Admission::Settled(older.id()));
    assert_eq!(state(&*store, &older).await, State::Superseded);
    assert_eq!(state(&*store, &newer).await, State::Queued);
    assert_eq!(told(&*store, older.id()).await, [State::Superseded]);
    assert!(image(&*store, older.id()).await.finished_at.is_some());
}

pub async fn versions_without_an_order_supersede_in_the_order_of_arrival<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let versions = [
        object(key, "v1", None),
        object(key, "v2", None),
        object(key, "v3", Some(5)),
        object(key, "v4", None),
        ObjectVersion { sequencer: Some("not hexadecimal".into()), ..object(key, "v5", None) },
    ];
    for (place, version) in versions.iter().enumerate() {
        assert_eq!(admit(&*store, version).await, Admission::New(version.id()));
        for (earlier, version) in versions.iter().take(place + 1).enumerate() {
            let expected = if earlier == place { State::Queued } else { State::Superseded };
            assert_eq!(state(&*store, version).await, expected, "{earlier} after {place}");
        }
    }
}

pub async fn a_superseded_image_in_a_worker_s_hands_loses_its_fence<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let [older, newer] = [1, 2].map(|n| object("incoming/north/a.jpg", &format!("v{n}"), Some(n)));
    admit(&*store, &older).await;
    let claimed = granted(&*store, older.id()).await;
    admit(&*store, &newer).await;
    assert!(!complete(&*store, &claimed, ready(0.9)).await);
    store.release(&[claimed.held()]).await.expect("passed over");
    assert_eq!(state(&*store, &older).await, State::Superseded);
    assert!(image(&*store, older.id()).await.finding.is_none());
}

pub async fn the_same_content_put_again_after_another_is_current_again<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let (first, other) = (unversioned(key, "aa", Some(1)), unversioned(key, "bb", Some(2)));
    admit(&*store, &first).await;
    let claimed = granted(&*store, first.id()).await;
    assert!(complete(&*store, &claimed, ready(0.9)).await);
    admit(&*store, &other).await;
    assert_eq!(state(&*store, &first).await, State::Superseded);

    let again = unversioned(key, "aa", Some(3));
    assert_eq!(admit(&*store, &again).await, Admission::Pending(first.id()));
    let back = image(&*store, first.id()).await;
    assert_eq!((back.state, back.attempts), (State::Queued, 0));
    assert!(back.finding.is_none() && back.finished_at.is_none());
    assert_eq!(state(&*store, &other).await, State::Superseded);
    let claimed = granted(&*store, first.id()).await;
    assert!(complete(&*store, &claimed, ready(0.9)).await);

    // And after a deletion.
    let deleted = ObjectVersion { etag: None, ..unversioned(key, "", Some(4)) };
    assert_eq!(store.remove(&deleted).await.expect("removed").len(), 2);
    assert_eq!(
        admit(&*store, &unversioned(key, "aa", Some(3))).await,
        Admission::Settled(first.id())
    );
    assert_eq!(state(&*store, &first).await, State::Removed);
    assert_eq!(
        admit(&*store, &unversioned(key, "aa", Some(5))).await,
        Admission::Pending(first.id())
    );
    assert_eq!(state(&*store, &first).await, State::Queued);
}

pub async fn an_old_notification_does_not_bring_a_superseded_image_back<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    for (older, newer) in [
        (unversioned(key, "aa", Some(1)), unversioned(key, "bb", Some(2))),
        (unversioned(key, "cc", None), unversioned(key, "dd", None)),
        (object(key, "v1", Some(3)), object(key, "v2", Some(4))),
    ] {
        admit(&*store, &older).await;
        admit(&*store, &newer).await;
        assert_eq!(admit(&*store, &older).await, Admission::Settled(older.id()));
        assert_eq!(state(&*store, &older).await, State::Superseded);
        assert_eq!(state(&*store, &newer).await, State::Queued);
    }
}

pub async fn removing_an_object_cancels_its_pending_work_and_marks_the_image<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let [queued, held, finished, other] =
        ["a", "b", "c", "d"].map(|key| object(&format!("incoming/north/{key}"), "v1", None));
    for each in [&queued, &held, &finished, &other] {
        admit(&*store, each).await;
    }
    let in_hand = granted(&*store, held.id()).await;
    let done = granted(&*store, finished.id()).await;
    assert!(complete(&*store, &done, ready(0.9)).await);
    for each in [&queued, &held, &finished] {
        assert_eq!(store.remove(each).await.expect("removed"), [each.id()]);
        assert_eq!(store.remove(each).await.expect("removed"), [], "once is enough");
        assert_eq!(state(&*store, each).await, State::Removed);
        assert_eq!(told(&*store, each.id()).await.last(), Some(&State::Removed));
        assert_eq!(admit(&*store, each).await, Admission::Settled(each.id()));
    }
    assert_eq!(claim(&*store, queued.id()).await, Claim::Settled(State::Removed));
    assert!(!complete(&*store, &in_hand, ready(0.9)).await);
    assert!(image(&*store, finished.id()).await.finding.is_some(), "it is kept");
    assert_eq!(state(&*store, &other).await, State::Queued);
}

pub async fn removing_an_object_before_it_was_admitted_marks_it_when_it_is<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let early = object("incoming/north/a.jpg", "v1", Some(1));
    let deletion = ObjectVersion { etag: None, sequencer: Some("2".into()), ..early.clone() };
    assert_eq!(store.remove(&deletion).await.expect("removed"), []);
    assert_eq!(admit(&*store, &early).await, Admission::Settled(early.id()));
    assert_eq!(state(&*store, &early).await, State::Removed);
    assert_eq!(told(&*store, early.id()).await, [State::Removed]);

    // The whole key, where sequencers tell that the deletion was later.
    let key =
        ObjectVersion { version: None, etag: None, ..object("incoming/north/b.jpg", "", Some(5)) };
    assert_eq!(store.remove(&key).await.expect("removed"), []);
    let (before, after) = (
        object("incoming/north/b.jpg", "v1", Some(4)),
        object("incoming/north/b.jpg", "v2", Some(6)),
    );
    assert_eq!(admit(&*store, &after).await, Admission::New(after.id()));
    assert_eq!(admit(&*store, &before).await, Admission::Settled(before.id()));
    assert_eq!(state(&*store, &before).await, State::Removed);
    assert_eq!(state(&*store, &after).await, State::Queued);
}

pub async fn removing_a_key_removes_all_versions_that_are_older<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let versions = [
        object(key, "v0", None),
        object(key, "v1", Some(1)),
        object(key, "v2", Some(2)),
        object(key, "v9", Some(9)),
    ];
    let neighbour = object("incoming/north/b.jpg", "v1", None);
    for each in versions.iter().chain([&neighbour]) {
        admit(&*store, each).await;
    }
    let deletion = ObjectVersion { version: None, etag: None, ..object(key, "", Some(5)) };
    let mut removed = store.remove(&deletion).await.expect("removed");
    let mut older: Vec<_> = versions[..3].iter().map(ObjectVersion::id).collect();
    removed.sort();
    older.sort();
    assert_eq!(removed, older);
    assert_eq!(state(&*store, &versions[3]).await, State::Queued);

    let deletion = ObjectVersion { sequencer: None, ..deletion };
    assert_eq!(store.remove(&deletion).await.expect("removed"), [versions[3].id()]);
    assert_eq!(state(&*store, &neighbour).await, State::Queued);
}

pub async fn an_upload_after_a_removal_without_order_is_a_new_one<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = "incoming/north/a.jpg";
    let first = object(key, "v1", None);
    admit(&*store, &first).await;
    let deletion = ObjectVersion { version: None, etag: None, ..object(key, "", None) };
    assert_eq!(store.remove(&deletion).await.expect("removed"), [first.id()]);
    let second = object(key, "v2", None);
    assert_eq!(admit(&*store, &second).await, Admission::New(second.id()));
    let stat = NewImage { object: object(key, "v3", Some(1)), lane: Lane::Stat };
    let answers = store.admit(std::slice::from_ref(&stat)).await.expect("admitted");
    assert_eq!(answers, [Admission::New(stat.object.id())]);
    assert_eq!(image(&*store, stat.object.id()).await.lane, Lane::Stat);
}
