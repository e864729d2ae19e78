//! The sentences, each a test.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use lobar_core::queue::{Depth, Outgoing, Receipt, Settlement};
use lobar_core::trace::TraceContext;

use super::{
    QueueHarness, assert_depth, assert_nothing, extend, held, send, settle, take, take_for,
    take_one,
};

const A_BIT: Duration = Duration::from_millis(1);

pub async fn a_sent_message_is_received_once_while_its_lease_is_kept<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a", "b"]).await;
    let taken = take::<H>(&*queue, 2).await;
    let bodies: HashSet<_> = taken.iter().map(|delivery| &delivery.body[..]).collect();
    assert_eq!(bodies, HashSet::from([&b"a"[..], b"b"]));
    assert!(taken.iter().all(|delivery| delivery.receive_count == 1));
    assert_nothing::<H>(&*queue).await;
    assert_nothing::<H>(&*harness.open().await).await;
}

pub async fn a_leased_message_is_hidden_until_its_deadline<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    take_one::<H>(&*queue).await;
    harness.advance(H::LEASE / 2).await;
    assert_nothing::<H>(&*queue).await;
    harness.advance(H::LEASE / 2 + A_BIT).await;
    assert_eq!(take_one::<H>(&*queue).await.body, "a");
}

pub async fn a_lease_that_ran_out_gives_the_message_to_another_receiver_with_a_higher_receive_count<
    H: QueueHarness,
>() {
    let harness = H::start().await;
    let (queue, other) = (harness.open().await, harness.open().await);
    send(&*queue, &["a"]).await;
    let first = take_one::<H>(&*queue).await;
    harness.advance(H::LEASE + A_BIT).await;
    let second = take_one::<H>(&*other).await;
    assert_eq!((first.receive_count, second.receive_count), (1, 2));
    assert_eq!(second.body, "a");
    assert_eq!(second.sent_at, first.sent_at);
    assert_ne!(second.receipt, first.receipt);
}

pub async fn extending_a_lease_moves_its_deadline<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    let taken = take_one::<H>(&*queue).await;
    for _ in 0..3 {
        harness.advance(H::LEASE / 2).await;
        assert!(extend(&*queue, &taken.receipt, H::LEASE).await);
        assert_nothing::<H>(&*queue).await;
    }
    harness.advance(H::LEASE + A_BIT).await;
    assert_eq!(take_one::<H>(&*queue).await.receive_count, 2);
}

pub async fn a_lost_lease_can_neither_be_extended_nor_settled<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    let lost = take_one::<H>(&*queue).await.receipt;
    harness.advance(H::LEASE + A_BIT).await;
    let other = harness.open().await;
    let current = take_one::<H>(&*other).await.receipt;

    assert!(!extend(&*queue, &lost, H::LEASE).await);
    for settlement in [
        Settlement::Done,
        Settlement::Release,
        Settlement::Retry { after: Duration::ZERO },
        Settlement::Dead { reason: "late".into() },
    ] {
        assert!(!settle(&*queue, &lost, settlement).await);
    }
    assert_nothing::<H>(&*queue).await;
    let held = u64::from(H::TELLS.others_leases);
    assert_depth(&*queue, |depth| depth.in_flight == held).await;
    assert!(settle(&*other, &current, Settlement::Done).await, "the newer lease is unharmed");
    assert!(!settle(&*other, &current, Settlement::Done).await, "settled before");
    assert!(!extend(&*queue, &Receipt("never given out".into()), H::LEASE).await);
}

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

pub async fn a_delayed_message_is_not_received_before_its_time<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    let sent = queue.send(vec![Outgoing::later("a", H::LEASE)]).await;
    assert!(sent.iter().all(Result::is_ok) && sent.len() == 1);
    assert_nothing::<H>(&*queue).await;
    harness.advance(H::LEASE / 2).await;
    assert_nothing::<H>(&*queue).await;
    harness.advance(H::LEASE / 2 + A_BIT).await;
    let taken = take_one::<H>(&*queue).await;
    assert_eq!((&taken.body[..], taken.receive_count), (&b"a"[..], 1));
}

