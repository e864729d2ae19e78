//! What is kept for a time only.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobar_core::access::Sites;
use lobar_core::event::Seq;
use lobar_core::image::{Reason, State};
use lobar_core::position::Position;
use lobar_core::store::{Filter, Outcome, Quarantined, Resumed, Retained, Store};

use super::positions::{events, resume};
use super::{StoreHarness, admit, complete, granted, image, object, ready, told};

const AGE: Duration = Duration::from_secs(3_600);

async fn prune(store: &dyn Store, what: Retained, limit: usize) -> usize {
    store.prune(what, AGE, limit).await.expect("pruned")
}

pub async fn events_are_pruned_from_the_oldest_on_and_the_newest_stays<H: StoreHarness>() {
    let harness = H::start().await;
    let (store, other) = (harness.open().await, harness.open().await);
    assert_eq!(prune(&*store, Retained::Events, 10).await, 0, "of nothing");
    let whole = events(&*store, "north", 6).await;
    assert_eq!(prune(&*store, Retained::Events, 10).await, 0, "none is that old");
    harness.advance(2 * AGE).await;
    let young = events(&*store, "south", 2).await.split_off(6);
    for left in [4, 2] {
        assert_eq!(prune(&*other, Retained::Events, 2).await, 2);
        let kept = store.events(Seq(0), 100).await.expect("events");
        assert_eq!(kept, [&whole[6 - left..], &young].concat());
    }
    assert_eq!(prune(&*store, Retained::Events, 10).await, 2);
    assert_eq!(prune(&*store, Retained::Events, 10).await, 0);
    assert_eq!(store.events(Seq(0), 100).await.expect("events"), young);

    // However old the newest is, it says where the log is.
    harness.advance(2 * AGE).await;
    assert_eq!(prune(&*store, Retained::Events, 10).await, 1);
    assert_eq!(store.events(Seq(0), 100).await.expect("events"), young[1..]);
    assert_eq!(store.newest_position().await.expect("answers"), young[1].position());
    let more = events(&*store, "west", 1).await;
    assert_eq!(more[1].seq.0, young[1].seq.0 + 1, "numbering goes on");
}

pub async fn readers_that_resume_while_events_are_pruned_miss_nothing_that_is_not_said<
    H: StoreHarness,
