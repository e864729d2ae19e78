//! What is deleted when its time is over, and how that is told.

use std::time::Duration;

use lobar_core::audit::{Action, Begin};
use lobar_core::store::{Retained, Store};

use super::{AuditHarness, all, append, verified};

const AGE: Duration = Duration::from_secs(100);

async fn prune(store: &dyn Store, limit: usize) -> usize {
    store.prune(Retained::Audit, AGE, limit).await.expect("pruned")
}

pub async fn what_is_older_is_pruned_from_the_oldest_on_and_the_rest_is_still_a_chain<
    H: AuditHarness,
>() {
    let harness = H::start().await;
    let (store, audit) = harness.open().await;
    assert_eq!(prune(&*store, 10).await, 0, "of nothing");
    append(&*audit, 5).await;
    assert_eq!(prune(&*store, 10).await, 0, "none is that old");
    harness.advance(2 * AGE).await;
    append(&*audit, 2).await;
    let before = all(&*audit).await;
    for (pruned, first) in [(2, 3), (2, 5), (1, 6), (0, 6)] {
        assert_eq!(prune(&*store, 2).await, pruned);
        let verified = verified(&*audit).await.expect("a chain");
        assert_eq!((verified.begin, verified.first), (Begin::Pruned, first));
    }
    let after = all(&*audit).await;
    assert_eq!(after[..2], before[5..], "what is kept is as it was");
    let told: Vec<_> = after[2..].iter().map(|entry| (&*entry.action, entry.detail())).collect();
    let gone = [1, 3, 4].map(|place: usize| {
        (Action::Pruned.as_str(), serde_json::json!(before[place].checkpoint()))
    });
    assert_eq!(told, gone);
}

pub async fn what_was_pruned_is_told_from_what_was_taken_away<H: AuditHarness>() {
    let harness = H::start().await;
    let (store, audit) = harness.open().await;
    append(&*audit, 4).await;
    harness.advance(2 * AGE).await;
    append(&*audit, 3).await;
    assert_eq!(prune(&*store, 10).await, 4);
    let refusal = harness.refusal("delete from audit where number = 5").await;
    assert!(refusal.is_some_and(|why| why.contains("only pruned")));
    harness.tamper("delete from audit where number = 5").await;
    let verified = verified(&*audit).await.expect("no break in the rest");
    assert_eq!((verified.begin, verified.first), (Begin::Unproven, 6));
}

pub async fn the_newest_entry_is_never_pruned<H: AuditHarness>() {
    let harness = H::start().await;
    let (store, audit) = harness.open().await;
    append(&*audit, 3).await;
    let newest = audit.newest().await.expect("answers");
    harness.advance(2 * AGE).await;
    assert_eq!(prune(&*store, 10).await, 2);
    assert_eq!(all(&*audit).await[0].checkpoint(), newest);
}
