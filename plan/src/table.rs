//! The comparison as a table for people.

use lobar_core::image::Lane;

use crate::comparison::Comparison;
use crate::report::Report;

/// A line a way of sizing. `clock` says how a time, in seconds from the beginning, is written.
pub fn table(comparison: &Comparison, clock: &dyn Fn(f64) -> String) -> String {
    let reports: Vec<&Report> = comparison.outcomes.iter().map(|it| &it.report).collect();
    let mut rows = vec![heading(&reports)];
    rows.extend(reports.iter().map(|report| row(report, &reports, clock)));
    let columns = rows[0].len();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            match column {
                0 => text += &format!("{cell:<0$}", widths[0]),
                _ => text += &format!("  {cell:>0$}", widths[column]),
            }
        }
        text.push('\n');
    }
    text
}

fn lanes(reports: &[&Report]) -> Vec<Lane> {
    let is_used = |lane: &Lane| reports.iter().any(|report| report.waits.of(*lane).is_some());
    Lane::ALL.into_iter().filter(is_used).collect()
}

fn heading(reports: &[&Report]) -> Vec<String> {
    let mut cells = vec!["SIZING".to_owned()];
    for lane in lanes(reports) {
        let lane = lane.as_str().to_uppercase();
        cells.extend(["P50", "P95", "P99"].map(|share| format!("{lane} {share}")));
    }
    cells.extend(["FINISHED", "WORKERS", "LOST", "WORKER-HOURS"].map(str::to_owned));
    cells.extend(reports.iter().any(|it| it.cost.is_some()).then(|| "COST".to_owned()));
    cells.extend(reports.iter().any(|it| it.met.is_some()).then(|| "GOAL".to_owned()));
    cells
}

fn row(report: &Report, all: &[&Report], clock: &dyn Fn(f64) -> String) -> Vec<String> {
    let mut cells = vec![report.sizing.clone()];
    for lane in lanes(all) {
        match report.waits.of(lane) {
            Some(waits) => cells.extend([waits.p50, waits.p95, waits.p99].map(span)),
            None => cells.extend(["", "", ""].map(str::to_owned)),
        }
    }
    cells.push(match report.finished {
        Some(finished) => clock(finished),
        None => format!("{} never", report.unfinished),
    });
    cells.extend([report.most_workers, report.lost_workers].map(|count| count.to_string()));
    cells.push(format!("{:.1}", report.worker_hours));
    cells.extend(report.cost.map(|cost| format!("{cost:.2}")));
    cells.extend(report.met.map(|met| if met { "met" } else { "missed" }.to_owned()));
    cells
}

/// Seconds, as short as they are of use.
fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..600 => format!("{whole} s"),
        600..7_200 => format!("{} min", (seconds / 60.0).round()),
        _ => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::image::Lanes;
    use lobar_core::time::Stamp;

    use super::*;
    use crate::Goal;
    use crate::comparison::Outcome;
    use crate::report::Waits;
    use crate::simulation::Run;

    #[test]
    fn times_are_as_short_as_they_are_of_use() {
        let spans = [0.042, 9.4, 61.2, 599.0, 640.0, 7_260.0].map(span);
        assert_eq!(spans, ["0.04 s", "9.40 s", "61 s", "599 s", "11 min", "2 h 01 min"]);
    }

    #[test]
    fn lanes_costs_and_goals_that_nobody_asked_for_have_no_column() {
        let waits = Waits { images: 2, p50: 1.0, p95: 20.0, p99: 30.0, longest: 30.0 };
        let report = Report {
            sizing: "lobar".into(),
            waits: Lanes { stat: None, routine: Some(waits) },
            finished: Some(90.0),
            unfinished: 0,
            most_workers: 3,
            lost_workers: 0,
            worker_hours: 1.25,
            cost: None,
            met: None,
        };
        let (finished, unfinished, most, worker_seconds, lost) = (Stamp(0), 0, 3, 0.0, 0);
        let (waits, samples) = (Lanes::default(), Vec::new());
        let run = Run { waits, samples, finished, unfinished, most, worker_seconds, lost };
        let outcomes = vec![Outcome { report, run }];
        let comparison = Comparison { goal: Goal::default(), fewest: None, outcomes };
        let text = table(&comparison, &|seconds| format!("{seconds} s"));
        let words: Vec<&str> = text.lines().next().unwrap_or_default().split("  ").collect();
        let expected =
            "SIZING  ROUTINE P50  ROUTINE P95  ROUTINE P99  FINISHED  WORKERS  LOST  WORKER-HOURS";
        assert_eq!(words, expected.split("  ").collect::<Vec<_>>());
        let row: Vec<&str> = text.lines().nth(1).unwrap_or_default().split_whitespace().collect();
        let expected = "lobar 1.00 s 20 s 30 s 90 s 3 0 1.2";
        assert_eq!(row, expected.split(' ').collect::<Vec<_>>());
    }
}
