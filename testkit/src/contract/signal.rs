//! The signal's contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use lobar_core::signal::Signal;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../core/src/signal.rs");

/// An adapter under test.
#[async_trait]
pub trait SignalHarness: Sized + Send + Sync {
    /// Publications that must not take seconds although nobody takes them up.
    const FLOOD: usize;

    /// A signal that nobody has used.
    async fn start() -> Self;
    /// A handle on it, as another role or process has one.
    async fn open(&self) -> Arc<dyn Signal>;
}

/// Runs the signal's contract on a harness.
#[macro_export]
macro_rules! signal_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::signal, suite::DOCUMENTATION, [
            a_subscriber_hears_of_what_is_published_after_it_subscribed,
            every_subscriber_hears_of_it,
            publishing_without_subscribers_is_no_error,
            a_slow_subscriber_delays_nobody_and_still_hears_that_something_changed,
        ] }
    };
}

/// Long enough for a signal that comes at all.
const SOON: Duration = Duration::from_secs(20);

async fn heard(stream: &mut BoxStream<'static, ()>) -> bool {
    matches!(tokio::time::timeout(SOON, stream.next()).await, Ok(Some(())))
}

#[allow(missing_docs)]
pub async fn a_subscriber_hears_of_what_is_published_after_it_subscribed<H: SignalHarness>() {
    let harness = H::start().await;
    let (publisher, subscriber) = (harness.open().await, harness.open().await);
    let mut stream = subscriber.subscribe().await.expect("subscribed");
    for _ in 0..3 {
        publisher.publish().await.expect("published");
        assert!(heard(&mut stream).await);
    }
}

#[allow(missing_docs)]
pub async fn every_subscriber_hears_of_it<H: SignalHarness>() {
    let harness = H::start().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(harness.open().await.subscribe().await.expect("subscribed"));
    }
    harness.open().await.publish().await.expect("published");
    for stream in &mut streams {
        assert!(heard(stream).await);
    }
}

#[allow(missing_docs)]
pub async fn publishing_without_subscribers_is_no_error<H: SignalHarness>() {
    let harness = H::start().await;
    let signal = harness.open().await;
    signal.publish().await.expect("published to nobody");
    drop(signal.subscribe().await.expect("subscribed"));
    signal.publish().await.expect("published after the only subscriber left");
}

#[allow(missing_docs)]
pub async fn a_slow_subscriber_delays_nobody_and_still_hears_that_something_changed<
    H: SignalHarness,
>() {
    let harness = H::start().await;
    let signal = harness.open().await;
    let mut slow = signal.subscribe().await.expect("subscribed");
    let mut quick = signal.subscribe().await.expect("subscribed");
    let publishing = async {
        for _ in 0..H::FLOOD {
            signal.publish().await.expect("published");
        }
    };
    tokio::time::timeout(SOON, publishing).await.expect("nobody waits for the slow one");
    assert!(heard(&mut quick).await);
    assert!(heard(&mut slow).await);
}
