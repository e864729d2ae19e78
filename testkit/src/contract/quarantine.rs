//! The contract of the quarantine.
#![allow(missing_docs)] // a sentence says it

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::quarantine::{Entry, EntryId, EntryState, Quarantine, QuarantineError};
use lobar_core::store::{Quarantined, Store};

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../core/src/quarantine.rs");

/// An adapter under test, with the store through which messages are put aside.
#[async_trait]
pub trait QuarantineHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Quarantine>);
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Quarantine>);
    /// Lets time pass.
    async fn advance(&self, by: Duration);
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside.
    async fn damage(&self, statement: &str);
}

/// Runs the contract of the quarantine on a harness.
#[macro_export]
macro_rules! quarantine_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::quarantine, suite::DOCUMENTATION, [
            a_message_that_was_put_aside_waits_with_its_reason_and_its_bytes,
            lists_are_pages_newest_first_and_no_entry_is_missed_or_shown_twice,
            only_what_waits_is_listed_unless_all_is_asked_for,
            what_waits_is_counted_by_reason,
            a_replayed_entry_waits_no_more_and_keeps_its_bytes,
            a_replayed_entry_can_be_replayed_again,
            a_discarded_entry_loses_its_bytes_and_stays_discarded,
            an_entry_whose_state_cannot_be_read_is_neither_replayed_nor_discarded_and_keeps_its_bytes,
            an_unknown_entry_is_told_of_as_unknown,
            an_entry_whose_state_cannot_be_read_is_told_of_and_hides_no_other,
            everything_survives_closing_and_opening,
        ] }
    };
}

const BY: &str = "ada";

async fn put_aside(store: &dyn Store, reason: &str, body: &[u8]) {
    let message =
        Quarantined { source: "uploads".into(), reason: reason.into(), body: body.to_vec() };
    store.quarantine(&message).await.expect("kept");
}

/// A store with `count` messages of another bucket, numbered from 0; and their entries, oldest first.
async fn with<H: QuarantineHarness>(count: u8) -> (H, Arc<dyn Quarantine>, Vec<Entry>) {
    let harness = H::start().await;
    let (store, quarantine) = harness.open().await;
    for n in 0..count {
        put_aside(&*store, "wrong_source", &[n]).await;
    }
    let mut entries = quarantine.list(false, None, 100).await.expect("listed");
    entries.reverse();
    assert_eq!(entries.len(), usize::from(count));
    (harness, quarantine, entries)
}

async fn body(quarantine: &dyn Quarantine, id: EntryId) -> Vec<u8> {
    quarantine.entry(id).await.expect("asked").expect("known").body
}

pub async fn a_message_that_was_put_aside_waits_with_its_reason_and_its_bytes<
    H: QuarantineHarness,
>() {
    let harness = H::start().await;
    let (store, quarantine) = harness.open().await;
    assert_eq!(quarantine.list(true, None, 10).await.expect("listed"), []);
    let message = [b"{\0}".as_slice(), &[0xff]].concat();
    put_aside(&*store, "malformed", &message).await;
    let entries = quarantine.list(false, None, 10).await.expect("listed");
    let [entry] = entries.as_slice() else { panic!("one entry: {entries:?}") };
    assert_eq!((entry.source.as_str(), entry.reason.as_str()), ("uploads", "malformed"));
    assert_eq!((entry.state, entry.bytes), (EntryState::Waiting, 4));
    assert_eq!(entry.changed, None);
    let kept = quarantine.entry(entry.id).await.expect("asked").expect("known");
    assert_eq!((&kept.entry, kept.body), (entry, message));
}

pub async fn lists_are_pages_newest_first_and_no_entry_is_missed_or_shown_twice<
    H: QuarantineHarness,
>() {
    let (_harness, quarantine, mut entries) = with::<H>(7).await;
    entries.reverse();
    for limit in [1, 3, 7, 100] {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = quarantine.list(false, before, limit).await.expect("listed");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            all.extend(page);
        }
        assert_eq!(all, entries, "in pages of {limit}");
    }
}

pub async fn only_what_waits_is_listed_unless_all_is_asked_for<H: QuarantineHarness>() {
    let (_harness, quarantine, entries) = with::<H>(3).await;
    quarantine.mark_replayed(entries[0].id, BY).await.expect("marked");
    quarantine.discard(entries[1].id, BY).await.expect("discarded");
    assert_eq!(quarantine.list(false, None, 10).await.expect("listed"), [entries[2].clone()]);
    let all = quarantine.list(true, None, 10).await.expect("listed");
    let states: Vec<EntryState> = all.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [EntryState::Waiting, EntryState::Discarded, EntryState::Replayed]);
}

