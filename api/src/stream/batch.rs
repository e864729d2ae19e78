//! A batch: events that follow each other, rendered once for all clients that are told of the same ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lobar_core::access::Sites;
use lobar_core::event::Event;
use lobar_core::object::ImageId;
use lobar_core::position::Position;

use super::frame::{push_image, reset};

/// Sets of sites whose text a batch keeps; clients of further ones have it made for themselves. As many batches are
/// held as clients may lag, so this bounds their memory.
const KEPT: usize = 32;

/// Events that follow each other, rendered once for all clients.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The position that this batch follows: nothing lies between it and the first event.
    pub(crate) follows: Position,
    /// Whatever a client knew, it begins anew here.
    pub(crate) resets: bool,
    last: Position,
    events: Vec<Event>,
    whole: Text,
    /// Of clients of some sites only, made when the first of them asks.
    of_sites: Mutex<HashMap<Sites, Arc<Text>>>,
}

/// Some of the events of a batch as text.
#[derive(Debug, Default)]
struct Text {
    text: Bytes,
    /// Each event with the length of the text up to its end.
    ends: Vec<(Position, usize)>,
}

impl Batch {
    /// Renders `events`, which must not be empty for the batch to have any effect.
    pub(crate) fn new(follows: Position, events: Vec<Event>) -> Self {
        let last = events.last().map_or(follows, Event::position);
        let whole = Text::of(&events);
        Self { follows, resets: false, last, events, whole, of_sites: Mutex::default() }
    }

    /// The word to load lists anew, and that what comes follows `after`.
    pub(crate) fn reset(after: Position) -> Self {
        let whole = Text { text: reset(after).into(), ends: Vec::new() };
        let (events, of_sites) = (Vec::new(), Mutex::default());
        Self { follows: after, resets: true, last: after, events, whole, of_sites }
    }

    /// The position after it.
    pub(crate) fn last(&self) -> Position {
        self.last
    }

    /// The text of its events of some sites after `position`, shared and not copied; empty when there are none.
    pub(crate) fn after(&self, position: Position, sites: &Sites) -> Bytes {
        match sites {
            Sites::All => self.whole.after(position),
            Sites::Only(_) => self.of_sites(sites).after(position),
        }
    }

    fn of_sites(&self, sites: &Sites) -> Arc<Text> {
        // Held while the text is made: of many clients of the same sites one makes it.
        let mut made = self.of_sites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = made.get(sites) {
            return Arc::clone(text);
        }
        let text = Arc::new(Text::of(self.events.iter().filter(|event| event.is_at(sites))));
        if made.len() < KEPT {
            made.insert(sites.clone(), Arc::clone(&text));
        }
        text
    }

    /// Its whole text.
    pub(crate) fn all(&self) -> Bytes {
        self.whole.text.clone()
    }

    /// Whether it may bring news of one image.
    pub(crate) fn concerns(&self, id: ImageId) -> bool {
        self.resets || self.events.iter().any(|event| event.image == id)
    }
}

impl Text {
    fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for event in events {
            push_image(&mut text, event);
            ends.push((event.position(), text.len()));
        }
        Self { text: text.into(), ends }
    }

    fn after(&self, position: Position) -> Bytes {
        let known = self.ends.partition_point(|(end, _)| end.seq() <= position.seq());
        let start = known.checked_sub(1).map_or(0, |last| self.ends[last].1);
        self.text.slice(start..)
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::access::SiteName;
    use lobar_core::event::Seq;
    use lobar_core::image::State;
    use lobar_core::time::Stamp;

    use super::super::frame::images;
    use super::*;

    fn event(seq: i64) -> Event {
        let image = ImageId(uuid::Uuid::from_u128(seq as u128));
        let (state, at) = (State::NeedsHuman, Stamp(0));
        Event { seq: Seq(seq), image, site: None, state, at, verdict: false, trace: None }
    }

    fn event_at(site: &str, seq: i64) -> Event {
        Event { site: SiteName::parse(site), ..event(seq) }
    }

    fn only(names: &[&str]) -> Sites {
        Sites::Only(names.iter().map(|name| SiteName::parse(name).expect("a name")).collect())
    }

    #[test]
    fn a_batch_gives_exactly_what_comes_after_a_position() {
        let events = [event(3), event(5), event(6)];
        let batch = Batch::new(event(2).position(), events.to_vec());
        assert_eq!(batch.last(), event(6).position());
        for bare in [false, true] {
            let after = |seq| match bare {
                true => batch.after(Position::unchecked(Seq(seq)), &Sites::All),
                false => batch.after(event(seq).position(), &Sites::All),
            };
            assert_eq!(after(2), images(&events));
            assert_eq!(after(3), images(&events[1..]));
            assert_eq!(after(4), images(&events[1..]));
            assert_eq!(after(6), "");
        }
        assert!(batch.concerns(event(5).image) && !batch.concerns(event(4).image));
    }

    #[test]
    fn a_batch_gives_clients_of_some_sites_the_events_of_these_alone() {
        let north = [event_at("north", 3), event_at("north", 6)];
        let [south, unknown] = [event_at("south", 4), event(5)];
        let [first, last] = north.clone();
        let batch = Batch::new(event(2).position(), vec![first, south.clone(), unknown, last]);
        let after = |seq, names: &[&str]| batch.after(event(seq).position(), &only(names));
        assert_eq!(after(2, &["north"]), images(&north));
        for seq in 3..=5 {
            assert_eq!(after(seq, &["north"]), images(&north[1..]));
        }
        assert_eq!(after(6, &["north"]), "");
        assert_eq!(after(2, &["south"]), images([&south]));
        assert_eq!(after(2, &["north", "south"]), images([&north[0], &south, &north[1]]));
        assert_eq!(after(2, &["nowhere"]), "");
        assert_eq!(after(2, &[]), "");
    }

    #[test]
    fn clients_of_the_same_sites_share_one_text_and_no_more_texts_are_kept_than_there_is_room_for()
    {
        let batch = Batch::new(event(2).position(), vec![event_at("north", 3), event(4)]);
        let texts: Vec<Bytes> =
            (0..1000).map(|_| batch.after(event(2).position(), &only(&["north"]))).collect();
        assert!(texts.iter().all(|text| text.as_ptr() == texts[0].as_ptr() && !text.is_empty()));
        for n in 0..2 * KEPT {
            let sites = only(&["north", &format!("site{n}")]);
            assert_eq!(batch.after(event(2).position(), &sites), texts[0]);
        }
        assert_eq!(batch.of_sites.lock().expect("no panic").len(), KEPT);
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
