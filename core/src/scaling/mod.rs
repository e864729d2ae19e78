//! Autoscaling: the number of workers wanted, a pure function of load, time and the previous
//! decision. Based on time to wait, not queue length.
//!
//! Scales up at once; scales down in steps after a stabilization window, never below the peak
//! within it, since starting a worker takes a minute.

#[cfg(test)]
mod simulator;
mod throughput;

use std::time::Duration;

use crate::image::Lanes;
use crate::presence::PresentWorker;
use crate::time::Stamp;
pub use throughput::Throughput;

/// How much faster than images arrive the workers should be: what has piled up shrinks.
const HEADROOM: f64 = 1.25;

/// What operators set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// In how long what waits in each lane should be worked off.
    pub target: Lanes<Duration>,
    /// Fewest workers.
    pub floor: u32,
    /// Most workers.
    pub ceiling: u32,
    /// How long fewer workers must have been enough before one step down.
    pub calm: Duration,
}

impl Policy {
    /// A policy that works a backlog off within `target`, and urgent images within ten seconds. It
    /// goes down after three calm minutes: bumps that are shorter move no worker.
    pub fn within(target: Duration, floor: u32, ceiling: u32) -> Self {
        let target = target.max(Duration::from_secs(1));
        let stat = target.min(Duration::from_secs(10));
        let calm = Duration::from_secs(180);
        let target = Lanes { stat, routine: target };
        Self { target, floor, ceiling: ceiling.max(floor), calm }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::within(Duration::from_secs(60), 1, 10)
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Images that are admitted and not finished: ready, delayed and in flight.
    pub unfinished: Lanes<u64>,
    /// Notifications of uploads that are not settled; their lanes are not known yet.
    pub uploads: u64,
    /// Images admitted a second, lately.
    pub arrivals: f64,
    /// Images a second that all workers together could do; `None` when it is not known.
    pub capacity: Option<f64>,
    /// Workers now; `None` when it is not known.
    pub workers: Option<u32>,
}

impl Load {
    /// Everything that waits, whatever its lane.
    pub fn images(&self) -> u64 {
        let Lanes { stat, routine } = self.unfinished;
        stat.saturating_add(routine).saturating_add(self.uploads)
    }
}

/// Why so many. A closed set: the words are a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingReason {
    /// The fewest are enough.
    Floor,
    /// So many work off in time what waits.
    Backlog,
    /// So many keep up with what arrives.
    Arrivals,
    /// More would be needed than are allowed.
    Ceiling,
    /// Fewer would do, but not for long enough yet.
    Calming,
    /// Nothing is known of how fast a worker is: what is, stays.
    Unknown,
}

impl ScalingReason {
    /// Every reason.
    pub const ALL: [ScalingReason; 6] = [
        ScalingReason::Floor,
        ScalingReason::Backlog,
        ScalingReason::Arrivals,
        ScalingReason::Ceiling,
        ScalingReason::Calming,
        ScalingReason::Unknown,
    ];

    /// The word used in metrics and HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            ScalingReason::Floor => "floor",
            ScalingReason::Backlog => "backlog",
            ScalingReason::Arrivals => "arrivals",
            ScalingReason::Ceiling => "ceiling",
            ScalingReason::Calming => "calming",
            ScalingReason::Unknown => "unknown",
        }
    }
}

/// What was decided, and what the next decision must know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Workers there should be.
    pub wanted: u32,
    /// Why.
    pub reason: ScalingReason,
    /// Images a second of one worker, as last known.
    each: Option<f64>,
    /// Since when fewer would have been enough, and the most that were needed since.
    calm: Option<(Stamp, u32)>,
}

/// Decides how many workers there should be. `before` is what it answered last; `None` at the start,
/// when the workers that there are count as decided.
pub fn decide(policy: &Policy, before: Option<&Decision>, load: &Load, now: Stamp) -> Decision {
    let each = each(load).or(before.and_then(|decision| decision.each));
    let within = |count: u32| count.clamp(policy.floor, policy.ceiling.max(policy.floor));
    let standing = before.map_or(load.workers.unwrap_or(policy.floor), |decision| decision.wanted);
    let standing = within(standing);
    let (needed, reason) = needed(policy, load, each, standing);
    let bounded = within(needed);
    let reason = match bounded {
        _ if needed > policy.ceiling => ScalingReason::Ceiling,
        _ if reason == ScalingReason::Unknown => reason,
        _ if bounded == policy.floor => ScalingReason::Floor,
        _ => reason,
    };
    if bounded >= standing {
        return Decision { wanted: bounded, reason, each, calm: None };
    }
    let (since, peak) = before.and_then(|decision| decision.calm).unwrap_or((now, bounded));
    let peak = peak.max(bounded);
    if now.since(since) < policy.calm {
        let calm = Some((since, peak));
        return Decision { wanted: standing, reason: ScalingReason::Calming, each, calm };
    }
    // A quarter at once, and the next after as long again.
    let wanted = peak.max(standing - (standing / 4).max(1));
    let reason = if wanted == bounded { reason } else { ScalingReason::Calming };
    Decision { wanted, reason, each, calm: Some((now, bounded)) }
}

/// Images a second of which all workers together are capable; `None` where none has computed one yet. A worker that has
/// not worked yet counts as one like the others.
pub fn capacity(workers: &[PresentWorker]) -> Option<f64> {
    let seconds = workers.iter().filter_map(|worker| worker.load.seconds_per_image);
    let rates: Vec<f64> = seconds.filter(|seconds| *seconds > 0.0).map(f64::recip).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    (!rates.is_empty()).then_some(mean * workers.len() as f64)
}

