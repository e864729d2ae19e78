//! The workers: which start, work, drain, and are gone.

use std::collections::VecDeque;

use lobar_core::image::{Lane, Lanes};
use lobar_core::time::Stamp;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    /// Finishes what it has in hand and ends.
    Draining,
    Gone,
}

/// One worker. Images are numbers.
#[derive(Debug)]
struct Worker {
    state: State,
    started: Stamp,
    ended: Option<Stamp>,
    computing: Option<usize>,
    /// Taken ahead, in each lane.
    ahead: Lanes<VecDeque<usize>>,
    /// Whether it has finished an image: how fast it is is known.
    worked: bool,
}

impl Worker {
    fn in_hand(&self) -> usize {
        usize::from(self.computing.is_some()) + self.ahead.stat.len() + self.ahead.routine.len()
    }
}

/// Workers by their numbers, which are given once each.
#[derive(Debug)]
pub(crate) struct Fleet {
    workers: Vec<Worker>,
    /// Those that are not gone, in the order of their start.
    there: Vec<usize>,
    /// How many images a worker holds.
    room: usize,
    /// Workers that compute.
    pub(crate) computing: usize,
    /// Workers that take work.
    pub(crate) running: u32,
    /// Workers that start.
    pub(crate) starting: u32,
}

impl Fleet {
    pub(crate) fn new(room: usize) -> Self {
        let room = room.max(1);
        Self { workers: Vec::new(), there: Vec::new(), room, computing: 0, running: 0, starting: 0 }
    }

    /// Workers that are not gone.
    pub(crate) fn there(&self) -> usize {
        self.there.len()
    }

    /// A worker is started; `worked` are those that were there before the plan.
    pub(crate) fn start(&mut self, now: Stamp, worked: bool) -> usize {
        let id = self.workers.len();
        let (state, ahead) = (State::Starting, Lanes::default());
        self.workers.push(Worker {
            state,
            started: now,
            ended: None,
            computing: None,
            ahead,
            worked,
        });
        self.there.push(id);
        self.starting += 1;
        id
    }

    /// It is up; whether it is wanted still.
    pub(crate) fn ready(&mut self, id: usize) -> bool {
        let starting = self.workers[id].state == State::Starting;
        if starting {
            self.enter(id, State::Running);
        }
        starting
    }

    /// The one that was started last is told to end; `None` when there is none to tell.
    pub(crate) fn stop(&mut self, now: Stamp) -> Option<()> {
        let stays = |id: &&usize| self.workers[**id].state != State::Draining;
        let id = *self.there.iter().rev().find(stays)?;
        match self.workers[id].in_hand() {
            0 => self.end(id, now),
            _ => self.enter(id, State::Draining),
        }
        Some(())
    }

    /// It ends, and gives what it had in hand.
    pub(crate) fn lose(&mut self, id: usize, now: Stamp) -> Option<Vec<usize>> {
        let worker = &mut self.workers[id];
        if worker.state == State::Gone {
            return None;
        }
        let computed = worker.computing.take();
        self.computing -= usize::from(computed.is_some());
        let Lanes { stat, routine } = std::mem::take(&mut worker.ahead);
        self.end(id, now);
        Some(computed.into_iter().chain(stat).chain(routine).collect())
    }

