//! Rows that cannot be read: damaged, or of a newer release.

#![allow(missing_docs)] // the names say it

use std::collections::BTreeMap;
use std::path::Path;

use lobar_core::access::Sites;
use lobar_core::event::Seq;
use lobar_core::image::{Image, Reason, State};
use lobar_core::object::ObjectVersion;
use lobar_core::store::{Admission, Claim, Filter, Store};

use super::{StoreHarness, admit, claim, complete, granted, image, object, ready, state, told};

/// The stored findings that `core` keeps for its own tests: `read` or `unreadable`.
fn corpus(folder: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/findings").join(folder);
    let entries = std::fs::read_dir(path).expect("the corpus is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).expect("text"))
    };
    paths.map(read).collect()
}

fn key(name: &str) -> ObjectVersion {
    object(&format!("incoming/north/{name}.jpg"), "v1", None)
}

/// An image that a worker finished.
async fn finished(store: &dyn Store, name: &str, probability: f64) -> ObjectVersion {
    admit(store, &key(name)).await;
    let claimed = granted(store, key(name).id()).await;
    assert!(complete(store, &claimed, ready(probability)).await);
    key(name)
}

/// Puts another finding in the place of an image's.
async fn replace_finding<H: StoreHarness>(harness: &H, name: &str, body: &str) {
    let (key, body) = (key(name).key, body.replace('\'', "''"));
    let statement = format!(
        "update finding set body = '{body}' where image = (select id from image where key = '{key}')"
    );
    harness.damage(&statement).await;
}

/// Puts another value into a column of an image.
async fn set<H: StoreHarness>(harness: &H, name: &str, assignment: &str) {
    let key = key(name).key;
    harness.damage(&format!("update image set {assignment} where key = '{key}'")).await;
}

async fn listed(store: &dyn Store, filter: &Filter) -> Vec<Image> {
    store.list(filter, None, 100).await.expect("a list").items
}

pub async fn a_finding_of_every_earlier_release_is_read<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for (name, body) in corpus("read") {
        let flagged = body.contains("\"flagged\":true") || body.contains("\"flagged\": true");
        let object = finished(&*store, &name, if flagged { 0.9 } else { 0.1 }).await;
        replace_finding(&harness, &name, &body).await;
        let image = image(&*store, object.id()).await;
        assert_eq!((image.state, image.reason), (State::Ready, None), "{name}");
        let finding = image.finding.unwrap_or_else(|| panic!("{name}: no finding"));
        assert_eq!(finding.flagged, flagged, "{name}");
    }
    assert!(
        listed(&*store, &Filter::at(Sites::All)).await.iter().all(|one| one.state == State::Ready)
    );
}

pub async fn an_image_whose_finding_cannot_be_read_needs_a_human_and_hides_no_other<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let whole = finished(&*store, "whole", 0.125).await;
    let unreadable = corpus("unreadable");
    for (name, body) in &unreadable {
        finished(&*store, name, 0.125).await;
        replace_finding(&harness, name, body).await;
    }
    // A finding that is readable and says otherwise than its image.
    finished(&*store, "otherwise", 0.125).await;
    replace_finding(&harness, "otherwise", &corpus("read")["unversioned_flagged"]).await;
    finished(&*store, "lost", 0.125).await;
    let of = format!("(select id from image where key = '{}')", key("lost").key);
    harness.damage(&format!("delete from finding where image = {of}")).await;

    let (states, flagged) = (vec![State::Ready], Some(false));
    let ready = Filter { states, flagged, ..Filter::at(Sites::All) };
    for filter in [Filter::at(Sites::All), ready] {
        let listed = listed(&*store, &filter).await;
        assert_eq!(listed.len(), unreadable.len() + 3, "they are listed where they were");
        for one in &listed {
            assert_eq!(image(&*store, one.id).await, *one, "one by one as in the list");
            if one.id == whole.id() {
                assert_eq!((one.state, one.reason), (State::Ready, None));
                assert_eq!(one.finding.as_ref().expect("a finding").probability, 0.125);
            } else {
                let needs_human = (State::NeedsHuman, Some(Reason::ResultUnreadable));
                assert_eq!((one.state, one.reason), needs_human, "{one:?}");
                assert!(one.finding.is_none() && one.finished_at.is_some(), "{one:?}");
            }
        }
    }
}

