//! A message has one holder at a time, for as long as its lease lasts.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use lobar_core::queue::{Outgoing, Receipt, Settlement};

use super::{QueueHarness, assert_depth, assert_nothing, extend, send, settle, take, take_one};

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
