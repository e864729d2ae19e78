//! One chain, and what breaks it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use lobar_core::audit::{Audit, Begin, Broken, Checkpoint, Verified, verify};

use super::super::store::{admit, complete, granted, object, ready};
use super::{AuditHarness, all, append, verified, viewed};

pub async fn the_first_entry_continues_nothing_and_has_the_number_one<H: AuditHarness>() {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    append(&*audit, 1).await;
    let first = all(&*audit).await.remove(0);
    assert_eq!((first.number, first.previous), (1, Checkpoint::START.hash));
    assert_eq!(first.previous.0, [0; 32]);
}

pub async fn entries_are_numbered_in_the_order_of_commit_without_gaps_and_make_one_chain<
    H: AuditHarness,
>() {
    let harness = H::start().await;
    let (here, there) = (harness.open().await.1, harness.open().await.1);
    for _ in 0..3 {
        append(&*here, 2).await;
        there.append(&vec![viewed(); 3]).await.expect("appended");
    }
    let entries = all(&*here).await;
    let newest = entries.last().expect("some").checkpoint();
    let whole = Verified { begin: Begin::First, first: 1, entries: 15, newest };
    assert_eq!(verify(None, &entries), Ok(whole));
    let big = vec![viewed(); 1_100];
    there.append(&big).await.expect("appended");
    assert_eq!(verified(&*here).await.map(|verified| verified.entries), Ok(1_115));
}

pub async fn concurrent_writers_keep_one_chain_also_with_workers_that_complete_images<
    H: AuditHarness,
>() {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 8;
    let harness = H::start().await;
    let mut handles = Vec::new();
    for _ in 0..WRITERS {
        handles.push(harness.open().await);
    }
    let work = handles.iter().enumerate().map(async |(writer, (store, audit))| {
        for round in 0..ROUNDS {
            let object = object(&format!("incoming/north/{writer}-{round}.jpg"), "v1", None);
            admit(&**store, &object).await;
            let claimed = granted(&**store, object.id()).await;
            append(&**audit, 1).await;
            assert!(complete(&**store, &claimed, ready(0.1)).await);
        }
    });
    join_all(work).await;
    let (_, audit) = harness.open().await;
    let verified = verified(&*audit).await.expect("one chain");
    assert_eq!(verified.entries, (2 * WRITERS * ROUNDS) as u64);
}

pub async fn an_entry_cannot_be_changed_and_none_can_be_removed<H: AuditHarness>() {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    append(&*audit, 3).await;
    let before = all(&*audit).await;
    const UNCHANGED: &str = "an entry of the audit record is never changed";
    const KEPT: &str = "an entry of the audit record is only pruned";
    for (statement, why) in [
        ("update audit set actor = 'somebody else' where number = 2", UNCHANGED),
        ("update audit set detail = detail", UNCHANGED),
        ("delete from audit where number = 3", KEPT),
        ("delete from audit", KEPT),
    ] {
        let refusal = harness.refusal(statement).await;
        assert!(
            refusal.as_ref().is_some_and(|said| said.contains(why)),
            "{statement}: {refusal:?}"
        );
    }
    assert_eq!(all(&*audit).await, before);
}

/// A record of five entries that somebody tampered with, and where it shows.
async fn tampered<H: AuditHarness>(statement: &str) -> (Arc<dyn Audit>, Broken) {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    append(&*audit, 5).await;
    assert!(verified(&*audit).await.is_ok());
    harness.tamper(statement).await;
    let broken = verified(&*audit).await.expect_err("broken");
    (audit, broken)
}

pub async fn a_changed_entry_is_found<H: AuditHarness>() {
    for change in [
        "actor = 'somebody else'",
        "at = at + 1",
        "action = 'listed'",
        "detail = '{\"flagged\":false}'",
        "image = actor_id, site = 'north'",
        "hash = previous",
        "v = 2",
    ] {
        let statement = format!("update audit set {change} where number = 3");
        let (_, broken) = tampered::<H>(&statement).await;
        assert_eq!(broken.number, 3, "{change}: {broken}");
    }
}

pub async fn a_removed_entry_is_found<H: AuditHarness>() {
    let (_, broken) = tampered::<H>("delete from audit where number = 3").await;
    assert!(broken.number == 4 && broken.what.contains("missing"), "{broken}");
    // And so it is when those behind it are counted down.
    let moved = "delete from audit where number = 3; update audit set number = 3 where number = 4;
        update audit set number = 4 where number = 5";
    let (_, broken) = tampered::<H>(moved).await;
    assert_eq!(broken.number, 3, "{broken}");
}

pub async fn an_inserted_entry_is_found<H: AuditHarness>() {
    let inserted = "update audit set number = 6 where number = 5;
        update audit set number = 5 where number = 4;
        insert into audit (number, v, at, action, actor_kind, actor, detail, previous, hash)
          select 4, v, at, action, actor_kind, 'somebody else', detail, hash, hash from audit
          where number = 3";
    let (_, broken) = tampered::<H>(inserted).await;
    assert_eq!(broken.number, 4, "{broken}");
}

pub async fn an_end_that_was_cut_off_is_found_by_a_checkpoint<H: AuditHarness>() {
    let harness = H::start().await;
    let (_, audit) = harness.open().await;
    append(&*audit, 5).await;
    let noted = audit.newest().await.expect("answers");
    append(&*audit, 2).await;
    assert!(verify(Some(noted), &all(&*audit).await).is_ok());
    harness.tamper("delete from audit where number >= 4").await;
    let rest = all(&*audit).await;
    assert!(verify(None, &rest).is_ok(), "without one it looks whole");
    assert_eq!(verify(Some(noted), &rest).expect_err("cut off").number, 5);
    // Nor can it be grown again.
    harness.advance(Duration::from_secs(1)).await;
    append(&*audit, 4).await;
    let grown = verify(Some(noted), &all(&*audit).await).expect_err("another one");
    assert_eq!(grown.number, 5, "{grown}");
}