pub async fn what_waits_is_counted_by_reason<H: QuarantineHarness>() {
    let harness = H::start().await;
    let (store, quarantine) = harness.open().await;
    assert_eq!(quarantine.waiting().await.expect("counted"), []);
    for (n, reason) in ["wrong_source", "malformed", "wrong_source"].into_iter().enumerate() {
        put_aside(&*store, reason, &n.to_be_bytes()).await;
    }
    let waiting = quarantine.waiting().await.expect("counted");
    assert_eq!(waiting, [("malformed".to_owned(), 1), ("wrong_source".to_owned(), 2)]);
    let newest = quarantine.list(false, None, 1).await.expect("listed")[0].id;
    quarantine.mark_replayed(newest, BY).await.expect("marked");
    let waiting = quarantine.waiting().await.expect("counted");
    assert_eq!(waiting, [("malformed".to_owned(), 1), ("wrong_source".to_owned(), 1)]);
}

pub async fn a_replayed_entry_waits_no_more_and_keeps_its_bytes<H: QuarantineHarness>() {
    let (harness, quarantine, entries) = with::<H>(1).await;
    harness.advance(Duration::from_secs(5)).await;
    let marked = quarantine.mark_replayed(entries[0].id, BY).await.expect("marked");
    assert_eq!((marked.state, marked.at), (EntryState::Replayed, entries[0].at));
    let (at, by) = marked.changed.clone().expect("changed");
    assert_eq!((at.since(entries[0].at) >= Duration::from_secs(5), by.as_str()), (true, BY));
    assert_eq!(body(&*quarantine, marked.id).await, [0]);
}

pub async fn a_replayed_entry_can_be_replayed_again<H: QuarantineHarness>() {
    let (harness, quarantine, entries) = with::<H>(1).await;
    quarantine.mark_replayed(entries[0].id, BY).await.expect("marked");
    harness.advance(Duration::from_secs(5)).await;
    let again = quarantine.mark_replayed(entries[0].id, "grace").await.expect("marked");
    assert_eq!(
        (again.state, again.changed.expect("changed").1),
        (EntryState::Replayed, "grace".into())
    );
}

pub async fn a_discarded_entry_loses_its_bytes_and_stays_discarded<H: QuarantineHarness>() {
    let (_harness, quarantine, entries) = with::<H>(2).await;
    let id = entries[0].id;
    let discarded = quarantine.discard(id, BY).await.expect("discarded");
    assert_eq!((discarded.state, discarded.bytes), (EntryState::Discarded, 0));
    assert!(body(&*quarantine, id).await.is_empty());
    let refused = quarantine.mark_replayed(id, BY).await;
    assert!(matches!(refused, Err(QuarantineError::Discarded(one)) if one == id), "{refused:?}");
    let refused = quarantine.discard(id, BY).await;
    assert!(matches!(refused, Err(QuarantineError::Discarded(_))), "{refused:?}");
    assert_eq!(body(&*quarantine, entries[1].id).await, [1], "and only this one");
}

pub async fn an_entry_whose_state_cannot_be_read_is_neither_replayed_nor_discarded_and_keeps_its_bytes<
    H: QuarantineHarness,
>() {
    let (harness, quarantine, entries) = with::<H>(1).await;
    let id = entries[0].id;
    harness.damage(&format!("update quarantine set state = 'expired' where id = {id}")).await;
    for refused in [quarantine.mark_replayed(id, BY).await, quarantine.discard(id, BY).await] {
        assert!(
            matches!(refused, Err(QuarantineError::Unreadable(one)) if one == id),
            "{refused:?}"
        );
    }
    let kept = quarantine.entry(id).await.expect("asked").expect("known");
    assert_eq!((kept.entry.state, kept.body), (EntryState::Unreadable, vec![0]));
    assert_eq!(kept.entry.changed, None);
}

pub async fn an_unknown_entry_is_told_of_as_unknown<H: QuarantineHarness>() {
    let (_harness, quarantine, entries) = with::<H>(1).await;
    let unknown = EntryId(entries[0].id.0 + 1);
    assert_eq!(quarantine.entry(unknown).await.expect("asked"), None);
    for refused in
        [quarantine.mark_replayed(unknown, BY).await, quarantine.discard(unknown, BY).await]
    {
        assert!(matches!(refused, Err(QuarantineError::Unknown(_))), "{refused:?}");
    }
}

pub async fn an_entry_whose_state_cannot_be_read_is_told_of_and_hides_no_other<
    H: QuarantineHarness,
>() {
    let (harness, quarantine, entries) = with::<H>(3).await;
    let id = entries[1].id;
    harness.damage(&format!("update quarantine set state = 'expired' where id = {id}")).await;
    let listed = quarantine.list(false, None, 10).await.expect("listed");
    let states: Vec<EntryState> = listed.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [EntryState::Waiting, EntryState::Unreadable, EntryState::Waiting]);
    assert_eq!(body(&*quarantine, id).await, [1]);
}

pub async fn everything_survives_closing_and_opening<H: QuarantineHarness>() {
    let (harness, quarantine, entries) = with::<H>(3).await;
    quarantine.mark_replayed(entries[0].id, BY).await.expect("marked");
    quarantine.discard(entries[1].id, BY).await.expect("discarded");
    let before = quarantine.list(true, None, 10).await.expect("listed");
    drop(quarantine);
    let (_, quarantine) = harness.reopen().await;
    assert_eq!(quarantine.list(true, None, 10).await.expect("listed"), before);
    assert_eq!(body(&*quarantine, entries[2].id).await, [2]);
}
