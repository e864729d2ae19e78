//! KEDA on the plain length of a queue: its scalers for SQS and RabbitMQ as they are when nobody sets more than the bounds.
//!
//! KEDA hands the messages (those in flight counted) to a Kubernetes HorizontalPodAutoscaler as an external metric with an
//! average value a pod. The HPA looks every 15 s, stays where the ratio is within a tenth of 1, goes up by four pods or to
//! twice as many in 15 s at most, and down to the most that it wanted within the last 300 s. From and to none KEDA itself
//! goes: up when it polls, every 30 s; down after a cooldown of 300 s.

use std::collections::VecDeque;

use lobar_core::scaling::Policy;
use lobar_core::time::Stamp;

use super::{Seen, Sizing, is_due};

const SYNC: i64 = 15;
const POLL: i64 = 30;
const TOLERANCE: f64 = 0.1;
/// Microseconds of the stabilization window, and of the cooldown.
const WINDOW: i64 = 300_000_000;

/// So many messages a pod.
#[derive(Clone, Debug)]
pub struct QueueLength {
    length: u32,
    floor: u32,
    ceiling: u32,
    wanted: u32,
    recommended: VecDeque<(Stamp, u32)>,
    active: Stamp,
}

impl QueueLength {
    /// For a target of `length` messages a pod, within the bounds of `policy`.
    pub fn new(length: u32, policy: &Policy) -> Self {
        let (floor, ceiling) = (policy.floor, policy.ceiling);
        let recommended = VecDeque::new();
        Self { length: length.max(1), floor, ceiling, wanted: floor, recommended, active: Stamp(0) }
    }

    /// What the HPA wants of what it sees, bounds apart.
    fn recommend(&self, messages: u64) -> u32 {
        let pods = messages as f64 / f64::from(self.length);
        let ratio = pods / f64::from(self.wanted);
        if (ratio - 1.0).abs() <= TOLERANCE { self.wanted } else { pods.ceil() as u32 }
    }
}

impl Sizing for QueueLength {
    fn name(&self) -> String {
        format!("KEDA, queue length {}", self.length)
    }

    fn floor(&self) -> u32 {
        self.floor
    }

    fn wanted(&mut self, seen: &Seen) -> u32 {
        let messages = seen.load.images();
        if messages > 0 {
            self.active = seen.now;
        }
        if self.wanted == 0 {
            self.wanted = u32::from(messages > 0 && is_due(seen, POLL));
            return self.wanted;
        }
        if !is_due(seen, SYNC) {
            return self.wanted;
        }
        if self.floor == 0 && seen.now.0 - self.active.0 >= WINDOW {
            self.recommended.clear();
            self.wanted = 0;
            return 0;
        }
        let least = self.floor.max(1);
        let pods = self.recommend(messages).clamp(least, self.ceiling.max(least));
        self.recommended.push_back((seen.now, pods));
        while self.recommended.front().is_some_and(|(at, _)| seen.now.0 - at.0 > WINDOW) {
            self.recommended.pop_front();
        }
        let most = self.recommended.iter().map(|(_, pods)| *pods).max().unwrap_or(pods);
        let stable = if pods > self.wanted { pods } else { most.min(self.wanted) };
        self.wanted = stable.min((self.wanted + 4).max(self.wanted * 2));
        self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{after, seen};
    use super::*;

    fn policy(floor: u32, ceiling: u32) -> Policy {
        Policy { floor, ceiling, ..Policy::default() }
    }

    #[test]
    fn pods_go_up_by_four_or_to_twice_as_many_every_fifteen_seconds() {
        let mut sizing = QueueLength::new(5, &policy(1, 100));
        let wanted: Vec<u32> =
            (0..75).map(|second| sizing.wanted(&seen(second, 1_000, 1))).collect();
        let every: Vec<u32> = wanted.iter().step_by(15).copied().collect();
        assert_eq!(every, [5, 10, 20, 40, 80]);
        assert_eq!(after(&mut sizing, 75..200, 1_000), 100);
    }

    #[test]
    fn pods_go_down_once_fewer_were_enough_for_five_minutes() {
        let mut sizing = QueueLength::new(5, &policy(1, 100));
        assert_eq!(after(&mut sizing, 0..200, 200), 40);
        assert_eq!(after(&mut sizing, 200..490, 10), 40);
        assert_eq!(after(&mut sizing, 490..520, 10), 2);
    }

    #[test]
    fn a_ratio_within_a_tenth_moves_nothing() {
        let mut sizing = QueueLength::new(5, &policy(1, 100));
        assert_eq!(after(&mut sizing, 0..200, 200), 40);
        assert_eq!(after(&mut sizing, 200..300, 219), 40);
        assert_eq!(after(&mut sizing, 300..400, 221), 45);
    }

    #[test]
    fn none_becomes_one_at_a_poll_and_one_becomes_none_after_the_cooldown() {
        let mut sizing = QueueLength::new(5, &policy(0, 100));
        assert_eq!((1..30).map(|second| sizing.wanted(&seen(second, 1, 0))).max(), Some(0));
        assert_eq!(sizing.wanted(&seen(30, 1, 0)), 1);
        assert_eq!(after(&mut sizing, 31..330, 0), 1);
        assert_eq!(after(&mut sizing, 330..346, 0), 0);
    }
}
