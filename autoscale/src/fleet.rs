//! Which of the worker processes is to start, to drain, or to wait after a crash. Pure.

use std::time::Duration;

use lobar_core::retry::Backoff;
use lobar_core::time::Stamp;

/// Waits between the starts of a process that keeps ending by itself.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };
/// A process that ran for so long and then ended counts as one that had not ended before.
const STABLE: Duration = Duration::from_secs(60);

/// What is to be done with the process of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start it.
    Start(usize),
    /// Tell it to finish what it has in hand and end.
    Drain(usize),
}

/// Processes by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Started, and not told to end.
    pub running: u32,
    /// Told to end, and finishing what they have in hand.
    pub draining: u32,
    /// Ended by themselves, and to be started again later.
    pub backing_off: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Empty,
    Running { since: Stamp },
    Draining,
    BackingOff { until: Stamp },
}

/// A place for one process: a GPU, or a group of cores.
#[derive(Clone, Copy, Debug)]
struct Slot {
    state: State,
    /// How often its process ended by itself, one time after the other.
    crashes: u32,
}

/// The places of a machine, and what their processes do.
#[derive(Debug)]
pub struct Fleet(Vec<Slot>);

impl Fleet {
    /// So many places without a process.
    pub fn new(places: usize) -> Self {
        Self(vec![Slot { state: State::Empty, crashes: 0 }; places])
    }

    /// What is to be done so that `wanted` processes run. What it answers counts as done.
    ///
    /// A place whose process crashed is passed over until its wait is over: where one GPU is at fault, another is
    /// used. One that is draining is never called back. The process that was started last is drained first.
    pub fn steps(&mut self, wanted: u32, now: Stamp) -> Vec<Step> {
        for slot in &mut self.0 {
            if matches!(slot.state, State::BackingOff { until } if until <= now) {
                slot.state = State::Empty;
            }
        }
        let running = self.counts().running;
        let mut steps = Vec::new();
        for _ in running..wanted {
            let empty = self.places(|state| matches!(state, State::Empty));
            let Some(place) = empty.min_by_key(|place| (self.0[*place].crashes, *place)) else {
                break;
            };
            self.0[place].state = State::Running { since: now };
            steps.push(Step::Start(place));
        }
        for _ in wanted..running {
            let running = self.places(|state| matches!(state, State::Running { .. }));
            let Some(place) = running.max_by_key(|place| (self.since(*place), *place)) else {
                break;
            };
            self.0[place].state = State::Draining;
            steps.push(Step::Drain(place));
        }
        steps
    }

    /// The process of `place` has ended, or could not be started. `jitter` is random in 0..=1. Answers how long the
    /// place waits where it was not told to.
    pub fn ended(&mut self, place: usize, now: Stamp, jitter: f64) -> Option<Duration> {
        let slot = &mut self.0[place];
        let State::Running { since } = slot.state else {
            *slot = Slot { state: State::Empty, crashes: 0 };
            return None;
        };
        if now.since(since) >= STABLE {
            slot.crashes = 0;
        }
        let wait = BACKOFF.delay(slot.crashes, jitter);
        let until =
            Stamp(now.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)));
        *slot = Slot { state: State::BackingOff { until }, crashes: slot.crashes + 1 };
        Some(wait)
    }

    /// Processes by what they do.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for slot in &self.0 {
            match slot.state {
                State::Empty => {}
                State::Running { .. } => counts.running += 1,
                State::Draining => counts.draining += 1,
                State::BackingOff { .. } => counts.backing_off += 1,
            }
        }
        counts
    }

    fn places(&self, is: impl Fn(State) -> bool) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(move |(_, slot)| is(slot.state)).map(|(place, _)| place)
    }

    fn since(&self, place: usize) -> Option<Stamp> {
        match self.0[place].state {
            State::Running { since } => Some(since),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Drain, Start};

    fn at(seconds: i64) -> Stamp {
        Stamp(seconds * 1_000_000)
    }

    #[test]
    fn what_is_wanted_is_started_once() {
        let mut fleet = Fleet::new(4);
        assert_eq!(fleet.steps(2, at(0)), [Start(0), Start(1)]);
        assert_eq!(fleet.steps(2, at(1)), []);
        assert_eq!(fleet.steps(9, at(2)), [Start(2), Start(3)]);
        assert_eq!(fleet.counts(), Counts { running: 4, ..Counts::default() });
    }

    #[test]
    fn the_one_that_was_started_last_is_drained_first_and_is_not_called_back() {
        let mut fleet = Fleet::new(3);
        fleet.steps(1, at(0));
        fleet.steps(3, at(1));
        assert_eq!(fleet.steps(1, at(2)), [Drain(2), Drain(1)]);
        assert_eq!(fleet.steps(2, at(3)), [], "its place is not free before it has ended");
        assert_eq!(fleet.ended(1, at(4), 1.0), None);
        assert_eq!(fleet.steps(2, at(5)), [Start(1)]);
    }

    #[test]
    fn one_that_keeps_ending_waits_twice_as_long_each_time_and_another_place_is_used() {
        let mut fleet = Fleet::new(2);
        fleet.steps(1, at(0));
        assert_eq!(fleet.ended(0, at(0), 1.0), Some(Duration::from_secs(1)));
        assert_eq!(fleet.steps(1, at(0)), [Start(1)]);
        assert_eq!(fleet.ended(1, at(0), 1.0), Some(Duration::from_secs(1)));
        assert_eq!(fleet.steps(1, at(0)), []);
        assert_eq!(fleet.counts(), Counts { backing_off: 2, ..Counts::default() });
        assert_eq!(fleet.steps(1, at(1)), [Start(0)]);
        assert_eq!(fleet.ended(0, at(1), 1.0), Some(Duration::from_secs(2)));
        assert_eq!(fleet.steps(1, at(1)), [Start(1)], "the one that crashed less often");
        for crashes in 2..12 {
            let wait = fleet.ended(1, at(1), 1.0);
            assert_eq!(wait, Some(Duration::from_secs(1 << (crashes - 1).min(6)).min(BACKOFF.max)));
            fleet.0[1].state = State::Running { since: at(1) };
        }
    }

    #[test]
    fn one_that_ran_for_a_while_counts_as_new() {
        let mut fleet = Fleet::new(1);
        for _ in 0..5 {
            fleet.0[0].state = State::Running { since: at(0) };
            fleet.ended(0, at(0), 1.0);
        }
        fleet.0[0].state = State::Running { since: at(0) };
        assert_eq!(fleet.ended(0, at(60), 1.0), Some(Duration::from_secs(1)));
    }
}
