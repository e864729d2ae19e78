//! The simulation against what is known of queues.

use lobar_core::scaling::Policy;

use super::*;
use crate::arrivals::Shape;
use crate::sizing::{Fixed, Lobar, QueueLength};

/// Ten images a second, one in hand, up at once.
fn worker() -> WorkerModel {
    WorkerModel {
        rate: 10.0,
        together: None,
        start_up: Duration::ZERO,
        in_hand: 1,
        lease: Duration::from_secs(30),
        losses: 0.0,
    }
}

fn bulk(images: usize, seconds: u64) -> Vec<Arrival> {
    Shape::Bulk { over: Duration::from_secs(seconds) }.arrivals(images, 0.0, 1)
}

fn fixed(arrivals: &[Arrival], worker: &WorkerModel, workers: u32) -> Run {
    simulate(arrivals, worker, &mut Fixed(workers), Duration::ZERO, 1)
}

/// The mean time before an image is begun, in seconds.
fn mean_delay(run: &Run, service: f64) -> f64 {
    let waits = &run.waits.routine;
    waits.iter().map(Duration::as_secs_f64).sum::<f64>() / waits.len() as f64 - service
}

/// Seconds of a Poisson process of `rate` images a second.
fn poisson(rate: f64, images: usize, seed: u64) -> Vec<Arrival> {
    let over = Duration::from_secs_f64(images as f64 / rate);
    Shape::Steady { over }.arrivals(images, 0.0, seed)
}

#[test]
fn the_mean_delay_of_one_worker_is_that_of_pollaczek_and_khinchine() {
    // M/D/1: ρ / (2 μ (1 − ρ)).
    for utilisation in [0.3, 0.5, 0.8] {
        let run = fixed(&poisson(10.0 * utilisation, 100_000, 3), &worker(), 1);
        let expected = utilisation / (2.0 * 10.0 * (1.0 - utilisation));
        let found = mean_delay(&run, 0.1);
        assert!((found / expected - 1.0).abs() < 0.05, "{utilisation}: {found}, not {expected}");
    }
}

#[test]
fn the_mean_delay_of_several_workers_is_near_that_of_m_d_c() {
    // Erlang's C gives M/M/c; constant services halve it, which Cosmetatos corrects.
    let (workers, utilisation) = (4_u32, 0.8);
    let c = f64::from(workers);
    let offered = c * utilisation;
    let term = |n: u32| offered.powi(n as i32) / (1..=n).map(f64::from).product::<f64>();
    let last = term(workers) / (1.0 - utilisation);
    let erlang = last / ((0..workers).map(term).sum::<f64>() + last);
    let m_m_c = erlang / (c * 10.0 * (1.0 - utilisation));
    let correction =
        (1.0 - utilisation) * (c - 1.0) * ((4.0 + 5.0 * c).sqrt() - 2.0) / (16.0 * utilisation * c);
    let expected = m_m_c / 2.0 * (1.0 + correction);
    let run = fixed(&poisson(10.0 * offered, 200_000, 5), &worker(), workers);
    let found = mean_delay(&run, 0.1);
    assert!((found / expected - 1.0).abs() < 0.05, "{found}, not {expected}");
}

#[test]
fn littles_law_holds() {
    let arrivals = poisson(35.0, 100_000, 8);
    let run = fixed(&arrivals, &worker(), 4);
    let within = run.samples.iter().map(|sample| sample.unfinished as f64).sum::<f64>();
    let mean = within / run.samples.len() as f64;
    let rate = arrivals.len() as f64 / run.samples.len() as f64;
    let expected = rate * (mean_delay(&run, 0.1) + 0.1);
    assert!((mean / expected - 1.0).abs() < 0.05, "{mean}, not {expected}");
}

#[test]
fn a_backlog_takes_its_images_by_the_rate_of_all_workers() {
    let run = fixed(&bulk(3_000, 0), &worker(), 5);
    assert_eq!(run.finished, Stamp(60_000_000));
    assert_eq!((run.unfinished, run.most), (0, 5));
    assert_eq!(run.worker_seconds, 5.0 * 61.0, "until somebody looks");
    let shared = WorkerModel { together: Some(20.0), ..worker() };
    let run = fixed(&bulk(3_000, 0), &shared, 5);
    assert!((run.finished.since(Stamp(0)).as_secs_f64() - 150.0).abs() < 1.0, "{:?}", run.finished);
}

#[test]
fn a_worker_does_nothing_before_it_is_up_and_costs_from_its_start() {
    let worker = WorkerModel { start_up: Duration::from_secs(120), ..worker() };
    let none = Policy { floor: 0, ..Policy::default() };
    let run = simulate(&bulk(10, 0), &worker, &mut Lobar::new(none), Duration::ZERO, 1);
    assert_eq!(run.finished, Stamp(121_000_000));
    assert!(run.worker_seconds >= 121.0, "{}", run.worker_seconds);
}

