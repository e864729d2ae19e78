//! What a run comes to.

use std::time::Duration;

use lobar_core::image::Lanes;
use lobar_core::time::Stamp;
use serde::Serialize;

use crate::simulation::Run;
use crate::{Goal, Plan};

/// From an image's arrival to its result, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Waits {
    /// How many images.
    pub images: usize,
    /// Half of them waited no longer.
    pub p50: f64,
    /// 95 of 100 waited no longer.
    pub p95: f64,
    /// 99 of 100 waited no longer.
    pub p99: f64,
    /// The longest.
    pub longest: f64,
}

impl Waits {
    /// Percentiles by the nearest rank; `None` of no waits.
    pub fn of(mut waits: Vec<Duration>) -> Option<Self> {
        waits.sort_unstable();
        let rank = |share: f64| {
            let rank = (share * waits.len() as f64).ceil().max(1.0) as usize;
            waits.get(rank - 1).map(Duration::as_secs_f64)
        };
        let (p50, p95, p99, longest) = (rank(0.5)?, rank(0.95)?, rank(0.99)?, rank(1.0)?);
        Some(Self { images: waits.len(), p50, p95, p99, longest })
    }
}

/// What one way of sizing comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The way of sizing.
    pub sizing: String,
    /// How long images waited.
    pub waits: Lanes<Option<Waits>>,
    /// When the last image was finished, in seconds from the beginning; `None` when some never were.
    pub finished: Option<f64>,
    /// Images that were never finished.
    pub unfinished: u64,
    /// Workers at once.
    pub most_workers: u32,
    /// Workers that were lost.
    pub lost_workers: u32,
    /// Hours of all workers together, their start-up counted.
    pub worker_hours: f64,
    /// What these cost, where a price is known.
    pub cost: Option<f64>,
    /// Whether the goal is met, where there is one.
    pub met: Option<bool>,
}

impl Report {
    /// What `run` comes to under `plan`.
    pub fn of(sizing: String, run: &Run, plan: &Plan) -> Self {
        let Lanes { stat, routine } = run.waits.clone();
        let waits = Lanes { stat: Waits::of(stat), routine: Waits::of(routine) };
        let finished = (run.unfinished == 0).then(|| run.finished.since(Stamp(0)).as_secs_f64());
        let worker_hours = run.worker_seconds / 3_600.0;
        Self {
            sizing,
            met: plan.goal.is_any().then(|| meets(&plan.goal, finished, &waits)),
            waits,
            finished,
            unfinished: run.unfinished,
            most_workers: run.most,
            lost_workers: run.lost,
            worker_hours,
            cost: plan.price.map(|price| price * worker_hours),
        }
    }
}

fn meets(goal: &Goal, finished: Option<f64>, waits: &Lanes<Option<Waits>>) -> bool {
    let is_within = |limit: Option<Duration>, seconds: f64| {
        limit.is_none_or(|limit| seconds <= limit.as_secs_f64())
    };
    let mut p95 = [waits.stat, waits.routine].into_iter().flatten().map(|waits| waits.p95);
    finished.is_some_and(|finished| is_within(goal.finished_by, finished))
        && p95.all(|wait| is_within(goal.wait, wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let waits = Waits::of((1..=200).rev().map(Duration::from_secs).collect());
        let expected = Waits { images: 200, p50: 100.0, p95: 190.0, p99: 198.0, longest: 200.0 };
        assert_eq!(waits, Some(expected));
        let one = Waits::of(vec![Duration::from_secs(3)]).expect("one");
        assert_eq!((one.p50, one.p99), (3.0, 3.0));
        assert_eq!(Waits::of(Vec::new()), None);
    }

    #[test]
    fn a_goal_is_met_when_all_that_is_asked_for_is() {
        let waits = |p95| Waits { images: 1, p50: 0.0, p95, p99: 0.0, longest: 0.0 };
        let waits = Lanes { stat: Some(waits(5.0)), routine: Some(waits(50.0)) };
        let goal = |finished_by: Option<u64>, wait: Option<u64>| Goal {
            finished_by: finished_by.map(Duration::from_secs),
            wait: wait.map(Duration::from_secs),
        };
        assert!(meets(&goal(Some(100), Some(50)), Some(100.0), &waits));
        assert!(!meets(&goal(Some(99), None), Some(100.0), &waits));
        assert!(!meets(&goal(None, Some(49)), Some(100.0), &waits));
        assert!(!meets(&goal(None, Some(50)), None, &waits), "what never ends meets nothing");
    }
}
