//! Amazon's way for a queue: target tracking on the backlog per instance, visible messages by instances in service. Its
//! target is the latency that is acceptable times what an instance does a second.
//!
//! A metric a minute. Target tracking goes out after three minutes above its target, to as many instances as bring the
//! metric to it, and in after fifteen minutes below nine tenths of it.

use lobar_core::scaling::Policy;

use super::{Seen, Sizing, is_due};

const PERIOD: i64 = 60;
const OUT_AFTER: u32 = 3;
const IN_AFTER: u32 = 15;
const IN_BELOW: f64 = 0.9;

/// So many messages an instance.
#[derive(Clone, Debug)]
pub struct BacklogPerInstance {
    target: f64,
    floor: u32,
    ceiling: u32,
    wanted: u32,
    above: u32,
    below: u32,
}

impl BacklogPerInstance {
    /// For instances that do `rate` images a second and the latency that `policy` has as its target, within its bounds.
    pub fn new(rate: f64, policy: &Policy) -> Self {
        let target = (rate * policy.target.routine.as_secs_f64()).max(1.0);
        let (floor, ceiling) = (policy.floor, policy.ceiling);
        Self { target, floor, ceiling, wanted: floor, above: 0, below: 0 }
    }
}

impl Sizing for BacklogPerInstance {
    fn name(&self) -> String {
        "AWS, backlog per instance".into()
    }

    fn floor(&self) -> u32 {
        self.floor
    }

    fn wanted(&mut self, seen: &Seen) -> u32 {
        if !is_due(seen, PERIOD) {
            return self.wanted;
        }
        // Nobody in service: any message is too many for none.
        let instances = f64::from(seen.load.workers.unwrap_or(0).max(1));
        let idle = self.wanted == 0 && seen.ready > 0;
        let metric = seen.ready as f64 / instances;
        self.above = if metric > self.target || idle { self.above + 1 } else { 0 };
        self.below = if metric < self.target * IN_BELOW && !idle { self.below + 1 } else { 0 };
        let tracked = (seen.ready as f64 / self.target).ceil() as u32;
        let tracked = tracked.clamp(self.floor, self.ceiling.max(self.floor));
        if self.above >= OUT_AFTER {
            self.wanted = self.wanted.max(tracked);
        } else if self.below >= IN_AFTER {
            self.wanted = self.wanted.min(tracked);
            self.below = 0;
        }
        self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::after;
    use super::*;

    /// Ten images a second and a minute: six hundred an instance.
    fn sizing() -> BacklogPerInstance {
        BacklogPerInstance::new(10.0, &Policy { floor: 1, ceiling: 8, ..Policy::default() })
    }

    #[test]
    fn three_minutes_above_the_target_bring_as_many_instances_as_hold_it() {
        let mut sizing = sizing();
        assert_eq!(after(&mut sizing, 0..120, 3_000), 1);
        assert_eq!(after(&mut sizing, 120..121, 3_000), 5);
        assert_eq!(after(&mut sizing, 121..400, 60_000), 8, "no more than the most");
    }

    #[test]
    fn instances_go_after_fifteen_minutes_below_the_target() {
        let mut sizing = sizing();
        assert_eq!(after(&mut sizing, 0..180, 3_000), 5);
        assert_eq!(after(&mut sizing, 180..180 + 14 * 60, 100), 5);
        assert_eq!(after(&mut sizing, 180 + 14 * 60..181 + 14 * 60, 100), 1);
    }

    #[test]
    fn a_backlog_near_the_target_moves_nothing() {
        let mut sizing = sizing();
        assert_eq!(after(&mut sizing, 0..180, 3_000), 5);
        assert_eq!(after(&mut sizing, 180..7_200, 2_900), 5);
    }
}
