//! Batch formation. Pure: no clock, no channel.
//!
//! No linger time (Kafka: linger.ms = 0): a batch is cut when the device is free, from what is
//! queued; while the device is busy the queue grows into fuller batches.

use std::collections::VecDeque;

use lobar_core::image::{Lane, Lanes};

/// Images that wait for the device. `stat` goes first; `routine` is passed over a bounded number of
/// times; what must be alone is a batch of its own.
#[derive(Debug)]
pub struct Batcher<T> {
    waiting: Lanes<VecDeque<T>>,
    alone: VecDeque<T>,
    patience: u32,
    passed_over: u32,
    last_was_alone: bool,
}

impl<T> Batcher<T> {
    /// An empty batcher. After `patience` cuts in a row that gave waiting `routine` images nothing,
    /// the next cut gives them at least a quarter of the batch.
    pub fn new(patience: u32) -> Self {
        Self {
            waiting: Lanes::default(),
            alone: VecDeque::new(),
            patience,
            passed_over: 0,
            last_was_alone: false,
        }
    }

    /// Adds an image at the end of its lane.
    pub fn push(&mut self, lane: Lane, item: T) {
        self.waiting.of_mut(lane).push_back(item);
    }

    /// Adds an image that shares its batch with no other.
    pub fn push_alone(&mut self, item: T) {
        self.alone.push_back(item);
    }

    /// How many images wait.
    pub fn len(&self) -> usize {
        self.waiting.stat.len() + self.waiting.routine.len() + self.alone.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a cut of `max` would be full.
    pub fn fills(&self, max: usize) -> bool {
        self.waiting.stat.len() + self.waiting.routine.len() >= max
    }

    /// Takes the next batch: at most `max` images, none only when none waits. Each lane keeps its
    /// order. Images that must be alone take turns with batches of the others. Where `stat_apart`, a batch with `stat` images
    /// has no others, so that it takes no longer than they need; unless `routine` ones have been passed over often enough.
    pub fn cut(&mut self, max: usize, stat_apart: bool) -> Vec<T> {
        let max = max.max(1);
        let shared = self.waiting.stat.len() + self.waiting.routine.len();
        self.last_was_alone = !self.alone.is_empty() && (shared == 0 || !self.last_was_alone);
        if self.last_was_alone {
            return self.alone.pop_front().into_iter().collect();
        }
        let due = self.passed_over >= self.patience;
        let share = if due { (max / 4).max(1).min(self.waiting.routine.len()) } else { 0 };
        let stat = (max - share).min(self.waiting.stat.len());
        let rest = if stat > 0 && stat_apart && !due { 0 } else { max - stat };
        let routine = rest.min(self.waiting.routine.len());
        let starved = routine == 0 && !self.waiting.routine.is_empty();
        self.passed_over = if starved { self.passed_over + 1 } else { 0 };
        let mut batch: Vec<T> = self.waiting.stat.drain(..stat).collect();
        batch.extend(self.waiting.routine.drain(..routine));
        batch
    }

    /// Takes everything, in no promised order.
    pub fn drain(&mut self) -> Vec<T> {
        let Lanes { stat, routine } = &mut self.waiting;
        stat.drain(..).chain(routine.drain(..)).chain(self.alone.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn stat_goes_first_and_routine_fills_the_rest() {
        let mut batcher = Batcher::new(3);
        batcher.push(Lane::Routine, "r1");
        batcher.push(Lane::Routine, "r2");
        batcher.push(Lane::Stat, "s1");
        assert_eq!(batcher.cut(2, false), ["s1", "r1"]);
        assert_eq!(batcher.cut(2, false), ["r2"]);
        assert!(batcher.cut(2, false).is_empty());
    }

    #[test]
    fn routine_is_passed_over_a_bounded_number_of_times() {
        let mut batcher = Batcher::new(2);
        batcher.push(Lane::Routine, 0);
        for stat in 1..100 {
            batcher.push(Lane::Stat, stat);
        }
        assert_eq!(batcher.cut(4, false), [1, 2, 3, 4]);
        assert_eq!(batcher.cut(4, false), [5, 6, 7, 8]);
        assert_eq!(batcher.cut(4, false), [9, 10, 11, 0]);
        assert_eq!(batcher.cut(1, false), [12]);
    }

    #[test]
    fn urgent_images_are_computed_without_others_until_those_have_been_passed_over_often_enough() {
        let mut batcher = Batcher::new(2);
        for routine in 100..110 {
            batcher.push(Lane::Routine, routine);
        }
        assert_eq!(batcher.cut(4, true), [100, 101, 102, 103], "none is urgent");
        for stat in 1..4 {
            batcher.push(Lane::Stat, stat);
            let expected = if stat < 3 { vec![stat] } else { vec![stat, 104, 105, 106] };
            assert_eq!(batcher.cut(4, true), expected);
        }
    }

    #[test]
    fn a_batch_of_one_starves_nobody_either() {
        let mut batcher = Batcher::new(1);
        batcher.push(Lane::Routine, 0);
        batcher.push(Lane::Stat, 1);
        batcher.push(Lane::Stat, 2);
        assert_eq!(
            [batcher.cut(1, false), batcher.cut(1, false), batcher.cut(1, false)],
            [[1], [0], [2]]
        );
    }

    #[test]
    fn what_must_be_alone_is_alone_and_takes_turns() {
        let mut batcher = Batcher::new(3);
        batcher.push_alone("a1");
        batcher.push_alone("a2");
        batcher.push(Lane::Routine, "r1");
        batcher.push(Lane::Routine, "r2");
        assert_eq!(batcher.cut(8, false), ["a1"]);
        assert_eq!(batcher.cut(8, false), ["r1", "r2"]);
        assert_eq!(batcher.cut(8, false), ["a2"]);
    }

    /// Random pushes and cuts: nothing lost, nothing doubled, order kept, sizes and the bound held.
    #[test]
    fn whatever_is_pushed_comes_out_once_in_the_order_of_its_lane() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let patience = random.random_range(0..5);
            let mut batcher = Batcher::new(patience);
            let mut pushed = Lanes { stat: 0_u32, routine: 0_u32 };
            let mut seen = Lanes { stat: 0_u32, routine: 0_u32 };
            let mut hungry = 0;
            for _ in 0..300 {
                for _ in 0..random.random_range(0..6) {
                    let lane = if random.random_bool(0.7) { Lane::Stat } else { Lane::Routine };
                    batcher.push(lane, (lane, *pushed.of(lane)));
                    *pushed.of_mut(lane) += 1;
                }
                let routine_waits = pushed.routine > seen.routine;
                let (max, apart) = (random.random_range(1..6), random.random_bool(0.5));
                let before = batcher.len();
                let batch = batcher.cut(max, apart);
                let full = before.min(max);
                assert!(
                    batch.len() == full || apart && !batch.is_empty(),
                    "work-conserving, seed {seed}"
                );
                let fed = batch.iter().any(|(lane, _)| *lane == Lane::Routine);
                hungry = if routine_waits && !fed { hungry + 1 } else { 0 };
                assert!(hungry <= patience, "routine starved, seed {seed}");
                for (lane, number) in batch {
                    assert_eq!(number, *seen.of(lane), "order, seed {seed}");
                    *seen.of_mut(lane) += 1;
                }
            }
            for (lane, number) in batcher.drain() {
                assert_eq!(number, *seen.of(lane), "nothing lost, seed {seed}");
                *seen.of_mut(lane) += 1;
            }
            assert_eq!(seen, pushed, "seed {seed}");
            assert!(batcher.is_empty());
        }
    }
}