pub async fn an_image_whose_state_or_reason_cannot_be_read_needs_a_human_and_hides_no_other<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let whole = finished(&*store, "whole", 0.875).await;
    for name in ["state", "reason", "lane"] {
        finished(&*store, name, 0.125).await;
    }
    set(&harness, "state", "state = 'read_by_two'").await;
    set(&harness, "reason", "state = 'needs_human', flag = 'none', reason = 'not_a_chest'").await;
    set(&harness, "lane", "lane = 'whenever'").await;
    let listed = listed(&*store, &Filter::at(Sites::All)).await;
    assert_eq!(listed.len(), 4);
    let site = whole.site().expect("it has one").parse().expect("a name");
    for sites in [Sites::All, Sites::one(site)] {
        let filter = Filter::at(sites);
        let page = store.list(&filter, None, 2).await.expect("a page");
        assert_eq!((&page.items[..], page.total), (&listed[..2], 4), "{filter:?}");
        let rest = store.list(&filter, page.next, 10).await.expect("a page");
        assert_eq!((&rest.items[..], rest.next), (&listed[2..], None), "{filter:?}");
    }
    for name in ["state", "reason"] {
        let image = image(&*store, key(name).id()).await;
        let needs_human = (State::NeedsHuman, Some(Reason::RecordUnreadable));
        assert_eq!((image.state, image.reason), needs_human, "{name}");
        assert!(image.finding.is_none(), "{name}");
    }
    // How urgent it was says nothing of what was found.
    assert_eq!(state(&*store, &key("lane")).await, State::Ready);
    assert_eq!(image(&*store, whole.id()).await.finding.expect("a finding").probability, 0.875);
    store.overview().await.expect("figures");
}

pub async fn an_image_that_cannot_be_read_is_finished_and_is_not_claimed_again<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for name in ["finding", "state"] {
        finished(&*store, name, 0.125).await;
    }
    replace_finding(&harness, "finding", "[]").await;
    set(&harness, "state", "state = 'read_by_two'").await;
    admit(&*store, &key("queued")).await;
    let ids = ["finding", "state", "queued"].map(|name| key(name).id());
    let claims = store.claim(&ids, 5).await.expect("claimed");
    assert!(matches!(claims[0], Claim::Settled(_)), "{claims:?}");
    assert_eq!(claims[1], Claim::Settled(State::NeedsHuman));
    assert!(matches!(claims[2], Claim::Granted(_)), "the others are claimed: {claims:?}");
    for name in ["finding", "state"] {
        let id = key(name).id();
        assert_eq!(admit(&*store, &key(name)).await, Admission::Settled(id));
        assert_eq!(image(&*store, id).await.state, State::NeedsHuman);
    }
}

pub async fn an_image_that_cannot_be_read_is_superseded_and_removed_like_any_other<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for name in ["finding", "state"] {
        finished(&*store, name, 0.125).await;
    }
    replace_finding(&harness, "finding", "[]").await;
    set(&harness, "state", "state = 'read_by_two', flag = 'none'").await;
    for name in ["finding", "state"] {
        let newer = ObjectVersion { version: Some("v2".into()), ..key(name) };
        assert_eq!(admit(&*store, &newer).await, Admission::New(newer.id()));
        assert_eq!(state(&*store, &key(name)).await, State::Superseded);
        store.remove(&key(name)).await.expect("removed");
        assert_eq!(state(&*store, &key(name)).await, State::Removed);
        assert_eq!(state(&*store, &newer).await, State::Queued);
    }
    let kept = image(&*store, key("finding").id()).await;
    assert_eq!((kept.finding, kept.reason), (None, Some(Reason::ResultUnreadable)));
}

pub async fn an_event_whose_state_cannot_be_read_tells_of_its_image_and_hides_no_other<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let one = finished(&*store, "one", 0.125).await;
    let before = store.events(Seq(0), 100).await.expect("events");
    harness.damage("update event set state = 'read_by_two' where state = 'analysing'").await;
    finished(&*store, "two", 0.125).await;
    let events = store.events(Seq(0), 100).await.expect("events");
    assert_eq!(events.len(), 2 * before.len());
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let states = [State::Queued, State::NeedsHuman, State::Ready];
    assert_eq!(told(&*store, one.id()).await, states);
    let granted = claim(&*store, one.id()).await;
    assert_eq!(granted, Claim::Settled(State::Ready), "the image itself is as it was");
}