#[test]
fn the_policy_starts_no_more_workers_than_the_ceiling() {
    let worker = WorkerModel { start_up: Duration::from_secs(60), ..worker() };
    let policy = Policy::within(Duration::from_secs(60), 1, 7);
    let run = simulate(&bulk(60_000, 60), &worker, &mut Lobar::new(policy), Duration::ZERO, 1);
    let most = |of: fn(&Sample) -> u32| run.samples.iter().map(of).max();
    assert_eq!((most(|it| it.wanted), most(|it| it.running), run.most), (Some(7), Some(7), 7));
    assert_eq!(run.samples.last().map(|sample| sample.running), Some(1), "it returns to the floor");
}

#[test]
fn the_policy_meets_its_target_and_the_start_up_on_a_backlog_that_its_ceiling_allows() {
    let worker = WorkerModel { start_up: Duration::from_secs(120), in_hand: 64, ..worker() };
    let policy = Policy::within(Duration::from_secs(300), 1, 100);
    let run = simulate(&bulk(30_000, 10), &worker, &mut Lobar::new(policy), Duration::ZERO, 1);
    let seconds = run.finished.since(Stamp(0)).as_secs_f64();
    // Sooner, since so many at once look like a stream of such a rate.
    assert!((120.0..=425.0).contains(&seconds), "{seconds}");
}

#[test]
fn urgent_images_wait_for_no_routine_one_that_waits() {
    let urgent = |number: usize| if number % 100 == 99 { Lane::Stat } else { Lane::Routine };
    let lanes = |(number, arrival): (usize, Arrival)| Arrival { lane: urgent(number), ..arrival };
    let arrivals: Vec<_> = bulk(6_000, 300).into_iter().enumerate().map(lanes).collect();
    let run = fixed(&arrivals, &WorkerModel { in_hand: 64, ..worker() }, 1);
    let longest = |waits: &[Duration]| waits.iter().max().copied().unwrap_or_default();
    assert!(longest(&run.waits.stat) <= Duration::from_millis(400), "{:?}", run.waits.stat);
    assert!(longest(&run.waits.routine) > Duration::from_secs(250));
}

#[test]
fn no_image_is_lost_or_done_twice_when_workers_are_lost_all_the_time() {
    let start_up = Duration::from_secs(20);
    let worker = WorkerModel { losses: 30.0, in_hand: 64, start_up, ..worker() };
    for seed in 0..20 {
        let arrivals = Shape::Steady { over: Duration::from_secs(600) }.arrivals(5_000, 0.1, seed);
        let policy = Policy::within(Duration::from_secs(60), 1, 10);
        let run = simulate(&arrivals, &worker, &mut Lobar::new(policy), Duration::ZERO, seed);
        let finished = run.waits.stat.len() + run.waits.routine.len();
        assert_eq!((finished, run.unfinished), (5_000, 0), "seed {seed}");
        assert!(run.lost > 0 && run.samples.iter().all(|sample| sample.running <= 10));
    }
}

#[test]
fn a_lost_worker_is_replaced_and_what_it_held_comes_back_after_the_lease() {
    let start_up = Duration::from_secs(10);
    let worker = WorkerModel { losses: 60.0, start_up, ..worker() };
    let run = fixed(&bulk(3_000, 0), &worker, 1);
    assert!(run.lost > 0);
    // 300 s of work, and each loss costs a start-up and less than a second until somebody looks.
    let seconds = run.finished.since(Stamp(0)).as_secs_f64();
    let losses = f64::from(run.lost);
    assert!((300.0..=300.0 + losses * 11.2 + 30.0).contains(&seconds), "{seconds}, {losses} lost");
}

#[test]
fn a_queue_that_nobody_reads_is_given_up_and_said_so() {
    let run = fixed(&bulk(10, 0), &worker(), 0);
    assert_eq!((run.unfinished, run.waits.routine.len()), (10, 0));
}

#[test]
fn what_scales_in_finishes_what_it_has_in_hand() {
    let worker = WorkerModel { in_hand: 64, ..worker() };
    let policy = Policy::within(Duration::from_secs(60), 1, 20);
    let run =
        simulate(&bulk(2_000, 0), &worker, &mut QueueLength::new(5, &policy), Duration::ZERO, 1);
    assert_eq!((run.waits.routine.len(), run.unfinished), (2_000, 0));
    assert_eq!(run.samples.last().map(|sample| sample.running), Some(1));
}
