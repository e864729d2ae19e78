//! The ways of sizing beside one another, and the inverse: the fewest workers that do.

use lobar_core::time::Stamp;

use crate::report::Report;
use crate::simulation::{Run, simulate};
use crate::sizing::{BacklogPerInstance, Fixed, Lobar, QueueLength, Sizing};
use crate::{Goal, Plan};

/// Most workers that are tried.
const MOST: u32 = 4_096;

/// What one way of sizing did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it comes to.
    pub report: Report,
    /// Second by second.
    pub run: Run,
}

/// The answer to a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The goal.
    pub goal: Goal,
    /// The fewest workers of a fixed number that achieve the goal; `None` when there is none, or none of a number that was tried
    /// does.
    pub fewest: Option<u32>,
    /// The policy, a fixed number, KEDA's queue length, and AWS's backlog per instance.
    pub outcomes: Vec<Outcome>,
}

impl Plan {
    /// Every way of sizing on the same arrivals. Without a goal and a number the fixed one has the most workers of the policy.
    pub fn compare(&self) -> Comparison {
        let policy = self.outcome(&mut Lobar::new(self.policy));
        let fewest = if self.goal.is_any() { self.fewest() } else { None };
        let most = policy.report.most_workers.max(1);
        let fixed = self.fixed.or(fewest).unwrap_or(most);
        let mut others: [Box<dyn Sizing>; 3] = [
            Box::new(Fixed(fixed)),
            Box::new(QueueLength::new(self.queue_length, &self.policy)),
            Box::new(BacklogPerInstance::new(self.worker.rate, &self.policy)),
        ];
        let others = others.iter_mut().map(|sizing| self.outcome(&mut **sizing));
        let outcomes = std::iter::once(policy).chain(others).collect();
        Comparison { goal: self.goal, fewest, outcomes }
    }

    /// The smallest fixed number of workers that achieves the goal. More workers are taken to be no worse, which losses can
    /// belie by one.
    pub fn fewest(&self) -> Option<u32> {
        if self.is_hopeless() {
            return None;
        }
        let achieves = |workers: u32| self.outcome(&mut Fixed(workers)).report.met == Some(true);
        let (mut too_few, mut enough) = (self.too_few(), None);
        while enough.is_none() {
            let next = (too_few.max(1) * 2).min(MOST);
            let tried = if too_few == 0 { 1 } else { next };
            match achieves(tried) {
                true => enough = Some(tried),
                false if tried == MOST => return None,
                false => too_few = tried,
            }
        }
        let mut enough = enough?;
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if achieves(middle) {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
        Some(enough)
    }

    /// Whether no number of workers finishes in time: what comes comes too late, or all workers together do too few a second.
    fn is_hopeless(&self) -> bool {
        let Some(time) = self.goal.finished_by else { return false };
        let last = self.arrivals.last().map_or(Stamp(0), |arrival| arrival.at);
        let most = self.worker.together.unwrap_or(f64::INFINITY) * time.as_secs_f64();
        last >= Stamp(0).plus(time) || self.arrivals.len() as f64 > most
    }

    /// Workers that cannot be enough whatever happens: all their time is less than the work.
    fn too_few(&self) -> u32 {
        let Some(time) = self.goal.finished_by else { return 0 };
        let needed = self.arrivals.len() as f64 / (self.worker.rate * time.as_secs_f64().max(1.0));
        ((needed - 1e-6).ceil().max(1.0) as u32 - 1).min(MOST - 1)
    }

    fn outcome(&self, sizing: &mut dyn Sizing) -> Outcome {
        let until = self.goal.finished_by.unwrap_or_default();
        let run = simulate(&self.arrivals, &self.worker, sizing, until, self.seed);
        Outcome { report: Report::of(sizing.name(), &run, self), run }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lobar_core::scaling::Policy;

    use super::*;
    use crate::WorkerModel;
    use crate::arrivals::Shape;

    /// 36,000 images in a minute, ten a second and worker, all finished within an hour.
    pub(super) fn plan() -> Plan {
        Plan {
            arrivals: Shape::Bulk { over: Duration::from_secs(60) }.arrivals(36_000, 0.0, 1),
            worker: WorkerModel {
                rate: 10.0,
                together: None,
                start_up: Duration::from_secs(120),
                in_hand: 64,
                lease: Duration::from_secs(30),
                losses: 0.0,
            },
            policy: Policy::within(Duration::from_secs(600), 1, 20),
            goal: Goal { finished_by: Some(Duration::from_secs(3_600)), wait: None },
            price: Some(2.0),
            fixed: None,
            queue_length: 5,
            seed: 1,
        }
    }

    #[test]
    fn the_fewest_workers_are_the_work_by_the_time_and_one_less_is_too_late() {
        assert_eq!(plan().fewest(), Some(1), "ten a second for an hour are 36,000");
        let half = Goal { finished_by: Some(Duration::from_secs(1_799)), wait: None };
        assert_eq!(Plan { goal: half, ..plan() }.fewest(), Some(3));
        let second = Goal { finished_by: Some(Duration::from_secs(30)), wait: None };
        assert_eq!(Plan { goal: second, ..plan() }.fewest(), None, "they come for a minute");
        let worker = WorkerModel { together: Some(9.0), ..plan().worker };
        assert_eq!(
            Plan { worker, ..plan() }.fewest(),
            None,
            "nine a second, however many there are"
        );
    }

    #[test]
    fn a_wait_is_a_goal_as_well() {
        let goal = Goal { finished_by: None, wait: Some(Duration::from_secs(60)) };
        let plan = Plan { goal, ..plan() };
        let fewest = plan.fewest().expect("enough");
        let achieves = |workers| plan.outcome(&mut Fixed(workers)).report.met;
        assert_eq!((achieves(fewest), achieves(fewest - 1)), (Some(true), Some(false)));
        // 95 of 100 have come after 57 s and must have gone after 117 s: 34,200 / 117 s / 10.
        assert!((29..=31).contains(&fewest), "{fewest}");
    }

    #[test]
    fn all_ways_of_sizing_finish_the_same_images_and_the_same_question_has_the_same_answer() {
        let worker = WorkerModel { losses: 2.0, ..plan().worker };
        let plan = Plan { worker, ..plan() };
        let comparison = plan.compare();
        assert_eq!(comparison.outcomes.len(), 4);
        for Outcome { report, .. } in &comparison.outcomes {
            assert_eq!((report.unfinished, report.waits.stat), (0, None), "{report:?}");
            assert_eq!(report.waits.routine.map(|waits| waits.images), Some(36_000));
            assert_eq!(report.cost, Some(2.0 * report.worker_hours));
        }
        assert_eq!(comparison, plan.compare());
        assert_ne!(comparison, Plan { seed: 2, ..plan }.compare(), "other workers are lost");
    }

    #[test]
    fn without_a_goal_the_policy_is_compared_with_its_own_most_workers() {
        let comparison = Plan { goal: Goal::default(), ..plan() }.compare();
        let [policy, fixed] = [0, 1].map(|at| &comparison.outcomes[at].report);
        assert_eq!((comparison.fewest, policy.met), (None, None));
        assert_eq!(fixed.sizing, format!("fixed, {}", policy.most_workers));
    }
}