pub async fn every_item_of_a_batch_has_a_result_of_its_own<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a", "b", "c", "d"]).await;
    let mut taken = take::<H>(&*queue, 4).await;
    taken.sort_by(|one, other| one.body.cmp(&other.body));
    let [a, b, c, d] = [0, 1, 2, 3].map(|place: usize| taken[place].receipt.clone());
    assert!(settle(&*queue, &b, Settlement::Done).await);

    let extended = queue.extend(&[a.clone(), b.clone(), c.clone()], H::LEASE).await;
    assert_eq!(extended.into_iter().map(held).collect::<Vec<_>>(), [true, false, true]);

    let settled = queue
        .settle(vec![
            (a.clone(), Settlement::Done),
            (b, Settlement::Done),
            (Receipt("never given out".into()), Settlement::Release),
            (c, Settlement::Release),
            (a, Settlement::Release),
            (d, Settlement::Dead { reason: "garbage".into() }),
        ])
        .await;
    let settled: Vec<_> = settled.into_iter().map(held).collect();
    assert_eq!(settled, [true, false, false, true, false, true]);
    assert_eq!(take_one::<H>(&*queue).await.body, "c");
    assert_nothing::<H>(&*queue).await;
}

pub async fn waiting_for_a_message_ends_when_one_is_sent<H: QueueHarness>() {
    let harness = H::start().await;
    let (queue, elsewhere) = (harness.open().await, harness.open().await);
    for sender in [queue.clone(), elsewhere] {
        let receiver = queue.clone();
        let waiting = tokio::spawn(async move {
            let taken = receiver.receive(1, Duration::from_secs(60), H::LEASE).await;
            (Instant::now(), taken.expect("received"))
        });
        // The receiver is to be waiting already; if it is not, the test is only easier to pass.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished(), "there is nothing to receive yet");
        let sent_at = Instant::now();
        send(&*sender, &["a"]).await;
        let (received_at, taken) = waiting.await.expect("the receiver");
        assert_eq!(taken.len(), 1);
        let took = received_at.saturating_duration_since(sent_at);
        assert!(took < Duration::from_secs(5), "it waited {took:?} for what was there");
    }
}

pub async fn an_empty_queue_answers_with_nothing_when_the_wait_is_over<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    let wait = Duration::from_millis(1_200);
    let started = Instant::now();
    let taken = queue.receive(10, wait, H::LEASE).await.expect("received");
    let took = started.elapsed();
    assert!(taken.is_empty());
    assert!(took >= wait * 4 / 5, "it gave up after {took:?}");
    assert!(took < wait * 10, "it waited {took:?}");
}

pub async fn depth_counts_what_is_ready_in_flight_delayed_and_dead<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    assert_depth(&*queue, |depth| *depth == Depth::default()).await;
    send(&*queue, &["a", "b", "c", "d", "e", "f"]).await;
    let taken = take::<H>(&*queue, 5).await;
    let oldest = taken.iter().map(|delivery| delivery.sent_at).min();
    let late = Outgoing::later("late", H::LEASE * 9);
    assert!(queue.send(vec![late]).await.iter().all(Result::is_ok));
    let receipt = |place: usize| taken[place].receipt.clone();
    let settled = queue
        .settle(vec![
            (receipt(0), Settlement::Done),
            (receipt(1), Settlement::Dead { reason: "garbage".into() }),
            (receipt(2), Settlement::Retry { after: H::LEASE * 9 }),
            (receipt(3), Settlement::Release),
        ])
        .await;
    assert!(settled.into_iter().all(held));
    let (in_flight, delayed) = if H::TELLS.retried_from_leased { (1, 2) } else { (2, 1) };
    let oldest = oldest.filter(|_| H::TELLS.oldest);
    let expected = Depth { ready: 2, in_flight, delayed, dead: 1, oldest };
    assert_depth(&*queue, |depth| *depth == expected).await;

    harness.advance(H::LEASE + A_BIT).await;
    // A lease that ran out is ready again.
    assert_depth(&*queue, |depth| (depth.ready, depth.in_flight) == (3, in_flight - 1)).await;
}

pub async fn messages_survive_closing_and_opening_the_queue<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    send(&*queue, &["a"]).await;
    let taken = take_one::<H>(&*queue).await;
    send(&*queue, &["b"]).await;
    drop(queue);

    // The lease on the first ends when its time is over, or with the connection that held it.
    let queue = harness.reopen().await;
    let first = take_one::<H>(&*queue).await;
    harness.advance(H::LEASE + A_BIT).await;
    let bodies: HashSet<_> =
        take::<H>(&*queue, 2).await.into_iter().map(|delivery| delivery.body).collect();
    assert_eq!(bodies, HashSet::from(["a".into(), "b".into()]));
    assert!(!settle(&*queue, &first.receipt, Settlement::Done).await);
    assert!(!settle(&*queue, &taken.receipt, Settlement::Done).await);
}

