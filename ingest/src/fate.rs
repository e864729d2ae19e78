//! What is to become of the messages of one batch.

use std::collections::HashMap;

use lobar_core::object::ImageId;
use lobar_core::queue::{Delivery, Settlement};
use lobar_core::retry::Backoff;
use lobar_core::trace::TraceContext;
use lobar_trace::Ongoing;
use tracing::Span;

/// The worst that happened to any item of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Everything that it says is durable.
    Done,
    /// The same, but something of it went to quarantine and is not analysed.
    Quarantined,
    /// Something of it failed for now.
    Retry,
    /// Something of it is rejected for good, and could not be kept in the store's quarantine.
    Dead(&'static str),
}

/// How a message is to be settled.
pub(crate) struct Ending {
    pub(crate) settlement: Settlement,
    /// The word used in metrics.
    pub(crate) outcome: &'static str,
}

impl Ending {
    /// It comes again at once, uncounted.
    pub(crate) fn released() -> Self {
        Self { settlement: Settlement::Release, outcome: "released" }
    }
}

/// One fate a message, in order.
pub(crate) struct Fates<'a> {
    batch: &'a [Delivery],
    fates: Vec<Fate>,
    /// Work on each image, from the reading of its record until all of the batch is durable.
    spans: HashMap<ImageId, (Ongoing, Option<TraceContext>)>,
}

impl<'a> Fates<'a> {
    pub(crate) fn new(batch: &'a [Delivery]) -> Self {
        Self { batch, fates: vec![Fate::Done; batch.len()], spans: HashMap::new() }
    }

    /// The message in this place.
    pub(crate) fn message(&self, place: usize) -> Option<&'a Delivery> {
        self.batch.get(place)
    }

    /// How often it was received.
    pub(crate) fn received(&self, place: usize) -> u32 {
        self.message(place).map_or(u32::MAX, |message| message.receive_count)
    }

    /// What its sender says that work on it continues.
    pub(crate) fn upstream(&self, place: usize) -> Option<TraceContext> {
        self.message(place).and_then(|message| message.trace)
    }

    /// Keeps the span of work on an image that a message names.
    pub(crate) fn traced(&mut self, place: usize, image: ImageId, span: Span) {
        self.spans.insert(image, (Ongoing::new(span), self.upstream(place)));
    }

    /// What the job of an image continues. Where nothing is recorded here, it is what its message did.
    pub(crate) fn trace(&self, image: ImageId) -> Option<TraceContext> {
        let (span, upstream) = self.spans.get(&image)?;
        let trace = lobar_trace::trace_id(span);
        span.in_scope(|| tracing::debug!(trace, "image admitted; its job is sent next"));
        lobar_trace::context(span).or(*upstream)
    }

    /// It is to come again later.
    pub(crate) fn retry(&mut self, place: usize) {
        self.worsen(place, Fate::Retry);
    }

    /// Something of it is in quarantine.
    pub(crate) fn quarantined(&mut self, place: usize) {
        self.worsen(place, Fate::Quarantined);
    }

    /// It is to be put aside on the dead-letter queue.
    pub(crate) fn dead(&mut self, place: usize, reason: &'static str) {
        self.worsen(place, Fate::Dead(reason));
    }

    fn worsen(&mut self, place: usize, fate: Fate) {
        if let Some(known) = self.fates.get_mut(place) {
            *known = fate.max(*known);
        }
    }

    /// How each message is to be settled.
    pub(crate) fn endings(&self, backoff: Backoff) -> Vec<Ending> {
        let ending = |(fate, message): (&Fate, &Delivery)| {
            let (settlement, outcome) = match fate {
                Fate::Done => (Settlement::Done, "done"),
                Fate::Quarantined => (Settlement::Done, "quarantined"),
                Fate::Retry => {
                    let tries = message.receive_count.saturating_sub(1);
                    let after = backoff.delay(tries, rand::random());
                    (Settlement::Retry { after }, "retried")
                }
                Fate::Dead(reason) => (Settlement::Dead { reason: (*reason).into() }, "dead"),
            };
            Ending { settlement, outcome }
        };
        self.fates.iter().zip(self.batch).map(ending).collect()
    }
}
