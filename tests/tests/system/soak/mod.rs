//! A long run under a steady load: throughput, memory, descriptors and threads stay as they are (checklist T14).
//!
//! `LOBAR_BIN=target/release/lobar SOAK_MINUTES=60 cargo test --workspace --test system -- --ignored --nocapture
//! an_hour`. Without the variable it is an hour; `SOAK_RATE` is images a second, 1 unless said otherwise.

#![allow(clippy::print_stdout)] // the curve is to be read

mod load;
mod trend;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lobar_tests::kit::{Lobar, ProcessFigures};
use tokio::time::{MissedTickBehavior, interval};

use self::load::Load;
use self::trend::{Trend, median};

/// Between two samples.
const EVERY: Duration = Duration::from_secs(10);
/// Samples of one line of the curve: five minutes.
const LINE: usize = 30;
/// The part of the run in which pools, caches and the allocator fill, as one in so many.
const WARM_UP: usize = 4;
/// By how much of the first half's median throughput may fall and memory rise in the second half.
const ALLOWED: f64 = 0.05;
/// How many more descriptors and threads there may be in the second half: pools open and close a few connections as
/// they need them. One lost every three minutes is more.
const CONNECTIONS: f64 = 6.0;

/// What is looked at every ten seconds.
struct Sample {
    acknowledged: u64,
    results: u64,
    process: ProcessFigures,
    /// The median time of a list in milliseconds.
    list: f64,
}

fn number(name: &str, otherwise: f64) -> f64 {
    #[allow(clippy::disallowed_methods, reason = "a test's own setting")]
    let set = std::env::var(name).ok();
    set.map_or(otherwise, |text| text.parse().expect("a number"))
}

async fn samples(lobar: &Lobar, load: &Load, count: usize) -> Vec<Sample> {
    let mut pace = interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.tick().await;
    println!("| minute | uploads | results | resident MiB | descriptors | threads | a list, ms |");
    println!("|---|---|---|---|---|---|---|");
    let mut samples: Vec<Sample> = Vec::with_capacity(count);
    while samples.len() < count {
        pace.tick().await;
        let lists = load.counts.take_lists();
        samples.push(Sample {
            acknowledged: load.counts.acknowledged.load(Relaxed),
            results: load.page.results().len() as u64,
            process: ProcessFigures::of(lobar.pid()),
            list: if lists.is_empty() { f64::NAN } else { median(lists) },
        });
        if samples.len().is_multiple_of(LINE) {
            tell(&samples);
        }
    }
    samples
}

/// A line of the curve: medians of the last five minutes.
fn tell(samples: &[Sample]) {
    let line = &samples[samples.len() - LINE..];
    let of = |figure: fn(&Sample) -> f64| median(line.iter().map(figure).collect());
    let last = &line[LINE - 1];
    println!(
        "| {} | {} | {} | {:.0} | {} | {} | {:.1} |",
        samples.len() as u64 * EVERY.as_secs() / 60,
        last.acknowledged,
        last.results,
        of(|it| it.process.resident as f64) / f64::from(1 << 20),
        of(|it| it.process.descriptors as f64),
        of(|it| it.process.threads as f64),
        of(|it| it.list),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes an hour; docs/reliability.md has its curve"]
async fn an_hour_of_steady_load_leaves_throughput_memory_descriptors_and_threads_as_they_were() {
    let minutes = number("SOAK_MINUTES", 60.0);
    let dir = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::up(&dir.path().join("data"));
    let mut load = Load::begin(&lobar, number("SOAK_RATE", 1.0)).await;
    let count = (minutes * 60.0 / EVERY.as_secs_f64()) as usize;
    assert!(count >= 4 * WARM_UP, "{minutes} minutes are too short to tell a trend");
    let samples = samples(&lobar, &load, count).await;
    load.end_uploads().await;

    let warm = &samples[count / WARM_UP..];
    let of = |figure: fn(&Sample) -> f64| Trend::of(&warm.iter().map(figure).collect::<Vec<_>>());
    // Results of a minute: those of ten seconds are too few.
    let done: Vec<f64> = warm.windows(7).map(|w| (w[6].results - w[0].results) as f64).collect();
    let throughput = Trend::of(&done);
    let resident = of(|it| it.process.resident as f64);
    let rising = [
        ("resident memory", resident, resident.first * ALLOWED),
        ("descriptors", of(|it| it.process.descriptors as f64), CONNECTIONS),
        ("threads", of(|it| it.process.threads as f64), CONNECTIONS),
    ];
    println!("results a minute: {throughput:?}");
    rising.iter().for_each(|(name, trend, _)| println!("{name}: {trend:?}"));

    let counts = &load.counts;
    let (attempted, acknowledged) =
        (counts.attempted.load(Relaxed), counts.acknowledged.load(Relaxed));
    let results = load.page.results();
    let lost = acknowledged.saturating_sub(results.len() as u64);
    let duplicated = results.values().filter(|shown| shown.len() > 1).count();
    let failed = counts.failed.load(Relaxed);
    println!(
        "attempted {attempted}, acknowledged {acknowledged}, lost {lost}, duplicated {duplicated}, recovered 0, \
         unexpected {failed}; {} MiB on event streams",
        counts.streamed.load(Relaxed) >> 20
    );
    load.end().await;
    assert_eq!(lobar.stop(), 0, "a clean stop");
    assert_eq!((lost, duplicated, failed), (0, 0, 0));
    let least = throughput.first * ALLOWED;
    assert!(throughput.does_not_fall(least), "throughput fell: {throughput:?}");
    for (name, trend, most) in rising {
        assert!(trend.does_not_rise(most), "{name} rose: {trend:?}");
    }
}