pub async fn two_receivers_never_hold_the_same_message<H: QueueHarness>() {
    const MESSAGES: usize = 400;
    let harness = H::start().await;
    let sender = harness.open().await;
    let mut receivers = Vec::new();
    for _ in 0..4 {
        let queue = harness.open().await;
        receivers.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let wait = Duration::from_secs(2);
                // Nobody steps the clock, so that no lease runs out; elsewhere it is a long one.
                let lease = H::LEASE * 20;
                let taken = queue.receive(7, wait, lease).await.expect("received");
                if taken.is_empty() {
                    return mine;
                }
                // Every third is settled at once, the others are held to the end.
                for delivery in taken {
                    if mine.len() % 3 == 0 {
                        assert!(settle(&*queue, &delivery.receipt, Settlement::Done).await);
                    }
                    mine.push(delivery.body);
                }
            }
        }));
    }
    for batch in (0..MESSAGES).collect::<Vec<_>>().chunks(16) {
        let bodies: Vec<String> = batch.iter().map(usize::to_string).collect();
        send(&*sender, &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let mut times = HashMap::new();
    for receiver in receivers {
        for body in receiver.await.expect("a receiver") {
            *times.entry(body).or_insert(0) += 1;
        }
    }
    assert_eq!(times.len(), MESSAGES);
    assert!(times.values().all(|times| *times == 1));
}

pub async fn a_message_keeps_its_bytes_whatever_they_are<H: QueueHarness>() {
    let harness = H::start().await;
    let queue = harness.open().await;
    let bodies: [Vec<u8>; 4] =
        [b"\0\xff\xfe not text".to_vec(), (0..=255).collect(), vec![7; 100_000], b"{}".to_vec()];
    for body in bodies {
        let sent = queue.send(vec![Outgoing::now(body.clone())]).await;
        assert!(sent.iter().all(Result::is_ok));
        let taken = take_one::<H>(&*queue).await;
        assert_eq!(taken.body, body);
        assert!(settle(&*queue, &taken.receipt, Settlement::Done).await);
    }
}

pub async fn a_batch_of_thousands_is_sent_received_and_settled<H: QueueHarness>() {
    const MESSAGES: usize = 2_500;
    let harness = H::start().await;
    let queue = harness.open().await;
    let sent = queue.send((0..MESSAGES).map(|n| Outgoing::now(n.to_string())).collect()).await;
    assert!(sent.len() == MESSAGES && sent.iter().all(Result::is_ok));
    let taken = take_for(&*queue, MESSAGES, H::LEASE * 20).await;
    let receipts: Vec<_> = taken.iter().map(|delivery| delivery.receipt.clone()).collect();
    assert!(queue.extend(&receipts, H::LEASE * 20).await.into_iter().all(held));
    let done = receipts.into_iter().map(|receipt| (receipt, Settlement::Done)).collect();
    let settled: Vec<_> = queue.settle(done).await.into_iter().map(held).collect();
    assert!(settled.len() == MESSAGES && settled.into_iter().all(|held| held));
    assert_depth(&*queue, |depth| *depth == Depth::default()).await;
}

pub async fn a_dropped_receive_hides_nothing_for_longer_than_its_lease<H: QueueHarness>() {
    const MESSAGES: usize = 30;
    let harness = H::start().await;
    let queue = harness.open().await;
    let sent = queue.send((0..MESSAGES).map(|n| Outgoing::now(n.to_string())).collect()).await;
    assert!(sent.iter().all(Result::is_ok));
    let mut received = 0;
    for micros in (0..3_000).step_by(100) {
        let receive = queue.receive(1, Duration::ZERO, H::LEASE);
        let ended = tokio::time::timeout(Duration::from_micros(micros), receive).await;
        received += ended.map_or(0, |taken| taken.expect("received").len());
    }
    assert!(received <= MESSAGES);
    harness.advance(H::LEASE + A_BIT).await;
    let taken = take::<H>(&*queue, MESSAGES).await;
    let bodies: HashSet<_> = taken.iter().map(|delivery| &delivery.body).collect();
    assert_eq!(bodies.len(), MESSAGES);
}
