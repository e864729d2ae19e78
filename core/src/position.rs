//! Positions in the event log: where a reader is.
//!
//! A sequence number alone does not say where a reader is. After a restore from a backup, or the failover to a standby
//! that lagged, the store gives numbers again that it had given before, to other events. So a position is the number
//! of an event and five check digits of the event itself (as in an IBAN), written as one whole number that grows with
//! the log:
//!
//! ```text
//! 60 30512        event 60, whose image and time come to 30512: written 6030512
//! ```
//!
//! Whoever resumes at a position is asked whether the log has that very event
//! ([`Store::resume`](crate::store::Store::resume)).

use std::fmt;

use uuid::Uuid;

use crate::event::{Event, Seq};

/// Room for the check digits; 0 means that there are none.
const CHECKS: i64 = 100_000;

/// After an event of the log, or before all of them. Positions of one log are ordered as its events are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(i64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// After an event.
    pub fn of(event: &Event) -> Self {
        let digits = Uuid::new_v5(&event.image.0, &event.at.0.to_be_bytes()).as_u128();
        let digits = digits % (CHECKS as u128 - 1) + 1;
        Self::after(event.seq, digits as i64)
    }

    /// After the event of a number, whichever it is: without check digits.
    pub fn unchecked(seq: Seq) -> Self {
        Self::after(seq, 0)
    }

    fn after(seq: Seq, digits: i64) -> Self {
        Self(seq.0.max(0).saturating_mul(CHECKS).saturating_add(digits))
    }

    /// The number of the event.
    pub fn seq(self) -> Seq {
        Seq(self.0 / CHECKS)
    }

    /// Whether it has check digits.
    pub fn is_checked(self) -> bool {
        self.0 % CHECKS != 0
    }

    /// Whether it is the position after this event, as far as it says.
    pub fn is_after(self, event: &Event) -> bool {
        self.seq() == event.seq && (!self.is_checked() || self == Self::of(event))
    }

    /// As one number, 0 or more: below 2^53, which JavaScript and Lua count up to, for 90 thousand million events.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Of [`Position::number`]; a negative one is the start.
    pub fn from_number(number: i64) -> Self {
        Self(number.max(0))
    }

    /// As a client writes it. A number of up to five digits is the bare number of an event, as releases up to 0.1 sent
    /// them; a longer one of theirs is taken for a position, whose check digits will not be right.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.parse::<i64>().ok().filter(|number| *number >= 0)?;
        Some(if number < CHECKS { Self::unchecked(Seq(number)) } else { Self(number) })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::State;
    use crate::object::ImageId;
    use crate::time::Stamp;

    fn event(seq: i64, image: u128, at: i64) -> Event {
        let image = ImageId(Uuid::from_u128(image));
        Event {
            seq: Seq(seq),
            image,
            site: None,
            state: State::Ready,
            verdict: false,
            at: Stamp(at),
            trace: None,
        }
    }

    #[test]
    fn a_position_names_its_event_and_no_other_of_the_same_number() {
        let known = event(60, 7, 1_700_000_000_000_000);
        let position = Position::of(&known);
        assert!(position.is_after(&known) && position.seq() == Seq(60));
        // What a position is may not change from release to release.
        assert_eq!(position.number(), 6_030_512);
        for other in [
            event(61, 7, 1_700_000_000_000_000),
            event(60, 8, 1_700_000_000_000_000),
            event(60, 7, 1_700_000_000_000_001),
        ] {
            assert!(!position.is_after(&other), "{other:?}");
        }
        // The state is left out: a release that cannot read it must come to the same.
        assert!(position.is_after(&Event { state: State::NeedsHuman, ..known }));
    }

    #[test]
    fn positions_are_ordered_as_their_events_and_read_back() {
        let mut last = Position::START;
        for seq in 1..2_000 {
            let position = Position::of(&event(seq, 3, seq));
            assert!(position > last && position.is_checked());
            assert!(position > Position::unchecked(Seq(seq)));
            assert_eq!(Position::parse(&position.to_string()), Some(position));
            assert_eq!(Position::from_number(position.number()), position);
            last = position;
        }
    }

    #[test]
    fn the_bare_number_of_an_event_is_a_position_too_and_garbage_is_none() {
        assert_eq!(Position::parse("60"), Some(Position::unchecked(Seq(60))));
        assert_eq!(Position::parse("0"), Some(Position::START));
        assert!(Position::parse("60").expect("read").is_after(&event(60, 1, 1)));
        for bad in ["-1", "x", "1.5", "", "99999999999999999999"] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
        let largest = Position::parse(&i64::MAX.to_string()).expect("read");
        assert_eq!(largest.number(), i64::MAX);
    }
}
