//! `lobar plan`: how many workers, what waits, what it costs. Reads the question and prints the answer; the simulation is
//! [`lobar_plan`].

mod trace;

use std::path::Path;
use std::time::Duration;

use lobar_console::{out, outln};
use lobar_core::image::Lane;
use lobar_core::time::Stamp;
use lobar_plan::arrivals::{Arrival, Profile, Shape};
use lobar_plan::{Comparison, Goal, Plan, WorkerModel, plot, table};
use serde_json::{Value, json};

use crate::cli;
use crate::failure::Failure;
use crate::settings::Settings;
use trace::Trace;

/// Batches that a worker holds: what it computes, and what it fetches and decodes meanwhile.
const BATCHES_IN_HAND: usize = 4;
const DAY: u64 = 86_400;

/// Answers.
pub async fn run(args: cli::Plan) -> Result<(), Failure> {
    let mut given = args.service.given.clone();
    given.scale_floor = args.min.or(given.scale_floor);
    given.scale_ceiling = args.max.or(given.scale_ceiling);
    let settings = Settings::load(given, args.service.config.clone())?;
    let trace = match args.from_store {
        Some(last) => Some(trace::read(&settings, last.time()).await?),
        None => None,
    };
    let arrivals = match &trace {
        Some(trace) => trace.arrivals.clone(),
        None => arrivals(&args)?,
    };
    let plan = plan(&args, &settings, arrivals)?;
    // Not of the runtime's threads: it computes for seconds.
    let answer = tokio::task::spawn_blocking(move || (plan.compare(), plan));
    let (comparison, plan) = answer.await.map_err(Failure::failed)?;
    let clock = |seconds: f64| clock(args.begin, seconds);
    if let Some(file) = &args.plot {
        let written = std::fs::write(file, plot(&comparison, &clock));
        written.map_err(|e| Failure::failed(format!("{}: {e}", file.display())))?;
    }
    if args.json {
        outln!("{}", as_json(&plan, &comparison, trace.as_ref()));
    } else {
        outln!("{}\n", question(&plan, &clock));
        out!("{}", table(&comparison, &clock));
        outln!("\n{}", inverse(&comparison));
        if let Some(trace) = trace {
            outln!("{}", trace.text(&clock));
        }
    }
    Ok(())
}

fn arrivals(args: &cli::Plan) -> Result<Vec<Arrival>, Failure> {
    let over = args.over.time();
    let shape = match args.arrivals.as_str() {
        "bulk" => Shape::Bulk { over },
        "steady" => Shape::Steady { over },
        "day" => Shape::Day { begin: Duration::from_secs(args.begin.unwrap_or(0)) },
        file => {
            let named = |error: &dyn std::fmt::Display| Failure::usage(format!("{file}: {error}"));
            let text = std::fs::read_to_string(file).map_err(|e| named(&e))?;
            return Ok(Profile::parse(&text).map_err(|e| named(&e))?.arrivals(args.seed));
        }
    };
    let images = args.images.ok_or_else(|| Failure::usage("--images says how many arrive"))?;
    Ok(shape.arrivals(usize::try_from(images).unwrap_or(usize::MAX), args.stat, args.seed))
}

fn plan(args: &cli::Plan, settings: &Settings, arrivals: Vec<Arrival>) -> Result<Plan, Failure> {
    let rate = match (&args.bench, args.rate) {
        (Some(file), _) => rate_of(file)?,
        (None, rate) => rate.ok_or_else(|| Failure::usage("--rate or --bench is needed"))?,
    };
    // The next such time of day after the beginning.
    let by = args.by.zip(args.begin).map(|(by, begin)| match (DAY + by - begin) % DAY {
        0 => Duration::from_secs(DAY),
        seconds => Duration::from_secs(seconds),
    });
    let finished_by = by.or(args.within.map(|within| within.time()));
    Ok(Plan {
        arrivals,
        worker: WorkerModel {
            rate,
            together: args.together,
            start_up: Duration::from_secs(args.startup),
            in_hand: BATCHES_IN_HAND * settings.batch.count(),
            lease: Duration::from_secs(args.lease),
            losses: args.spot_losses,
        },
        policy: settings.scaling(),
        goal: Goal { finished_by, wait: args.wait.map(Duration::from_secs) },
        price: args.price,
        fixed: args.fixed,
        queue_length: args.queue_length,
        seed: args.seed,
    })
}