>() {
    const EVENTS: usize = 150;
    let harness = H::start().await;
    let (writer, pruner) = (harness.open().await, harness.open().await);
    let written = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for step in [1, 3, 50] {
        let reader = harness.open().await;
        readers.push(tokio::spawn(follow(reader, step, Arc::clone(&written))));
    }
    let write = async {
        let mut at = Vec::new();
        for n in 0..EVENTS {
            admit(&*writer, &object(&format!("incoming/north/{n}.jpg"), "v1", None)).await;
            harness.advance(AGE).await;
            at.push(n);
        }
        written.store(true, Ordering::SeqCst);
        writer.newest_position().await.expect("answers")
    };
    let prune = async {
        let mut pruned = 0;
        while !written.load(Ordering::SeqCst) {
            pruned +=
                pruner.prune(Retained::Events, Duration::from_secs(1), 4).await.expect("pruned");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        pruned
    };
    let (newest, pruned) = tokio::join!(write, prune);
    let mut told = 0;
    for reader in readers {
        let (last, resets) = reader.await.expect("a reader");
        assert_eq!(last, newest, "everybody comes to the end");
        told += resets;
    }
    assert!(pruned > 0, "{EVENTS} events, {told} times a reader was told that some were pruned");
}

/// Reads to the end; answers where it came to, and how often it was told that events were pruned. Panics where events
/// are missing unsaid.
async fn follow(store: Arc<dyn Store>, step: usize, written: Arc<AtomicBool>) -> (Position, usize) {
    let (mut position, mut resets) = (Position::START, 0);
    loop {
        let ending = written.load(Ordering::SeqCst);
        match resume(&*store, position, step).await {
            Resumed::Joined(next) if next.is_empty() && ending => return (position, resets),
            Resumed::Joined(next) => {
                for event in next {
                    let gap = event.seq.0 - position.seq().0;
                    assert_eq!(gap, 1, "events are missing before {event:?}");
                    position = event.position();
                }
            }
            Resumed::Pruned { after } => {
                assert!(after > position, "{after} is no progress from {position}");
                (position, resets) = (after, resets + 1);
            }
            Resumed::Unknown { newest } => panic!("{position} was given by the store: {newest}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn what_waits_in_quarantine_is_never_pruned<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for n in 0..5 {
        let (source, reason) = ("uploads".into(), "malformed".into());
        store.quarantine(&Quarantined { source, reason, body: vec![n] }).await.expect("kept");
    }
    harness.advance(100 * AGE).await;
    assert_eq!(prune(&*store, Retained::Quarantine, 10).await, 0);
    let decided = "update quarantine set state = 'replayed', changed_at = at where id <= 2";
    harness.damage(decided).await;
    harness
        .damage("update quarantine set state = 'a newer word', changed_at = at where id = 3")
        .await;
    assert_eq!(prune(&*store, Retained::Quarantine, 1).await, 1, "a batch");
    assert_eq!(prune(&*store, Retained::Quarantine, 10).await, 1);
    assert_eq!(
        prune(&*store, Retained::Quarantine, 10).await,
        0,
        "a word of another release stays"
    );
}

fn blank() -> Outcome {
    Outcome::NeedsHuman { reason: Reason::Blank, detail: "Every pixel is 7.".into() }
}

pub async fn an_image_whose_result_is_pruned_is_removed_with_its_verdicts_and_says_why<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = |n: u32| object(&format!("incoming/north/{n}.jpg"), "v1", None);
    let outcomes = [ready(0.9), ready(0.1), blank(), ready(0.8)];
    for (n, outcome) in (0..).zip(outcomes) {
        admit(&*store, &key(n)).await;
        let claimed = granted(&*store, key(n).id()).await;
        assert!(complete(&*store, &claimed, outcome).await);
    }
    // One whose object was deleted: its result is still there.
    store.remove(&key(3)).await.expect("removed");
    harness.advance(2 * AGE).await;
    let before = store.newest_position().await.expect("answers");
    assert_eq!(prune(&*store, Retained::Results, 3).await, 3);
    assert_eq!(prune(&*store, Retained::Results, 3).await, 1);
    assert_eq!(prune(&*store, Retained::Results, 3).await, 0, "once");
    for n in 0..4 {
        let image = image(&*store, key(n).id()).await;
        assert_eq!((image.state, image.reason), (State::Removed, None), "{n}");
        assert_eq!(image.finding, None, "{n}");
        let detail = image.detail.expect("a word of why");
        assert!(detail.contains("deleted when the time for which results are kept was over"));
        let told = told(&*store, key(n).id()).await;
        assert_eq!(told.iter().filter(|state| **state == State::Removed).count(), 1, "{n}");
    }
    let Resumed::Joined(events) = resume(&*store, before, 10).await else { panic!("it joins") };
    assert_eq!(events.len(), 3, "each change of state is told of");
    // Counted where they are now: never among those that were not flagged.
    let count = async |filter: Filter| store.list(&filter, None, 10).await.expect("listed").total;
    assert_eq!(count(Filter { states: vec![State::Removed], ..Filter::at(Sites::All) }).await, 4);
    for flagged in [true, false] {
        assert_eq!(count(Filter { flagged: Some(flagged), ..Filter::at(Sites::All) }).await, 0);
    }
    // The same object again is known, and is not assessed anew.
    let again = admit(&*store, &key(0)).await;
    assert_eq!(again, lobar_core::store::Admission::Settled(key(0).id()));
}

pub async fn what_is_younger_or_unfinished_is_not_pruned<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let key = |n: u32| object(&format!("incoming/north/{n}.jpg"), "v1", None);
    admit(&*store, &key(0)).await;
    admit(&*store, &key(1)).await;
    granted(&*store, key(1).id()).await;
    harness.advance(2 * AGE).await;
    admit(&*store, &key(2)).await;
    let claimed = granted(&*store, key(2).id()).await;
    assert!(complete(&*store, &claimed, ready(0.9)).await);
    for what in Retained::ALL.into_iter().filter(|what| *what != Retained::Events) {
        assert_eq!(prune(&*store, what, 10).await, 0, "{what:?}");
    }
    let states = store.states(&[0, 1, 2].map(|n| key(n).id())).await.expect("answered");
    assert_eq!(states, [State::Queued, State::Analysing, State::Ready].map(Some));
}
