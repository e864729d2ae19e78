//! The queue's contract.

mod leases;
mod messages;
pub mod model;
mod settlements;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::queue::{Delivery, Depth, Outgoing, Queue, Receipt, Settlement};

pub use leases::*;
pub use messages::*;
pub use settlements::*;
pub use turns::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/queue.rs");

/// An adapter under test.
#[async_trait]
pub trait QueueHarness: Sized + Send + Sync {
    /// The lease that tests take: short where time cannot be stepped.
    const LEASE: Duration;
    /// How long to listen for a message before saying that there is none: zero where a message that is
    /// there is received at once.
    const LISTEN: Duration = Duration::ZERO;
    /// What the broker tells of its messages.
    const TELLS: Tells = Tells::ALL;

    /// A queue that nobody has used.
    async fn start() -> Self;
    /// A handle on it, as another process has one.
    async fn open(&self) -> Arc<dyn Queue>;
    /// Closes every handle, and the service where there is one, then opens it anew.
    async fn reopen(&self) -> Arc<dyn Queue>;
    /// Lets time pass for the queue.
    async fn advance(&self, by: Duration);
    /// The `traceparent` of the one message that is kept aside, as the broker has it.
    async fn dead_trace(&self) -> Option<String>;
}

/// What a broker tells of its messages, beside how many are ready and how many are dead.
#[derive(Clone, Copy, Debug)]
pub struct Tells {
    /// Leases of other processes.
    pub others_leases: bool,
    /// A retried message from a leased one.
    pub retried_from_leased: bool,
    /// When the oldest was sent.
    pub oldest: bool,
}

impl Tells {
    /// Everything.
    pub const ALL: Tells = Tells { others_leases: true, retried_from_leased: true, oldest: true };
}

/// Runs the queue's contract on a harness.
#[macro_export]
macro_rules! queue_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::queue, suite::DOCUMENTATION, [
            a_sent_message_is_received_once_while_its_lease_is_kept,
            a_leased_message_is_hidden_until_its_deadline,
            a_lease_that_ran_out_gives_the_message_to_another_receiver_with_a_higher_receive_count,
            extending_a_lease_moves_its_deadline,
            a_lost_lease_can_neither_be_extended_nor_settled,
            a_done_message_is_gone,
            a_retried_message_comes_back_after_its_delay_not_before,
            a_released_message_comes_back_at_once_and_its_receive_count_does_not_grow,
            a_dead_message_is_kept_aside_with_its_reason_and_is_not_received_again,
            dead_letters_are_listed_with_their_reasons_and_stay_where_they_are,
            a_redriven_message_is_received_as_if_it_had_never_been_received_before,
            redriving_moves_no_more_dead_letters_than_asked_for,
            a_trace_context_travels_with_its_message_through_retry_release_and_dead_letter,
            a_delayed_message_is_not_received_before_its_time,
            every_item_of_a_batch_has_a_result_of_its_own,
            waiting_for_a_message_ends_when_one_is_sent,
            an_empty_queue_answers_with_nothing_when_the_wait_is_over,
            depth_counts_what_is_ready_in_flight_delayed_and_dead,
            messages_survive_closing_and_opening_the_queue,
            two_receivers_never_hold_the_same_message,
            a_dropped_receive_hides_nothing_for_longer_than_its_lease,
            a_message_keeps_its_bytes_whatever_they_are,
            a_batch_of_thousands_is_sent_received_and_settled,
        ] }
    };
}

/// Compares a queue with its model; for harnesses that step time and see a message as soon as it is
/// sent.
#[macro_export]
macro_rules! queue_model {
    ($harness:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn whatever_is_done_to_it_the_queue_does_what_its_model_does() {
            $crate::contract::queue::model::agrees::<$harness>().await;
        }
    };
}

/// Long enough for a message that is there.
const SOON: Duration = Duration::from_secs(10);

/// Sends one message a body.
async fn send(queue: &dyn Queue, bodies: &[&str]) {
    let messages = bodies.iter().map(|body| Outgoing::now(body.as_bytes().to_vec())).collect();
    for sent in queue.send(messages).await {
        sent.expect("sent");
    }
}

/// Receives exactly `count` messages.
async fn take<H: QueueHarness>(queue: &dyn Queue, count: usize) -> Vec<Delivery> {
    take_for(queue, count, H::LEASE).await
}

/// Receives exactly `count` messages on longer or shorter leases.
async fn take_for(queue: &dyn Queue, count: usize, lease: Duration) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let wanted = count - taken.len();
        let more = queue.receive(wanted, SOON, lease).await.expect("received");
        assert!(!more.is_empty(), "{} of {count} messages came in time", taken.len());
        assert!(more.len() <= wanted, "no more than asked for");
        taken.extend(more);
    }
    taken
}

/// Receives exactly one message.
async fn take_one<H: QueueHarness>(queue: &dyn Queue) -> Delivery {
    take::<H>(queue, 1).await.remove(0)
}

/// Fails if a message can be received.
async fn assert_nothing<H: QueueHarness>(queue: &dyn Queue) {
    let more = queue.receive(10, H::LISTEN, H::LEASE).await.expect("received");
    let bodies: Vec<_> = more.iter().map(|delivery| delivery.body.clone()).collect();
    assert!(bodies.is_empty(), "nothing was to be received, but {bodies:?} was");
}

/// Fails unless the depth is as expected, soon: brokers count a moment behind.
async fn assert_depth(queue: &dyn Queue, expected: impl Fn(&Depth) -> bool) {
    let mut counted = Depth::default();
    for _ in 0..100 {
        counted = queue.depth().await.expect("depth");
        if expected(&counted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the depth stays at {counted:?}");
}

/// Settles one delivery; whether its lease was still held.
async fn settle(queue: &dyn Queue, receipt: &Receipt, settlement: Settlement) -> bool {
    let mut answers = queue.settle(vec![(receipt.clone(), settlement)]).await;
    assert_eq!(answers.len(), 1);
    held(answers.remove(0))
}

/// Extends one lease; whether it was still held.
async fn extend(queue: &dyn Queue, receipt: &Receipt, lease: Duration) -> bool {
    let mut answers = queue.extend(std::slice::from_ref(receipt), lease).await;
    assert_eq!(answers.len(), 1);
    held(answers.remove(0))
}

fn held(answer: Result<(), lobar_core::queue::LeaseError>) -> bool {
    match answer {
        Ok(()) => true,
        Err(lobar_core::queue::LeaseError::Lost) => false,
        Err(lobar_core::queue::LeaseError::Port(error)) => panic!("the queue failed: {error}"),
    }
}
