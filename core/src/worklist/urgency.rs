//! In which order images should be read. Pure.
//!
//! What the network flagged goes before what it did not, and that alone makes some images wait longer than ever: in a
//! simulation of a hospital's worklist (Baltruschat et al., European Radiology 31, 2021) the longest wait rose from 890 to
//! 1,293 minutes. So there is a cap: what has waited for longer goes first, whatever was found of it.

use std::time::Duration;

use crate::image::{Lane, State};
use crate::object::ImageId;
use crate::time::Stamp;

/// What goes before what. The order is that of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// It has waited for longer than the cap.
    Overdue,
    /// The network flagged it, or whoever sent it said that it is urgent.
    Flagged,
    /// The network did not assess it; a person must look.
    NeedsHuman,
    /// Everything else: not flagged, or not assessed yet.
    Rest,
}

impl Rank {
    /// Every rank, in order.
    pub const ALL: [Self; 4] = [Self::Overdue, Self::Flagged, Self::NeedsHuman, Self::Rest];

    /// As it is kept in a page's token: 0 to 3.
    pub fn number(self) -> u8 {
        match self {
            Self::Overdue => 0,
            Self::Flagged => 1,
            Self::NeedsHuman => 2,
            Self::Rest => 3,
        }
    }

    /// The rank of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|rank| rank.number() == number)
    }
}

/// An image that waits, as far as its place depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its lane.
    pub lane: Lane,
    /// Its state.
    pub state: State,
    /// Whether its finding is flagged; `None` where there is none.
    pub flagged: Option<bool>,
    /// Since when it waits.
    pub received_at: Stamp,
}

/// What the order is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urgency {
    /// What was received before is overdue.
    pub overdue_before: Stamp,
    /// Whether flags count. They do not for a reader who must not know them: an image's place would tell.
    pub by_flag: bool,
}

impl Urgency {
    /// At a moment, with the longest that an image should wait.
    pub fn at(now: Stamp, cap: Duration, by_flag: bool) -> Self {
        Self { overdue_before: now.minus(cap), by_flag }
    }

    /// The rank of an image.
    pub fn rank(&self, waiting: &Waiting) -> Rank {
        let flagged = self.by_flag && waiting.flagged == Some(true);
        match waiting.state {
            _ if waiting.received_at < self.overdue_before => Rank::Overdue,
            _ if flagged || waiting.lane == Lane::Stat => Rank::Flagged,
            State::NeedsHuman | State::Failed => Rank::NeedsHuman,
            _ => Rank::Rest,
        }
    }
}

/// An image's place in the order; where a page ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its rank.
    pub rank: Rank,
    /// When it was received: the oldest first.
    pub received_at: Stamp,
    /// Its id, for those of one moment.
    pub id: ImageId,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn waiting(lane: Lane, state: State, flagged: Option<bool>, hours: u32) -> Waiting {
        Waiting { lane, state, flagged, received_at: Stamp(0).minus(HOUR * hours) }
    }

    #[test]
    fn the_longest_wait_goes_before_every_finding() {
        let urgency = Urgency::at(Stamp(0), HOUR * 8, true);
        let (routine, stat) = (Lane::Routine, Lane::Stat);
        for (image, rank) in [
            (waiting(routine, State::Ready, Some(false), 9), Rank::Overdue),
            (waiting(stat, State::Ready, Some(true), 9), Rank::Overdue),
            (waiting(routine, State::Queued, None, 9), Rank::Overdue),
            (waiting(routine, State::Ready, Some(true), 8), Rank::Flagged),
            (waiting(stat, State::Ready, Some(false), 1), Rank::Flagged),
            (waiting(stat, State::NeedsHuman, None, 1), Rank::Flagged),
            (waiting(routine, State::NeedsHuman, None, 1), Rank::NeedsHuman),
            (waiting(routine, State::Failed, None, 1), Rank::NeedsHuman),
            (waiting(routine, State::Ready, Some(false), 1), Rank::Rest),
            (waiting(routine, State::Analysing, None, 1), Rank::Rest),
        ] {
            assert_eq!(urgency.rank(&image), rank, "{image:?}");
        }
    }

    #[test]
    fn who_must_not_know_flags_gets_an_order_without_them() {
        let urgency = Urgency::at(Stamp(0), HOUR * 8, false);
        for lane in Lane::ALL {
            for hours in [1, 9] {
                let flagged = waiting(lane, State::Ready, Some(true), hours);
                let not = waiting(lane, State::Ready, Some(false), hours);
                assert_eq!(urgency.rank(&flagged), urgency.rank(&not));
            }
        }
    }

    #[test]
    fn every_rank_reads_back_from_its_number_in_order() {
        for rank in Rank::ALL {
            assert_eq!(Rank::of_number(rank.number()), Some(rank));
        }
        assert_eq!(Rank::of_number(4), None);
        assert!(Rank::ALL.is_sorted_by(|one, other| one < other && one.number() < other.number()));
    }
}
