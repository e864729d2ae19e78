//! How a lease ends, and what becomes of the message.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use std::time::Duration;

use lobar_core::queue::{Depth, Outgoing, Settlement};
use lobar_core::trace::TraceContext;

use super::{QueueHarness, assert_depth, assert_nothing, extend, send, settle, take, take_one};

const A_BIT: Duration = Duration::from_millis(1);

pub async fn a_done_message_is_gone<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    let taken = take_one::<H>(&*queue).await;
    assert!(settle(&*queue, &taken.receipt, Settlement::Done).await);
    harness.advance(H::LEASE * 2).await;
    assert_nothing::<H>(&*queue).await;
    assert_depth(&*queue, |depth| *depth == Depth::default()).await;
}

pub async fn a_retried_message_comes_back_after_its_delay_not_before<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    let taken = take_one::<H>(&*queue).await;
    let after = H::LEASE * 2;
    assert!(settle(&*queue, &taken.receipt, Settlement::Retry { after }).await);
    harness.advance(after / 2).await;
    assert_nothing::<H>(&*queue).await;
    harness.advance(after / 2 + A_BIT).await;
    let again = take_one::<H>(&*queue).await;
    assert_eq!((&again.body[..], again.receive_count), (&b"a"[..], 2));
}

pub async fn a_released_message_comes_back_at_once_and_its_receive_count_does_not_grow<
    H: QueueHarness,
>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    for _ in 0..5 {
        let taken = take_one::<H>(&*queue).await;
        assert_eq!(taken.receive_count, 1);
        assert!(settle(&*queue, &taken.receipt, Settlement::Release).await);
        assert!(!extend(&*queue, &taken.receipt, H::LEASE).await, "it was given back");
    }
    assert_depth(&*queue, |depth| depth.ready == 1).await;
}

pub async fn a_dead_message_is_kept_aside_with_its_reason_and_is_not_received_again<
    H: QueueHarness,
>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    let taken = take_one::<H>(&*queue).await;
    let dead = Settlement::Dead { reason: "nobody reads this".into() };
    assert!(settle(&*queue, &taken.receipt, dead).await);
    harness.advance(H::LEASE * 2).await;
    assert_nothing::<H>(&*queue).await;
    let queue = harness.reopen().await;
    assert_nothing::<H>(&*queue).await;
    assert_depth(&*queue, |depth| *depth == Depth { dead: 1, ..Depth::default() }).await;
}

pub async fn dead_letters_are_listed_with_their_reasons_and_stay_where_they_are<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    assert!(queue.dead_letters(10).await.expect("listed").is_empty());
    bury::<H>(&*queue, &["a", "b", "c"]).await;
    for _ in 0..3 {
        let mut letters = queue.dead_letters(10).await.expect("listed");
        letters.sort_by(|one, other| one.body.cmp(&other.body));
        let said: Vec<_> =
            letters.iter().map(|letter| (&letter.body[..], letter.reason.as_deref())).collect();
        let why = Some("nobody reads this");
        assert_eq!(said, [(&b"a"[..], why), (b"b", why), (b"c", why)]);
    }
    assert_eq!(queue.dead_letters(2).await.expect("listed").len(), 2);
    assert_nothing::<H>(&*queue).await;
    assert_depth(&*queue, |depth| *depth == Depth { dead: 3, ..Depth::default() }).await;
}

pub async fn a_redriven_message_is_received_as_if_it_had_never_been_received_before<
    H: QueueHarness,
