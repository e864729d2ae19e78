//! The follower: the one task per process that reads new events from the store and broadcasts them.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use lobar_core::event::Event;
use lobar_core::image::State;
use lobar_core::position::Position;
use lobar_core::signal::Signal;
use lobar_core::store::{Resumed, Store};
use lobar_core::time::{Clock, Stamp};
use prometheus::Histogram;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use tracing::field::display;

use super::batch::Batch;
use super::hub::{Hub, PAGE};
use crate::readiness::Check;
use crate::response_cache::ResponseCache;
use lobar_core::scaling::Throughput;

/// What the follower works with.
pub(crate) struct Follower {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) signal: Arc<dyn Signal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) answers: Arc<ResponseCache>,
    /// Images that are admitted.
    pub(crate) arrivals: Arc<Throughput>,
    /// Images that workers finish.
    pub(crate) throughput: Arc<Throughput>,
    /// From an event's transaction to the clients.
    pub(crate) delays: Histogram,
    pub(crate) check: Check,
    pub(crate) poll: Duration,
}

/// Reads after every signal, and every `poll` since signals may be lost, until `stop`.
pub(crate) async fn follow(follower: Follower, stop: CancellationToken) {
    let work = async {
        let mut signals = follower.subscribe().await;
        loop {
            let began = Instant::now();
            follower.read().await;
            match timeout(follower.poll, signals.next()).await {
                // At once after a quiet time.
                Ok(Some(())) => sleep_until(began + gap(follower.hub.clients.get())).await,
                Ok(None) => {
                    sleep(follower.poll).await;
                    signals = follower.subscribe().await;
                }
                Err(_) => {}
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// The least time between two reads. Signals that arrive close together share one read and one
/// batch: writing to each of many clients is what costs. 1 ms for a few clients, 100 ms for ten
/// thousand.
fn gap(clients: i64) -> Duration {
    Duration::from_micros(u64::try_from(clients).unwrap_or(0) * 10).max(Duration::from_millis(1))
}

/// The span of handing an event to every client; none where the work before it was not traced.
fn push_span(event: &Event) -> Option<Span> {
    event.trace?;
    let (image, state) = (display(event.image), event.state.as_str());
    let span = tracing::info_span!(parent: None, "push", image, state);
    lobar_trace::continue_from(&span, event.trace);
    // Begins now, although nothing runs in it.
    lobar_trace::context(&span);
    span.in_scope(|| tracing::debug!("event handed to the clients"));
    Some(span)
}

/// Whether a worker brought an image to this state.
fn is_worked_off(state: State) -> bool {
    matches!(state, State::Ready | State::NeedsHuman | State::Failed)
}

impl Follower {
    /// Without a subscription the poll alone finds events.
    async fn subscribe(&self) -> BoxStream<'static, ()> {
        match self.signal.subscribe().await {
            Ok(signals) => signals,
            Err(error) => {
                tracing::warn!(%error, "signal not subscribed to: events are found by polling until it is");
                stream::empty().boxed()
            }
        }
    }

    fn count(&self, events: &[Event]) {
        // A verdict is no work.
        for event in events.iter().filter(|event| !event.verdict) {
            if event.state == State::Queued {
                self.arrivals.count(1, event.at);
            } else if is_worked_off(event.state) {
                self.throughput.count(1, event.at);
            }
        }
    }

    /// What was followed is not what the store holds now: nothing that clients and caches know can be relied on.
    fn begin_anew(&self, after: Position) {
        tracing::warn!(
            "the store's events do not join those that were followed: it was restored to an earlier state, or events \
             were pruned before they were read; every client is told to load its lists anew"
        );
        self.answers.begin_anew();
        self.hub.hand_out(Batch::reset(after));
    }

    /// Everything new, page by page.
    async fn read(&self) {
        loop {
            let follows = self.hub.position();
            let read = self.store.resume(follows, PAGE).await;
            let was_stale = self.hub.stale_since().is_some();
            self.hub.note_read(read.is_ok(), self.clock.now());
            match read {
                Ok(resumed) => {
                    self.check.pass();
                    if was_stale {
                        tracing::info!("event stream resumed: the store answers");
                    }
                    let events = match resumed {
                        Resumed::Joined(events) => events,
                        Resumed::Unknown { newest: after } | Resumed::Pruned { after } => {
                            return self.begin_anew(after);
                        }
                    };
                    self.count(&events);
                    let full = events.len() == PAGE;
                    if !events.is_empty() {
                        self.answers.note(&events);
                        let spans: Vec<_> = events.iter().filter_map(push_span).collect();
                        let forgotten = self.answers.outdated_by(&events);
                        let written: Vec<Stamp> = events.iter().map(|event| event.at).collect();
                        self.hub.hand_out(Batch::new(follows, events));
                        drop(spans);
                        let now = self.clock.now();
                        let delays = written.into_iter().map(|at| now.since(at).as_secs_f64());
                        delays.for_each(|delay| self.delays.observe(delay));
                        self.answers.forget(&forgotten).await;
                    }
                    if !full {
                        return;
                    }
                }
                Err(error) => {
                    self.check.fail("events cannot be read from the store");
                    if !was_stale {
                        tracing::warn!(%error, "event stream paused: the store does not answer; reading again at the next signal or poll");
                    }
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_clients_there_are_the_longer_signals_are_gathered() {
        assert_eq!(gap(0), Duration::from_millis(1));
        assert_eq!(gap(10_000), Duration::from_millis(100));
    }
}
