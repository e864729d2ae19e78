//! The contract of the audit record.
#![allow(missing_docs)] // a sentence says it

mod chain;
mod inference;
mod pruning;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::{Role, SiteName};
use lobar_core::audit::{
    Action, Actor, ActorKind, Audit, Broken, Checkpoint, Cursor, Entry, Filter, NewEntry, Verified,
    verify,
};
use lobar_core::object::ImageId;
use lobar_core::store::Store;
use uuid::Uuid;

pub use chain::*;
pub use inference::*;
pub use pruning::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/audit/mod.rs");

/// An adapter under test, with the store whose images it tells of.
#[async_trait]
pub trait AuditHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Audit>);
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Audit>);
    /// Lets time pass.
    async fn advance(&self, by: Duration);
    /// Why the schema refuses a statement of SQL; `None` when it does not.
    async fn refusal(&self, statement: &str) -> Option<String>;
    /// Runs a statement of SQL as somebody does who may alter the schema, and has taken its guards away.
    async fn tamper(&self, statement: &str);
}

/// Runs the contract of the audit record on a harness.
#[macro_export]
macro_rules! audit_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::audit, suite::DOCUMENTATION, [
            what_is_appended_is_read_as_it_was_recorded,
            the_first_entry_continues_nothing_and_has_the_number_one,
            entries_are_numbered_in_the_order_of_commit_without_gaps_and_make_one_chain,
            concurrent_writers_keep_one_chain_also_with_workers_that_complete_images,
            an_entry_cannot_be_changed_and_none_can_be_removed,
            a_changed_entry_is_found,
            a_removed_entry_is_found,
            an_inserted_entry_is_found,
            an_end_that_was_cut_off_is_found_by_a_checkpoint,
            pages_are_in_order_of_number_and_no_entry_is_missed_or_shown_twice,
            pages_are_narrowed_by_action_image_site_actor_and_time,
            an_answered_image_is_recorded_with_its_input_its_model_and_its_score,
            an_image_that_is_not_assessed_is_recorded_with_its_reason,
            a_completion_that_is_refused_is_not_recorded,
            what_is_older_is_pruned_from_the_oldest_on_and_the_rest_is_still_a_chain,
            what_was_pruned_is_told_from_what_was_taken_away,
            the_newest_entry_is_never_pruned,
            everything_survives_closing_and_opening,
        ] }
    };
}

fn viewed() -> NewEntry {
    NewEntry::new(Action::Viewed, Actor::local("local"))
}

async fn append(audit: &dyn Audit, count: usize) {
    for _ in 0..count {
        audit.append(&[viewed()]).await.expect("appended");
    }
}

async fn all(audit: &dyn Audit) -> Vec<Entry> {
    audit.page(&Filter::default(), Cursor::After(0), 10_000).await.expect("read")
}

/// What the whole record comes to.
async fn verified(audit: &dyn Audit) -> Result<Verified, Broken> {
    verify(None, &all(audit).await)
}

pub async fn what_is_appended_is_read_as_it_was_recorded<H: AuditHarness>() {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    audit.append(&[]).await.expect("nothing");
    assert_eq!(audit.newest().await.expect("answers"), Checkpoint::START);
    let (account, token) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let full = NewEntry {
        role: Some(Role::Admin),
        image: Some(ImageId(Uuid::from_u128(9))),
        site: SiteName::parse("north"),
        subject: Some(token),
        detail: serde_json::json!({ "b": 1e-7, "a": "\u{e4}\"\n", "z": [null, true] }),
        request: Some("r-1".into()),
        ..NewEntry::new(
            Action::TokenChanged,
            Actor { kind: ActorKind::Person, id: Some(account), name: "Dr. M\u{fc}ller".into() },
        )
    };
    audit.append(&[full.clone(), viewed()]).await.expect("appended");
    let entries = all(&*audit).await;
    let [first, second] = entries.as_slice() else { panic!("two entries: {entries:?}") };
    assert_eq!(*first, full.seal(Checkpoint::START, first.at));
    assert_eq!(*second, viewed().seal(first.checkpoint(), first.at));
    assert_eq!(first.detail(), full.detail);
    assert_eq!(audit.newest().await.expect("answers"), second.checkpoint());
}

pub async fn pages_are_in_order_of_number_and_no_entry_is_missed_or_shown_twice<H: AuditHarness>() {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    append(&*audit, 7).await;
    let entries = all(&*audit).await;
    assert_eq!(entries.len(), 7);
    for limit in [1, 3, 7, 100] {
        for forward in [true, false] {
            let (mut seen, mut cursor) = (Vec::new(), Cursor::After(0));
            if !forward {
                cursor = Cursor::NEWEST;
            }
            loop {
                let page = audit.page(&Filter::default(), cursor, limit).await.expect("read");
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                cursor = match forward {
                    true => Cursor::After(last.number),
                    false => Cursor::Before(last.number),
                };
                seen.extend(page);
            }
            if !forward {
                seen.reverse();
            }
            assert_eq!(seen, entries, "in pages of {limit}");
        }
    }
}

pub async fn pages_are_narrowed_by_action_image_site_actor_and_time<H: AuditHarness>() {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    let image = |n| Some(ImageId(Uuid::from_u128(n)));
    let person =
        |n| Actor { kind: ActorKind::Person, id: Some(Uuid::from_u128(n)), name: "ada".into() };
    let entry = |action, n, at: &str| NewEntry {
        image: image(n),
        site: SiteName::parse(at),
        ..NewEntry::new(action, person(n))
    };
    audit.append(&[entry(Action::Viewed, 1, "north")]).await.expect("appended");
    audit.append(&[entry(Action::Listed, 1, "south")]).await.expect("appended");
    harness.advance(Duration::from_secs(5)).await;
    audit.append(&[entry(Action::Viewed, 2, "north")]).await.expect("appended");
    let later = all(&*audit).await[2].at;
    let any = Filter::default;
    for (filter, numbers) in [
        (Filter { action: Some(Action::Viewed), ..any() }, vec![1, 3]),
        (Filter { image: image(1), ..any() }, vec![1, 2]),
        (Filter { site: SiteName::parse("north"), ..any() }, vec![1, 3]),
        (Filter { actor: Some(Uuid::from_u128(2)), ..any() }, vec![3]),
        (Filter { since: Some(later), ..any() }, vec![3]),
        (Filter { until: Some(later), ..any() }, vec![1, 2]),
        (Filter { action: Some(Action::Viewed), image: image(1), ..any() }, vec![1]),
        (Filter { action: Some(Action::Erased), ..any() }, vec![]),
    ] {
        let page = audit.page(&filter, Cursor::After(0), 10).await.expect("read");
        let found: Vec<u64> = page.iter().map(|entry| entry.number).collect();
        assert_eq!(found, numbers, "{filter:?}");
        let page = audit.page(&filter, Cursor::NEWEST, 10).await.expect("read");
        let found: Vec<u64> = page.iter().rev().map(|entry| entry.number).collect();
        assert_eq!(found, numbers, "back: {filter:?}");
    }
}

pub async fn everything_survives_closing_and_opening<H: AuditHarness>() {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    append(&*audit, 3).await;
    let before = all(&*audit).await;
    drop(audit);
    let (_, audit) = harness.reopen().await;
    assert_eq!(all(&*audit).await, before);
    append(&*audit, 1).await;
    assert_eq!(verified(&*audit).await.map(|verified| verified.entries), Ok(4));
}