>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    let trace = TraceContext::new(8, 9, 1);
    let sent = queue.send(vec![Outgoing::now(&b"\xff\0 bytes"[..]).traced(trace)]).await;
    assert!(sent.iter().all(Result::is_ok));
    let first = take_one::<H>(&*queue).await;
    let at_once = Settlement::Retry { after: Duration::ZERO };
    assert!(settle(&*queue, &first.receipt, at_once).await);
    harness.advance(A_BIT).await;
    let second = take_one::<H>(&*queue).await;
    assert_eq!(second.receive_count, 2);
    let dead = Settlement::Dead { reason: "nobody reads this".into() };
    assert!(settle(&*queue, &second.receipt, dead).await);
    assert_depth(&*queue, |depth| depth.dead == 1).await;

    assert_eq!(queue.redrive(10).await.expect("redriven"), 1);
    let again = take_one::<H>(&*queue).await;
    let told = (&again.body[..], again.receive_count, again.trace, again.sent_at);
    assert_eq!(told, (&b"\xff\0 bytes"[..], 1, trace, first.sent_at));
    assert!(settle(&*queue, &again.receipt, Settlement::Done).await);
    assert_eq!(queue.redrive(10).await.expect("redriven"), 0);
    assert_depth(&*queue, |depth| *depth == Depth::default()).await;
}

pub async fn redriving_moves_no_more_dead_letters_than_asked_for<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    bury::<H>(&*queue, &["a", "b", "c"]).await;
    assert_eq!(queue.redrive(0).await.expect("redriven"), 0);
    assert_eq!(queue.redrive(2).await.expect("redriven"), 2);
    let taken = take::<H>(&*queue, 2).await;
    assert_nothing::<H>(&*queue).await;
    assert_depth(&*queue, |depth| depth.dead == 1).await;
    for one in taken {
        assert!(settle(&*queue, &one.receipt, Settlement::Done).await);
    }
}

/// Sends messages and puts them aside.
async fn bury<H: QueueHarness>(queue: &dyn lobar_core::queue::Queue, bodies: &[&str]) {
    send(queue, bodies).await;
    for one in take::<H>(queue, bodies.len()).await {
        let dead = Settlement::Dead { reason: "nobody reads this".into() };
        assert!(settle(queue, &one.receipt, dead).await);
    }
    let many = bodies.len() as u64;
    assert_depth(queue, |depth| depth.dead == many).await;
}

pub async fn a_trace_context_travels_with_its_message_through_retry_release_and_dead_letter<
    H: QueueHarness,
>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    let trace = TraceContext::new(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 7, 1);
    let other = TraceContext::new(8, 9, 0);
    let sent = queue
        .send(vec![
            Outgoing::now("a").traced(trace),
            Outgoing::now("none"),
            Outgoing::later("late", H::LEASE).traced(other),
        ])
        .await;
    assert!(sent.iter().all(Result::is_ok) && sent.len() == 3);
    let mut taken = take::<H>(&*queue, 2).await;
    taken.sort_by(|one, other| one.body.cmp(&other.body));
    assert_eq!([taken[0].trace, taken[1].trace], [trace, None]);
    assert!(settle(&*queue, &taken[1].receipt, Settlement::Done).await);

    assert!(settle(&*queue, &taken[0].receipt, Settlement::Release).await);
    let released = take_one::<H>(&*queue).await;
    assert_eq!((&released.body[..], released.trace), (&b"a"[..], trace));
    let at_once = Settlement::Retry { after: Duration::ZERO };
    assert!(settle(&*queue, &released.receipt, at_once).await);
    harness.advance(A_BIT).await;
    let retried = take_one::<H>(&*queue).await;
    assert_eq!((&retried.body[..], retried.trace), (&b"a"[..], trace));
    let later = Settlement::Retry { after: H::LEASE * 2 };
    assert!(settle(&*queue, &retried.receipt, later).await);
    harness.advance(H::LEASE + A_BIT).await;
    let late = take_one::<H>(&*queue).await;
    assert_eq!((&late.body[..], late.trace), (&b"late"[..], other));
    assert!(settle(&*queue, &late.receipt, Settlement::Done).await);
    harness.advance(H::LEASE + A_BIT).await;
    let last = take_one::<H>(&*queue).await;
    assert_eq!((&last.body[..], last.trace), (&b"a"[..], trace));
    // A lease that runs out changes nothing either.
    harness.advance(H::LEASE + A_BIT).await;
    let again = take_one::<H>(&*queue).await;
    assert_eq!(again.trace, trace);
    let dead = Settlement::Dead { reason: "nobody reads this".into() };
    assert!(settle(&*queue, &again.receipt, dead).await);
    assert_eq!(harness.dead_trace().await, trace.map(|trace| trace.to_string()));
}
