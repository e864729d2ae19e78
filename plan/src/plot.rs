//! The comparison as a picture: what is unfinished and the workers, over time.

use crate::comparison::Comparison;
use crate::simulation::Sample;

const LEFT: f64 = 70.0;
const WIDTH: f64 = 700.0;
const HEIGHT: f64 = 170.0;
/// The tops of the two panels.
const TOPS: [f64; 2] = [58.0, 272.0];
/// Colours that people who see few of them tell apart (Okabe and Ito), and strokes that tell them apart in print.
const STYLES: [(&str, &str); 4] =
    [("#0072b2", "none"), ("#555555", "7 4"), ("#d55e00", "3 3"), ("#009e73", "9 3 2 3")];
/// Points of a curve.
const POINTS: usize = 350;

/// What is drawn of a second.
type Figure<'a> = &'a dyn Fn(&Sample) -> f64;

/// An SVG picture of 800 × 480. `clock` says how a time, in seconds from the beginning, is written.
pub fn plot(comparison: &Comparison, clock: &dyn Fn(f64) -> String) -> String {
    let runs: Vec<&[Sample]> = comparison.outcomes.iter().map(|it| &*it.run.samples).collect();
    let end = runs.iter().map(|run| run.len()).max().unwrap_or(1).max(2) - 1;
    let largest =
        |of: Figure<'_>| runs.iter().flat_map(|run| run.iter()).map(of).fold(1.0, f64::max);
    let panels: [(&str, Figure<'_>); 2] = [
        ("images that are not finished", &|sample| sample.unfinished as f64),
        ("workers that take work", &|sample| f64::from(sample.running)),
    ];
    let mut svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 480\" font-family=\"sans-serif\" \
        font-size=\"12\">\n<rect width=\"800\" height=\"480\" fill=\"white\"/>\n"
        .to_owned();
    svg += &legend(comparison);
    for ((title, of), top) in panels.into_iter().zip(TOPS) {
        let most = largest(of);
        svg += &frame(title, top, most);
        for (run, style) in runs.iter().zip(STYLES) {
            svg += &curve(run, of, [top, most, end as f64], style);
        }
        if let Some(by) = comparison.goal.finished_by.map(|by| by.as_secs_f64()) {
            let x = LEFT + by.min(end as f64) / end as f64 * WIDTH;
            svg += &format!(
                "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#b3261e\"/>\n",
                top + HEIGHT
            );
        }
    }
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let place = [LEFT + share * WIDTH, TOPS[1] + HEIGHT + 18.0];
        svg += &text(place, "middle", &clock(share * end as f64));
    }
    svg + "</svg>\n"
}

fn legend(comparison: &Comparison) -> String {
    let mut svg = String::new();
    for (number, (outcome, (colour, dashes))) in comparison.outcomes.iter().zip(STYLES).enumerate()
    {
        let x = LEFT + number as f64 * WIDTH / 4.0;
        svg += &format!(
            "<line x1=\"{x}\" y1=\"16\" x2=\"{}\" y2=\"16\" stroke=\"{colour}\" stroke-width=\"2\" \
            stroke-dasharray=\"{dashes}\"/>\n",
            x + 24.0
        );
        svg += &text([x + 28.0, 20.0], "start", &outcome.report.sizing);
    }
    svg
}

fn frame(title: &str, top: f64, most: f64) -> String {
    let bottom = top + HEIGHT;
    format!(
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#999\"/>\n"
    ) + &text([LEFT, top - 8.0], "start", title)
        + &text([LEFT - 6.0, top + 10.0], "end", &format!("{most:.0}"))
        + &text([LEFT - 6.0, bottom], "end", "0")
}

/// Each point is the largest of the seconds up to the next, so that no peak is lost. `[top, most, end]` are the panel's.
fn curve(
    run: &[Sample],
    of: Figure<'_>,
    [top, most, end]: [f64; 3],
    (colour, dashes): (&str, &str),
) -> String {
    let stride = ((end as usize + 1) / POINTS).max(1);
    let points = run.chunks(stride).enumerate().map(|(number, seconds)| {
        let x = LEFT + (number * stride) as f64 / end * WIDTH;
        let value = seconds.iter().map(of).fold(0.0, f64::max);
        format!("{x:.1},{:.1}", top + HEIGHT - value / most * HEIGHT)
    });
    let points = points.collect::<Vec<_>>().join(" ");
    format!(
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" stroke-dasharray=\"{dashes}\" \
        points=\"{points}\"/>\n"
    )
}

fn text([x, y]: [f64; 2], anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n")
}
