//! A fleet in miniature: arrivals, workers that take a while to start, and the policy, second by
//! second. Workers that go stop at once and give back what they hold.

use super::*;

/// Images a second of one worker.
const EACH: f64 = 10.0;
/// Seconds from the wish for a worker to its first image.
const START: usize = 45;
/// Seconds between two looks at the policy, as an autoscaler polls.
const LOOK: usize = 15;

/// What happened.
struct Run {
    /// Workers wanted at each look.
    wanted: Vec<u32>,
    /// Images that wait, each second.
    waiting: Vec<f64>,
    /// Seconds the longest wait of any image took, first in, first out.
    longest: f64,
    /// Seconds until nothing was left after the last arrival; `None` when something is.
    drained: Option<usize>,
}

impl Run {
    /// How often the wish turned from down to up within `seconds` of going down.
    fn flaps(&self, seconds: usize) -> usize {
        let looks = seconds / LOOK;
        let mut last_down = None;
        let mut flaps = 0;
        for (at, pair) in self.wanted.windows(2).enumerate() {
            if pair[1] < pair[0] {
                last_down = Some(at);
            } else if pair[1] > pair[0] && last_down.take().is_some_and(|down| at - down <= looks) {
                flaps += 1;
            }
        }
        flaps
    }

    fn most(&self) -> u32 {
        self.wanted.iter().copied().max().expect("looked at")
    }

    fn last(&self) -> u32 {
        *self.wanted.last().expect("looked at")
    }
}

/// Runs `seconds` of `arrivals` (images in each second).
fn run(policy: &Policy, seconds: usize, arrivals: impl Fn(usize) -> f64) -> Run {
    let (mut decision, mut starting) = (None, Vec::new());
    let mut workers = policy.floor;
    let (mut come, mut done) = (Vec::with_capacity(seconds), 0.0_f64);
    let mut total = 0.0;
    let mut run = Run { wanted: Vec::new(), waiting: Vec::new(), longest: 0.0, drained: None };
    let mut last_arrival = 0;
    for second in 0..seconds {
        let now = arrivals(second);
        if now > 0.0 {
            last_arrival = second;
        }
        total += now;
        come.push(total);
        starting.retain(|ready| {
            let running = *ready <= second;
            workers += u32::from(running);
            !running
        });
        let before = done;
        done = total.min(done + f64::from(workers) * EACH);
        run.waiting.push(total - done);
        if done > before {
            // The image that is finished now arrived when this many had come.
            let arrived = come.partition_point(|sum| *sum < done);
            run.longest = run.longest.max((second - arrived.min(second)) as f64);
        }
        if total - done < 0.5 {
            run.drained = run.drained.or(Some(second - last_arrival));
        } else {
            run.drained = None;
        }
        if second % LOOK == 0 {
            let minute = second.saturating_sub(60);
            let load = Load {
                unfinished: Lanes { stat: 0, routine: (total - done).ceil() as u64 },
                uploads: 0,
                arrivals: (total - come[minute]) / 60.0,
                capacity: Some(f64::from(workers) * EACH),
                workers: Some(workers),
            };
            let decided =
                decide(policy, decision.as_ref(), &load, Stamp(second as i64 * 1_000_000));
            let there = workers + starting.len() as u32;
            if decided.wanted > there {
                starting.extend((there..decided.wanted).map(|_| second + START));
            } else {
                let too_many = (there - decided.wanted) as usize;
                let kept = starting.len().saturating_sub(too_many);
                starting.truncate(kept);
                workers = workers.min(decided.wanted);
            }
            run.wanted.push(decided.wanted);
            decision = Some(decided);
        }
    }
    run
}

fn policy(ceiling: u32) -> Policy {
    Policy::within(Duration::from_secs(60), 1, ceiling)
}

#[test]
fn a_bulk_upload_is_worked_off_within_the_target_and_the_fleet_returns_to_the_floor() {
    // 12,000 images within 20 s, then nothing.
    let run = run(&policy(40), 3_600, |second| if second < 20 { 600.0 } else { 0.0 });
    // Twenty for the backlog; a quarter more while it looks like a stream of such a rate.
    assert!((20..=25).contains(&run.most()), "{}", run.most());
    let limit = 60 + START + 2 * LOOK;
    assert!(run.drained.is_some_and(|seconds| seconds <= limit), "{:?}", run.drained);
    assert_eq!((run.flaps(600), run.last()), (0, 1));
}

#[test]
fn a_bulk_upload_beyond_the_ceiling_takes_as_long_as_the_ceiling_needs() {
    // 60,000 images for ten workers: 600 s at least.
    let run = run(&policy(10), 3_600, |second| if second < 20 { 3_000.0 } else { 0.0 });
    assert_eq!(run.most(), 10);
    let drained = run.drained.expect("drained");
    assert!((580..=680).contains(&drained), "{drained}");
    assert_eq!((run.flaps(600), run.last()), (0, 1));
}

#[test]
fn a_steady_load_gets_a_steady_fleet_and_nobody_waits_for_the_target() {
    let run = run(&policy(40), 3_600, |_| 73.0);
    let settled = &run.wanted[600 / LOOK..];
    assert!(settled.iter().all(|wanted| *wanted == settled[0]), "{settled:?}");
    assert_eq!(settled[0], 10, "a quarter more than what arrives");
    assert!(run.waiting[1_200..].iter().all(|waiting| *waiting < 100.0));
    assert_eq!(run.flaps(600), 0);
}

#[test]
fn a_day_is_followed_up_and_down_without_flapping() {
    const DAY: f64 = 86_400.0;
    // Quiet nights, a peak of 200 images a second at noon, and bumps of two minutes and a half.
    let arrivals = |second: usize| {
        let time = second as f64;
        let day = 0.5 - 0.5 * (time / DAY * std::f64::consts::TAU).cos();
        let bumps = 1.0 + 0.2 * (time / 150.0 * std::f64::consts::TAU).sin();
        200.0 * day.powi(2) * bumps
    };
    let run = run(&policy(40), DAY as usize, arrivals);
    assert!((25..=32).contains(&run.most()), "{}", run.most());
    assert!(run.longest <= 60.0, "{}", run.longest);
    assert!(run.last() <= 2);
    assert_eq!(run.flaps(600), 0);
}

#[test]
fn bursts_again_and_again_keep_the_fleet_that_they_need() {
    // Every two minutes, 1,500 images in ten seconds.
    let run = run(&policy(40), 7_200, |second| if second % 120 < 10 { 150.0 } else { 0.0 });
    assert!(run.longest <= 120.0, "{}", run.longest);
    let settled = &run.wanted[1_800 / LOOK..];
    let (least, most) = (settled.iter().min().expect("looked"), settled.iter().max());
    assert!(most.expect("looked") - least <= 1, "{settled:?}");
}

#[test]
fn a_fleet_of_none_starts_for_the_first_image_and_ends_after_the_last() {
    let none = Policy { floor: 0, ..policy(10) };
    let run = run(&none, 1_800, |second| if second == 300 { 1.0 } else { 0.0 });
    assert_eq!((run.wanted[0], run.most(), run.last()), (0, 1, 0));
    assert!(run.drained.is_some_and(|seconds| seconds <= START + LOOK));
}
