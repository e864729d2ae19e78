//! Events as the text of an event stream
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::fmt::Write as _;

use bytes::Bytes;
use lobar_core::event::{Event, Seq};
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;

use crate::timestamp::rfc3339;

/// A comment, so that both ends know that the connection lives.
pub(crate) const HEARTBEAT: Bytes = Bytes::from_static(b": heartbeat\n\n");
/// The first bytes of every stream: how long a client waits before it comes back, in ms.
pub(crate) const OPENING: &str = "retry: 2000\n: open\n\n";
/// The last bytes of every stream that the server ends.
pub(crate) const GOODBYE: Bytes =
    Bytes::from_static(b"event: goodbye\ndata: {\"why\":\"the server is stopping\"}\n\n");

/// One image's change of state.
fn push_image(text: &mut String, event: &Event) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "id: {}\nevent: image\ndata: {{\"id\":\"{}\",\"status\":\"{}\"}}\n\n",
        event.seq.0, event.image, event.state
    );
}

/// Several changes in order.
pub(crate) fn images(events: &[Event]) -> Bytes {
    let mut text = String::with_capacity(events.len() * 112);
    events.iter().for_each(|event| push_image(&mut text, event));
    text.into()
}

/// What the client knows does not join what follows: it must load its lists anew.
pub(crate) fn reset(goes_on_after: Seq) -> String {
    let after = goes_on_after.0;
    format!("id: {after}\nevent: reset\ndata: {{\"after\":{after}}}\n\n")
}

/// The store could not be read since `since`: silence means nothing now.
pub(crate) fn stale(since: Stamp) -> String {
    format!("event: stale\ndata: {{\"since\":\"{}\"}}\n\n", rfc3339(since))
}

/// Events that follow each other, rendered once for all clients.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The position that this batch follows: nothing lies between it and the first event.
    pub(crate) follows: Seq,
    text: Bytes,
    /// Each event with the length of the text up to its end.
    ends: Vec<(Seq, usize)>,
    changes: Vec<(ImageId, State)>,
}

impl Batch {
    /// Renders `events`, which must not be empty for the batch to have any effect.
    pub(crate) fn new(follows: Seq, events: &[Event]) -> Self {
        let mut text = String::with_capacity(events.len() * 112);
        let mut ends = Vec::with_capacity(events.len());
        for event in events {
            push_image(&mut text, event);
            ends.push((event.seq, text.len()));
        }
        let changes = events.iter().map(|event| (event.image, event.state)).collect();
        Self { follows, text: text.into(), ends, changes }
    }

    /// The last event's number.
    pub(crate) fn last(&self) -> Seq {
        self.ends.last().map_or(self.follows, |(seq, _)| *seq)
    }

    /// The text of what comes after `position`; shared, not copied.
    pub(crate) fn after(&self, position: Seq) -> Bytes {
        let known = self.ends.partition_point(|(seq, _)| *seq <= position);
        let start = known.checked_sub(1).map_or(0, |last| self.ends[last].1);
        self.text.slice(start..)
    }

    /// Whether it brings news of one image.
    pub(crate) fn concerns(&self, id: ImageId) -> bool {
        self.changes.iter().any(|(image, _)| *image == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64) -> Event {
        let image = ImageId(uuid::Uuid::from_u128(seq as u128));
        Event {
            seq: Seq(seq),
            image,
            state: State::NeedsHuman,
            at: Stamp(0),
            verdict: false,
            trace: None,
        }
    }

    #[test]
    fn an_event_is_framed_with_its_number_and_holds_id_and_status_only() {
        assert_eq!(
            images(&[event(7)]),
            "id: 7\nevent: image\ndata: {\"id\":\"00000000-0000-0000-0000-000000000007\",\
             \"status\":\"needs_human\"}\n\n"
        );
    }

    #[test]
    fn a_batch_gives_exactly_what_comes_after_a_position() {
        let events = [event(3), event(5), event(6)];
        let batch = Batch::new(Seq(2), &events);
        assert_eq!(batch.last(), Seq(6));
        assert_eq!(batch.after(Seq(2)), images(&events));
        assert_eq!(batch.after(Seq(3)), images(&events[1..]));
        assert_eq!(batch.after(Seq(4)), images(&events[1..]));
        assert_eq!(batch.after(Seq(6)), "");
        assert!(batch.concerns(event(5).image) && !batch.concerns(event(4).image));
    }
}
