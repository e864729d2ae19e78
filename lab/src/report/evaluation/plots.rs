//! The plots.

use maud::{Markup, html};

use crate::evaluation::{AtThreshold, Evaluation, ScoreHistogram};
use crate::report::ReportError;
use crate::report::number::with_interval;
use crate::report::page::figure;
use crate::report::plot::{Axes, Drawing, Hue, plot};

pub(super) fn plots(it: &Evaluation) -> Result<Markup, ReportError> {
    Ok(html! {
        div.side {
            @if !it.roc.is_empty() { (roc(it)?) (precision_recall(it)?) }
            (reliability(it)?)
            (histogram(&it.scores, it.at_threshold.threshold)?)
            @if let Some(subtype) = it.subtype.as_ref().filter(|it| !it.roc.is_empty()) {
                @let curve = subtype.roc.iter().map(|it| (it.false_positive_rate, it.true_positive_rate)).collect();
                @let drawing = Drawing { lines: vec![(Hue::Pneumonia, curve)], reference: diagonal(), ..Drawing::default() };
                @let axes = Axes::of_shares("ROC of bacterial against viral", "viral said bacterial", "bacterial found");
                (figure(&plot(&axes, &drawing)?, &html! {
                    "ROC of bacterial against viral (experimental), area " (with_interval(subtype.auc, subtype.auc_interval)) "."
                }))
            }
        }
    })
}

fn diagonal() -> Vec<(f64, f64)> {
    vec![(0.0, 0.0), (1.0, 1.0)]
}

/// The two thresholds, as points of a curve.
fn marks(
    it: &Evaluation,
    place: impl Fn(&AtThreshold) -> Option<(f64, f64)>,
) -> Vec<(String, f64, f64)> {
    [("threshold", &it.at_threshold), ("0.5", &it.at_half)]
        .into_iter()
        .filter_map(|(name, at)| place(at).map(|(x, y)| (name.to_owned(), x, y)))
        .collect()
}

fn roc(it: &Evaluation) -> Result<Markup, ReportError> {
    let curve = it.roc.iter().map(|it| (it.false_positive_rate, it.true_positive_rate)).collect();
    let drawing = Drawing {
        lines: vec![(Hue::Normal, curve)],
        reference: diagonal(),
        marks: marks(it, |at| Some((1.0 - at.specificity?, at.sensitivity?))),
        ..Drawing::default()
    };
    let axes = Axes::of_shares("ROC curve", "1 - specificity", "sensitivity");
    Ok(figure(
        &plot(&axes, &drawing)?,
        &html! {
            "ROC curve, area " (with_interval(it.auc, it.auc_interval)) ". Dots: the model's threshold, and 0.5."
        },
    ))
}

fn precision_recall(it: &Evaluation) -> Result<Markup, ReportError> {
    let curve = it.precision_recall.iter().map(|it| (it.recall, it.precision)).collect();
    let counts = &it.at_threshold.confusion;
    let prevalence =
        (counts.true_positive + counts.false_negative) as f64 / it.images.max(1) as f64;
    let drawing = Drawing {
        lines: vec![(Hue::Normal, curve)],
        reference: vec![(0.0, prevalence), (1.0, prevalence)],
        marks: marks(it, |at| Some((at.pneumonia.recall?, at.pneumonia.precision?))),
        ..Drawing::default()
    };
    let axes = Axes::of_shares("Precision-recall curve", "recall", "precision");
    Ok(figure(
        &plot(&axes, &drawing)?,
        &html! {
            "Precision and recall of pneumonia, average precision " (with_interval(it.average_precision, it.average_precision_interval))
            ". Dashed: what guessing gives."
        },
    ))
}

fn reliability(it: &Evaluation) -> Result<Markup, ReportError> {
    let most = it.reliability.iter().map(|bin| bin.count).max().unwrap_or(1).max(1) as f64;
    // A dot's area grows with its pictures, from a radius of 3 to one of 11 pixels.
    let radius = |count: u64| 3 + (8.0 * (count as f64 / most).sqrt()).round() as i32;
    let drawing = Drawing {
        reference: diagonal(),
        lines: vec![(
            Hue::Normal,
            it.reliability.iter().map(|bin| (bin.confidence, bin.frequency)).collect(),
        )],
        dots: it
            .reliability
            .iter()
            .map(|bin| (bin.confidence, bin.frequency, radius(bin.count)))
            .collect(),
        ..Drawing::default()
    };
    let axes = Axes::of_shares("Reliability", "mean probability", "share labelled pneumonia");
    let rows: Vec<Vec<String>> = it
        .reliability
        .iter()
        .map(|bin| {
            vec![
                format!("{:.3}", bin.confidence),
                format!("{:.3}", bin.frequency),
                bin.count.to_string(),
            ]
        })
        .collect();
    Ok(html! {
        div {
            (figure(&plot(&axes, &drawing)?, &html! {
                "Reliability, calibration error " (with_interval(Some(it.calibration_error), it.calibration_error_interval))
                ". On the dashed line a probability means what it says; larger dots hold more images."
            }))
            details {
                summary { "As a table" }
                (crate::report::page::table(&["mean probability", "share labelled pneumonia", "images"], &rows))
            }
        }
    })
}

fn histogram(it: &ScoreHistogram, threshold: f64) -> Result<Markup, ReportError> {
    let share = |counts: &[u64]| -> Vec<f64> {
        let sum = counts.iter().sum::<u64>().max(1) as f64;
        counts.iter().map(|&count| count as f64 / sum).collect()
    };
    let (normal, pneumonia) = (share(&it.normal), share(&it.pneumonia));
    let highest = normal.iter().chain(&pneumonia).copied().fold(0.05, f64::max);
    let boxes = |hue: Hue, shares: &[f64]| -> Vec<(Hue, f64, f64, f64)> {
        let bins = shares.len() as f64;
        let bin = |(at, height): (usize, &f64)| {
            (hue, at as f64 / bins, (at as f64 + 1.0) / bins, *height)
        };
        shares.iter().enumerate().map(bin).collect()
    };
    let mut all = boxes(Hue::Normal, &normal);
    all.extend(boxes(Hue::Pneumonia, &pneumonia));
    all.retain(|it| it.3 > 0.0);
    let top = highest * 1.05;
    let drawing = Drawing {
        boxes: all,
        reference: vec![(threshold, 0.0), (threshold, top)],
        ..Drawing::default()
    };
    let axes = Axes {
        y_range: 0.0..top,
        ..Axes::of_shares("Scores of each class", "probability of pneumonia", "share of the class")
    };
    Ok(figure(
        &plot(&axes, &drawing)?,
        &html! {
            span.swatch.normal {} "labelled normal, " span.swatch.ill {} "labelled pneumonia, each as shares of its class. Dashed: the threshold."
        },
    ))
}
