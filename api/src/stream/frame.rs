//! Events as the text of an event stream
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::fmt::Write as _;

use bytes::Bytes;
use lobar_core::event::Event;
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::position::Position;
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
        event.position(),
        event.image,
        event.state
    );
}

/// Several changes in order.
pub(crate) fn images(events: &[Event]) -> Bytes {
    let mut text = String::with_capacity(events.len() * 112);
    events.iter().for_each(|event| push_image(&mut text, event));
    text.into()
}

/// What the client knows does not join what follows: it must load its lists anew.
pub(crate) fn reset(after: Position) -> String {
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
    pub(crate) follows: Position,
    /// Whatever a client knew, it begins anew here.
    pub(crate) resets: bool,
    text: Bytes,
    /// Each event with the length of the text up to its end.
    ends: Vec<(Position, usize)>,
    changes: Vec<(ImageId, State)>,
}

impl Batch {
    /// Renders `events`, which must not be empty for the batch to have any effect.
    pub(crate) fn new(follows: Position, events: &[Event]) -> Self {
        let mut text = String::with_capacity(events.len() * 112);
        let mut ends = Vec::with_capacity(events.len());
        for event in events {
            push_image(&mut text, event);
            ends.push((event.position(), text.len()));
        }
        let changes = events.iter().map(|event| (event.image, event.state)).collect();
        Self { follows, resets: false, text: text.into(), ends, changes }
    }

    /// The word to load lists anew, and that what comes follows `after`.
    pub(crate) fn reset(after: Position) -> Self {
        let (ends, changes) = (Vec::new(), Vec::new());
        Self { follows: after, resets: true, text: reset(after).into(), ends, changes }
    }

    /// The position after it.
    pub(crate) fn last(&self) -> Position {
        self.ends.last().map_or(self.follows, |(position, _)| *position)
    }

    /// The text of what comes after `position`; shared, not copied.
    pub(crate) fn after(&self, position: Position) -> Bytes {
        let known = self.ends.partition_point(|(end, _)| end.seq() <= position.seq());
        let start = known.checked_sub(1).map_or(0, |last| self.ends[last].1);
        self.text.slice(start..)
    }

    /// Its whole text.
    pub(crate) fn all(&self) -> Bytes {
        self.text.clone()
    }

    /// Whether it may bring news of one image.
    pub(crate) fn concerns(&self, id: ImageId) -> bool {
        self.resets || self.changes.iter().any(|(image, _)| *image == id)
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::event::Seq;

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
    fn an_event_is_framed_with_its_position_and_holds_id_and_status_only() {
        let position = event(7).position();
        assert_eq!(position.seq(), Seq(7));
        assert_eq!(
            images(&[event(7)]),
            format!(
                "id: {position}\nevent: image\n\
                 data: {{\"id\":\"00000000-0000-0000-0000-000000000007\",\"status\":\"needs_human\"}}\n\n"
            )
        );
    }

    #[test]
    fn a_batch_gives_exactly_what_comes_after_a_position() {
        let events = [event(3), event(5), event(6)];
        let batch = Batch::new(event(2).position(), &events);
        assert_eq!(batch.last(), event(6).position());
        for bare in [false, true] {
            let after = |seq| match bare {
                true => batch.after(Position::unchecked(Seq(seq))),
                false => batch.after(event(seq).position()),
            };
            assert_eq!(after(2), images(&events));
            assert_eq!(after(3), images(&events[1..]));
            assert_eq!(after(4), images(&events[1..]));
            assert_eq!(after(6), "");
        }
        assert!(batch.concerns(event(5).image) && !batch.concerns(event(4).image));
    }

    #[test]
    fn a_reset_says_where_the_stream_goes_on_and_concerns_everybody() {
        let batch = Batch::reset(event(3).position());
        let after = event(3).position();
        assert_eq!(batch.last(), after);
        assert_eq!(
            batch.all(),
            format!("id: {after}\nevent: reset\ndata: {{\"after\":{after}}}\n\n")
        );
        assert!(batch.concerns(event(4).image));
    }
}