    /// The running worker with the fewest images in hand that has room for one more.
    pub(crate) fn roomiest(&self) -> Option<usize> {
        let mut best = None;
        for id in self.there.iter().copied() {
            let worker = &self.workers[id];
            let in_hand = worker.in_hand();
            if worker.state != State::Running || in_hand >= self.room {
                continue;
            } else if in_hand == 0 {
                return Some(id);
            } else if best.is_none_or(|(least, _)| in_hand < least) {
                best = Some((in_hand, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Whether it takes one more image.
    pub(crate) fn has_room(&self, id: usize) -> bool {
        let worker = &self.workers[id];
        worker.state == State::Running && worker.in_hand() < self.room
    }

    /// It takes an image into its hands.
    pub(crate) fn take(&mut self, id: usize, image: usize, lane: Lane) {
        self.workers[id].ahead.of_mut(lane).push_back(image);
    }

    /// It begins with what it has in hand, urgent images first, when it computes nothing; which image, if any.
    pub(crate) fn compute(&mut self, id: usize) -> Option<usize> {
        let worker = &mut self.workers[id];
        if worker.computing.is_some() {
            return None;
        }
        let next = worker.ahead.stat.pop_front().or_else(|| worker.ahead.routine.pop_front())?;
        worker.computing = Some(next);
        self.computing += 1;
        Some(next)
    }

    /// It has computed its image; `None` when it was lost meanwhile.
    pub(crate) fn computed(&mut self, id: usize, now: Stamp) -> Option<usize> {
        let worker = &mut self.workers[id];
        let image = worker.computing.take()?;
        worker.worked = true;
        self.computing -= 1;
        if worker.state == State::Draining && worker.in_hand() == 0 {
            self.end(id, now);
        }
        Some(image)
    }

    /// Whether one of those that run has finished an image.
    pub(crate) fn has_worked(&self) -> bool {
        let mut there = self.there.iter().map(|id| &self.workers[*id]);
        there.any(|worker| worker.state == State::Running && worker.worked)
    }

    /// Seconds that all workers together were there, from their start to their end.
    pub(crate) fn seconds(&self, now: Stamp) -> f64 {
        let time = |worker: &Worker| worker.ended.unwrap_or(now).since(worker.started);
        self.workers.iter().map(|worker| time(worker).as_secs_f64()).sum()
    }

    fn end(&mut self, id: usize, now: Stamp) {
        self.enter(id, State::Gone);
        self.workers[id].ended = Some(now);
        self.there.retain(|there| *there != id);
    }

    fn enter(&mut self, id: usize, state: State) {
        let count = |fleet: &mut Self, state, by: i32| {
            match state {
                State::Starting => fleet.starting = fleet.starting.saturating_add_signed(by),
                State::Running => fleet.running = fleet.running.saturating_add_signed(by),
                State::Draining | State::Gone => {}
            };
        };
        count(self, self.workers[id].state, -1);
        count(self, state, 1);
        self.workers[id].state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp(1_000_000);

    /// Workers that run, each of which holds two images at most.
    fn running(many: usize) -> Fleet {
        let mut fleet = Fleet::new(2);
        for _ in 0..many {
            let id = fleet.start(Stamp(0), true);
            assert!(fleet.ready(id));
        }
        fleet
    }

    #[test]
    fn the_one_that_was_started_last_goes_first_and_finishes_what_it_has_in_hand() {
        let mut fleet = running(3);
        fleet.take(2, 7, Lane::Routine);
        assert_eq!(fleet.compute(2), Some(7));
        assert_eq!(fleet.stop(NOW), Some(()));
        assert_eq!((fleet.running, fleet.there()), (2, 3));
        assert!(!fleet.has_room(2));
        assert_eq!(fleet.stop(NOW), Some(()));
        assert_eq!((fleet.running, fleet.there()), (1, 2), "one without work ends at once");
        assert_eq!(fleet.computed(2, NOW), Some(7));
        assert_eq!(fleet.there(), 1);
    }

    #[test]
    fn one_that_starts_is_given_up_before_one_that_runs() {
        let mut fleet = running(1);
        let id = fleet.start(NOW, false);
        assert_eq!((fleet.starting, fleet.stop(NOW)), (1, Some(())));
        assert_eq!((fleet.starting, fleet.running, fleet.ready(id)), (0, 1, false));
    }

    #[test]
    fn a_lost_worker_gives_back_all_that_it_held_once() {
        let mut fleet = running(1);
        fleet.take(0, 1, Lane::Routine);
        fleet.compute(0);
        fleet.take(0, 2, Lane::Routine);
        assert_eq!(fleet.lose(0, NOW), Some(vec![1, 2]));
        assert_eq!((fleet.lose(0, NOW), fleet.computed(0, NOW)), (None, None));
        assert_eq!((fleet.there(), fleet.computing, fleet.seconds(Stamp(9))), (0, 0, 1.0));
    }

    #[test]
    fn urgent_images_in_hand_are_computed_first() {
        let mut fleet = running(1);
        fleet.take(0, 1, Lane::Routine);
        fleet.take(0, 2, Lane::Stat);
        assert_eq!((fleet.compute(0), fleet.compute(0)), (Some(2), None));
    }

    #[test]
    fn work_goes_to_the_worker_with_the_most_room() {
        let mut fleet = running(2);
        fleet.take(0, 1, Lane::Routine);
        assert_eq!(fleet.roomiest(), Some(1));
        fleet.take(1, 2, Lane::Routine);
        fleet.take(1, 3, Lane::Routine);
        assert_eq!(fleet.roomiest(), Some(0));
        fleet.take(0, 4, Lane::Routine);
        assert_eq!(fleet.roomiest(), None);
    }
}