/// Images a second in what `lobar bench` printed.
fn rate_of(file: &Path) -> Result<f64, Failure> {
    let named = |what: String| Failure::usage(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| named(e.to_string()))?;
    let figures: Value = serde_json::from_str(&text).map_err(|e| named(e.to_string()))?;
    let pipeline = figures.get("pipeline").unwrap_or(&figures);
    let rate = pipeline["images_per_second"].as_f64().filter(|rate| *rate > 0.0);
    rate.ok_or_else(|| {
        named("no images_per_second; `lobar bench pipeline --json` prints it".into())
    })
}

/// A time of day where one is known for the beginning, and the time since then otherwise.
fn clock(begin: Option<u64>, seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match begin {
        Some(begin) => {
            let time = begin + whole;
            let later = match time / DAY {
                0 => String::new(),
                days => format!(" +{days}d"),
            };
            format!("{:02}:{:02}{later}", time % DAY / 3_600, time % 3_600 / 60)
        }
        None => format!("{}:{:02}:{:02}", whole / 3_600, whole % 3_600 / 60, whole % 60),
    }
}

fn question(plan: &Plan, clock: &dyn Fn(f64) -> String) -> String {
    let urgent = plan.arrivals.iter().filter(|arrival| arrival.lane == Lane::Stat).count();
    let last = plan.arrivals.last().map_or(Stamp(0), |arrival| arrival.at);
    let WorkerModel { rate, start_up, losses, .. } = plan.worker;
    let mut text = format!(
        "{} images, {urgent} of them urgent, from {} to {}; {rate:.1} images/s a worker, which is up after {} s, and is lost \
         {losses} times an hour.",
        plan.arrivals.len(),
        clock(0.0),
        clock(last.since(Stamp(0)).as_secs_f64()),
        start_up.as_secs(),
    );
    if let Some(by) = plan.goal.finished_by {
        text += &format!(" Goal: finished by {}.", clock(by.as_secs_f64()));
    }
    if let Some(wait) = plan.goal.wait {
        text += &format!(" Goal: 95 of 100 images within {} s.", wait.as_secs());
    }
    text
}

fn inverse(comparison: &Comparison) -> String {
    match (comparison.goal.is_any(), comparison.fewest) {
        (true, Some(1)) => "One worker that always runs is enough.".into(),
        (true, Some(workers)) => format!("The fewest fixed workers that are enough: {workers}."),
        (true, None) => "No fixed number of workers is enough.".into(),
        (false, _) => "No goal was given (--by, --within, --wait).".into(),
    }
}

fn as_json(plan: &Plan, comparison: &Comparison, trace: Option<&Trace>) -> Value {
    let reports: Vec<_> = comparison.outcomes.iter().map(|outcome| &outcome.report).collect();
    json!({
        "images": plan.arrivals.len(),
        "images_per_second": plan.worker.rate,
        "goal": {
            "finished_by": plan.goal.finished_by.map(|by| by.as_secs_f64()),
            "wait": plan.goal.wait.map(|wait| wait.as_secs_f64()),
        },
        "fewest_fixed": comparison.fewest,
        "sizings": reports,
        "measured": trace.map(Trace::json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_day_where_its_beginning_is_known() {
        let evening = Some(22 * 3_600);
        assert_eq!(clock(evening, 59.0), "22:00");
        assert_eq!(clock(evening, 36_000.0), "08:00 +1d");
        assert_eq!(clock(None, 3_725.4), "1:02:05");
    }

    #[test]
    fn the_rate_is_read_from_both_forms_of_the_measurement() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bench.json");
        for text in
            [r#"{"images_per_second": 42.5}"#, r#"{"pipeline": {"images_per_second": 42.5}}"#]
        {
            std::fs::write(&file, text).expect("written");
            assert_eq!(rate_of(&file).expect("read"), 42.5);
        }
        std::fs::write(&file, r#"{"engine": 1}"#).expect("written");
        assert!(rate_of(&file).expect_err("refused").to_string().contains("images_per_second"));
    }
}
