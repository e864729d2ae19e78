//! Sending, waiting, counting, and what survives.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use std::collections::HashSet;
use std::time::{Duration, Instant};

use lobar_core::queue::{Depth, Outgoing, Receipt, Settlement};

use super::{
    QueueHarness, assert_depth, assert_nothing, held, send, settle, take, take_for, take_one,
};

const A_BIT: Duration = Duration::from_millis(1);

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
