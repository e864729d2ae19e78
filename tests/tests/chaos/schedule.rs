//! Which faults come when: a pure function of the seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::fault::{Fault, Kind, Target};

/// The mean time between the beginnings of two faults.
const EVERY: Duration = Duration::from_millis(1_300);

/// One fault: when it begins, and how long it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// After the beginning of the run.
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// What happens in a run, in order. No two faults meet on one target; on different ones they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) steps: Vec<Step>,
}

impl Schedule {
    /// The faults that begin within `length`. Some last longer.
    pub(crate) fn of(seed: u64, length: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut steps: Vec<Step> = Vec::new();
        let mut at = Duration::from_secs(2);
        while at < length {
            let kind = *Kind::ALL
                .choose_weighted(&mut random, |kind| kind.weight())
                .expect("some kinds have a weight");
            let busy = |target: Target| {
                let mut of_it = steps.iter().filter(|step| step.fault.target == target);
                of_it.any(|step| step.at + step.lasts + Duration::from_millis(500) > at)
            };
            let free: Vec<Target> =
                kind.targets().into_iter().filter(|target| !busy(*target)).collect();
            // Drawn in any case, so that a target which is not free changes nothing of what follows.
            let (lasts, place) = (kind.lasts(&mut random), random.random::<u32>() as usize);
            if !free.is_empty() {
                let target = free[place % free.len()];
                steps.push(Step { at, lasts, fault: Fault { kind, target } });
            }
            at += EVERY.mul_f64(random.random_range(0.1..1.9));
        }
        Self { seed, steps }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} faults", self.seed, self.steps.len())?;
        for Step { at, lasts, fault } in &self.steps {
            let (at, lasts) = (at.as_secs_f64(), lasts.as_secs_f64());
            writeln!(f, "  {at:6.2} s, for {lasts:5.2} s: {fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(60);

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_seed_another_one() {
        for seed in 0..50 {
            assert_eq!(Schedule::of(seed, LENGTH), Schedule::of(seed, LENGTH));
            assert_ne!(Schedule::of(seed, LENGTH).steps, Schedule::of(seed + 1, LENGTH).steps);
        }
    }

    #[test]
    fn a_shorter_run_of_a_seed_is_the_beginning_of_a_longer_one() {
        let (short, long) = (Schedule::of(7, LENGTH / 2), Schedule::of(7, LENGTH));
        assert!(!short.steps.is_empty() && short.steps.len() < long.steps.len());
        assert_eq!(short.steps[..], long.steps[..short.steps.len()]);
    }

    #[test]
    fn twenty_seeds_reach_every_kind_of_fault_and_a_hundred_reach_every_target_of_each() {
        let steps = |seeds| (1..=seeds).flat_map(|seed| Schedule::of(seed, LENGTH).steps);
        let kinds: BTreeSet<Kind> = steps(20).map(|step| step.fault.kind).collect();
        assert_eq!(kinds, Kind::ALL.into_iter().collect());
        let reached: BTreeSet<(Kind, Target)> =
            steps(100).map(|step| (step.fault.kind, step.fault.target)).collect();
        for kind in Kind::ALL {
            for target in kind.targets() {
                assert!(reached.contains(&(kind, target)), "{kind:?} of {target}");
            }
        }
    }

    #[test]
    fn no_two_faults_meet_on_one_target_and_those_on_different_targets_do() {
        let mut met = 0;
        for seed in 0..20 {
            let steps = Schedule::of(seed, LENGTH).steps;
            for (place, one) in steps.iter().enumerate() {
                for later in &steps[place + 1..] {
                    let meets = later.at < one.at + one.lasts;
                    assert!(!meets || one.fault.target != later.fault.target, "seed {seed}");
                    met += usize::from(meets);
                }
            }
        }
        assert!(met > 100, "only {met}");
    }
}