/// Images a second of one worker.
fn each(load: &Load) -> Option<f64> {
    let workers = load.workers.filter(|workers| *workers > 0)?;
    let each = load.capacity? / f64::from(workers);
    (each.is_finite() && each > 0.0).then_some(each)
}

/// Workers that the load asks for, bounds and haste apart.
fn needed(policy: &Policy, load: &Load, each: Option<f64>, standing: u32) -> (u32, ScalingReason) {
    let Some(each) = each else {
        let some = u32::from(load.images() > 0);
        return (standing.max(some), ScalingReason::Unknown);
    };
    let rate = |images: u64, target: Duration| images as f64 / target.as_secs_f64().max(1.0);
    let stat = rate(load.unfinished.stat, policy.target.stat);
    let backlog = stat.max(rate(load.images(), policy.target.routine));
    let arrivals = load.arrivals.max(0.0) * HEADROOM;
    let reason = if backlog >= arrivals { ScalingReason::Backlog } else { ScalingReason::Arrivals };
    // Saturates; what is left of a rounding error asks for no worker.
    ((backlog.max(arrivals) / each - 1e-9).ceil().max(0.0) as u32, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn policy() -> Policy {
        let calm = Duration::from_secs(60);
        Policy { calm, ..Policy::within(Duration::from_secs(60), 1, 10) }
    }

    /// Two workers of ten images a second each.
    fn load(stat: u64, routine: u64) -> Load {
        let unfinished = Lanes { stat, routine };
        let (capacity, workers) = (Some(20.0), Some(2));
        Load { unfinished, uploads: 0, arrivals: 0.0, capacity, workers }
    }

    fn first(load: &Load) -> (u32, ScalingReason) {
        let decision = decide(&policy(), None, load, Stamp(0));
        (decision.wanted, decision.reason)
    }

    #[test]
    fn a_backlog_asks_for_the_workers_that_work_it_off_in_the_target_time() {
        assert_eq!(first(&load(0, 3_000)), (5, ScalingReason::Backlog));
        assert_eq!(first(&load(0, 3_001)), (6, ScalingReason::Backlog));
        assert_eq!(first(&Load { uploads: 600, ..load(0, 2_400) }), (5, ScalingReason::Backlog));
    }

    #[test]
    fn urgent_images_have_a_target_of_their_own() {
        assert_eq!(first(&load(400, 0)), (4, ScalingReason::Backlog));
    }

    #[test]
    fn workers_keep_up_with_what_arrives_before_it_has_piled_up() {
        assert_eq!(first(&Load { arrivals: 40.0, ..load(0, 50) }), (5, ScalingReason::Arrivals));
    }

    #[test]
    fn the_bounds_hold_and_are_named() {
        assert_eq!(first(&load(0, 1_000_000)), (10, ScalingReason::Ceiling));
        let idle = Load { workers: Some(1), capacity: Some(10.0), ..Load::default() };
        assert_eq!(first(&idle), (1, ScalingReason::Floor));
        let none = Policy { floor: 0, ..policy() };
        let idle = Load { workers: Some(0), ..Load::default() };
        assert_eq!(decide(&none, None, &idle, Stamp(0)).wanted, 0);
    }

    #[test]
    fn without_a_known_rate_what_is_stays_and_work_gets_at_least_one() {
        let unknown = |workers| Load { capacity: None, workers, ..load(0, 5_000) };
        assert_eq!(first(&unknown(Some(3))), (3, ScalingReason::Unknown));
        assert_eq!(first(&unknown(None)), (1, ScalingReason::Unknown));
        let none = Policy { floor: 0, ..policy() };
        assert_eq!(decide(&none, None, &unknown(Some(0)), Stamp(0)).wanted, 1);
    }

    #[test]
    fn a_rate_once_known_is_remembered_while_the_workers_are_not_known() {
        let known = decide(&policy(), None, &load(0, 3_000), Stamp(0));
        let away = Load { capacity: None, workers: None, ..load(0, 4_000) };
        let then = decide(&policy(), Some(&known), &away, Stamp(SECOND));
        assert_eq!((then.wanted, then.reason), (7, ScalingReason::Backlog));
    }

    #[test]
    fn it_goes_up_at_once_and_down_by_steps_after_a_calm_time() {
        let mut decision = decide(&policy(), None, &load(0, 6_000), Stamp(0));
        assert_eq!(decision.wanted, 10);
        let mut seen = Vec::new();
        for second in 1..=600 {
            decision = decide(&policy(), Some(&decision), &load(0, 60), Stamp(second * SECOND));
            assert!(second > 60 || decision.wanted == 10, "too early: {second}");
            seen.push(decision.wanted);
        }
        seen.dedup();
        assert_eq!(seen, [10, 8, 6, 5, 4, 3, 2, 1]);
        assert_eq!(decision.reason, ScalingReason::Floor);
        let up = decide(&policy(), Some(&decision), &load(0, 6_000), Stamp(601 * SECOND));
        assert_eq!(up.wanted, 10);
    }

    #[test]
    fn a_step_down_never_goes_below_what_was_needed_since_the_last() {
        let mut decision = decide(&policy(), None, &load(0, 6_000), Stamp(0));
        for second in 1..=61 {
            // Nine were needed for a moment in the middle of the calm.
            let images = if second == 30 { 5_400 } else { 0 };
            decision = decide(&policy(), Some(&decision), &load(0, images), Stamp(second * SECOND));
        }
        assert_eq!(decision.wanted, 9);
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let mut words = ScalingReason::ALL.map(ScalingReason::as_str).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ScalingReason::ALL.len());
    }
}
