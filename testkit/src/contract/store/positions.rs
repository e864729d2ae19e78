//! Where readers resume.

#![allow(missing_docs)] // the names say it

use lobar_core::event::{Event, Seq};
use lobar_core::position::Position;
use lobar_core::store::{Resumed, Store};

use super::{StoreHarness, admit, object};

/// Admits so many images, one event each; answers all events.
pub(super) async fn events(store: &dyn Store, of: &str, count: usize) -> Vec<Event> {
    for n in 0..count {
        admit(store, &object(&format!("incoming/{of}/{n}.jpg"), "v1", None)).await;
    }
    store.events(Seq(0), 10_000).await.expect("events")
}

pub(super) async fn resume(store: &dyn Store, position: Position, limit: usize) -> Resumed {
    store.resume(position, limit).await.expect("answers")
}

pub async fn a_reader_resumes_at_every_position_that_it_was_given_and_from_the_start<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let nothing = Resumed::Joined(Vec::new());
    assert_eq!(store.newest_position().await.expect("answers"), Position::START);
    assert_eq!(resume(&*store, Position::START, 10).await, nothing);
    let unknown = Resumed::Unknown { newest: Position::START };
    assert_eq!(resume(&*store, Position::unchecked(Seq(7)), 10).await, unknown);

    let whole = events(&*store, "north", 5).await;
    let newest = whole[4].position();
    assert_eq!(store.newest_position().await.expect("answers"), newest);
    assert_eq!(resume(&*store, Position::START, 10).await, Resumed::Joined(whole.clone()));
    for (place, event) in whole.iter().enumerate() {
        for position in [event.position(), Position::unchecked(event.seq)] {
            for limit in [0, 1, 2, 10] {
                let next = &whole[place + 1..];
                let next = next[..next.len().min(limit)].to_vec();
                assert_eq!(resume(&*store, position, limit).await, Resumed::Joined(next));
            }
        }
    }
    for ahead in [Position::unchecked(Seq(newest.seq().0 + 1)), Position::from_number(i64::MAX)] {
        assert_eq!(resume(&*store, ahead, 10).await, Resumed::Unknown { newest }, "{ahead}");
    }
    let reopened = harness.reopen().await;
    assert_eq!(resume(&*reopened, newest, 10).await, nothing);
}

pub async fn a_position_of_events_that_a_restore_has_lost_is_not_resumed_at_even_where_their_numbers_are_given_again<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let before = events(&*store, "north", 6).await;
    harness.lose_events(before[2].seq).await;
    // Nothing has come since: the position is ahead.
    let newest = before[2].position();
    for lost in &before[3..] {
        assert_eq!(resume(&*store, lost.position(), 10).await, Resumed::Unknown { newest });
    }
    // What came since has the numbers of what was lost, and goes on beyond.
    let after = events(&*store, "south", 6).await;
    assert_eq!(after[..3], before[..3]);
    assert_eq!(after[5].seq, before[5].seq, "as in a restored database");
    let newest = after.last().expect("events").position();
    for lost in &before[3..] {
        assert_eq!(resume(&*store, lost.position(), 10).await, Resumed::Unknown { newest });
    }
    // Who had seen nothing of what was lost goes on.
    let next = Resumed::Joined(after[3..].to_vec());
    assert_eq!(resume(&*store, before[2].position(), 10).await, next);
}

pub async fn a_reader_whose_next_events_were_pruned_is_told_so_and_resumes_with_what_is_kept<
    H: StoreHarness,
>() {
    use lobar_core::store::Retained;
    use std::time::Duration;
    const AGE: Duration = Duration::from_secs(60);
    let harness = H::start().await;
    let store = harness.open().await;
    let whole = events(&*store, "north", 6).await;
    harness.advance(2 * AGE).await;
    assert_eq!(store.prune(Retained::Events, AGE, 4).await.expect("pruned"), 4);
    let (after, kept) = (whole[3].position(), Resumed::Joined(whole[4..].to_vec()));
    let behind = [Position::START, whole[0].position(), whole[2].position()];
    for position in behind.into_iter().chain([Position::unchecked(whole[1].seq)]) {
        assert_eq!(resume(&*store, position, 10).await, Resumed::Pruned { after }, "{position}");
    }
    // Nothing lies between the newest that was pruned and what is kept.
    for position in [after, Position::unchecked(after.seq())] {
        assert_eq!(resume(&*store, position, 10).await, kept);
    }
    let rest = Resumed::Joined(whole[5..].to_vec());
    assert_eq!(resume(&*store, whole[4].position(), 10).await, rest);
}
