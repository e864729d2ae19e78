//! Presence's contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::presence::{Presence, PresentWorker, WorkerLoad};
use uuid::Uuid;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../core/src/presence.rs");

/// An adapter under test.
#[async_trait]
pub trait PresenceHarness: Sized + Send + Sync {
    /// A presence service that nobody has used, and that knows already who is there: nobody.
    async fn start() -> Self;
    /// A handle on it, as another process has one.
    async fn open(&self) -> Arc<dyn Presence>;
}

/// Runs presence's contract on a harness.
#[macro_export]
macro_rules! presence_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::presence, suite::DOCUMENTATION, [
            a_worker_that_announced_itself_is_known_to_everyone_with_what_it_does,
            a_worker_that_announces_itself_again_is_known_once_with_what_it_said_last,
            a_worker_that_leaves_is_gone_at_once,
            a_worker_that_falls_silent_is_gone_by_itself,
            one_worker_s_silence_does_not_end_another,
            leaving_without_having_come_is_no_error,
        ] }
    };
}

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Long enough for a busy machine to look before it is over.
const SHORT: Duration = Duration::from_millis(700);

fn load(in_flight: usize) -> WorkerLoad {
    let seconds_per_image = (in_flight > 0).then_some(0.0625);
    WorkerLoad { busy: 0.75, images_per_second: 12.5, seconds_per_image, in_flight }
}

async fn members(presence: &dyn Presence) -> Vec<PresentWorker> {
    let mut members = presence.workers().await.expect("known");
    members.sort_by_key(|member| member.worker);
    members
}

async fn heartbeat(presence: &dyn Presence, worker: Uuid, in_flight: usize) {
    presence.heartbeat(worker, &load(in_flight), LONG).await.expect("announced");
}

fn worker(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn member(n: u128, in_flight: usize) -> PresentWorker {
    PresentWorker { worker: worker(n), load: load(in_flight) }
}

#[allow(missing_docs)]
pub async fn a_worker_that_announced_itself_is_known_to_everyone_with_what_it_does<
    H: PresenceHarness,
>() {
    let harness = H::start().await;
    let (one, other) = (harness.open().await, harness.open().await);
    assert_eq!(members(&*other).await, []);
    heartbeat(&*one, worker(1), 0).await;
    heartbeat(&*other, worker(2), 5).await;
    let both = [member(1, 0), member(2, 5)];
    assert_eq!(members(&*one).await, both);
    assert_eq!(members(&*other).await, both);
}

#[allow(missing_docs)]
pub async fn a_worker_that_announces_itself_again_is_known_once_with_what_it_said_last<
    H: PresenceHarness,
>() {
    let harness = H::start().await;
    let presence = harness.open().await;
    for in_flight in 0..3 {
        heartbeat(&*presence, worker(1), in_flight).await;
        assert_eq!(members(&*presence).await, [member(1, in_flight)]);
    }
}

#[allow(missing_docs)]
pub async fn a_worker_that_leaves_is_gone_at_once<H: PresenceHarness>() {
    let harness = H::start().await;
    let (one, other) = (harness.open().await, harness.open().await);
    heartbeat(&*one, worker(1), 0).await;
    heartbeat(&*other, worker(2), 0).await;
    one.leave(worker(1)).await.expect("left");
    assert_eq!(members(&*other).await, [member(2, 0)]);
    heartbeat(&*one, worker(1), 3).await;
    assert_eq!(members(&*other).await, [member(1, 3), member(2, 0)], "and may come again");
}

#[allow(missing_docs)]
pub async fn a_worker_that_falls_silent_is_gone_by_itself<H: PresenceHarness>() {
    let harness = H::start().await;
    let presence = harness.open().await;
    let began = std::time::Instant::now();
    presence.heartbeat(worker(1), &load(1), SHORT).await.expect("announced");
    while !members(&*presence).await.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "it stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() >= SHORT / 2, "after {:?} already", began.elapsed());
}

#[allow(missing_docs)]
pub async fn one_worker_s_silence_does_not_end_another<H: PresenceHarness>() {
    let harness = H::start().await;
    let presence = harness.open().await;
    presence.heartbeat(worker(1), &load(1), SHORT).await.expect("announced");
    heartbeat(&*presence, worker(2), 2).await;
    let began = std::time::Instant::now();
    while members(&*presence).await.len() > 1 {
        assert!(began.elapsed() < Duration::from_secs(60), "it stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(members(&*presence).await, [member(2, 2)]);
}

#[allow(missing_docs)]
pub async fn leaving_without_having_come_is_no_error<H: PresenceHarness>() {
    let harness = H::start().await;
    let presence = harness.open().await;
    presence.leave(worker(1)).await.expect("nothing to do");
    assert_eq!(members(&*presence).await, []);
}
