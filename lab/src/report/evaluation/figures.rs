//! The tables.

use maud::{Markup, html};

use crate::evaluation::{
    AtThreshold, ClassReport, Confusion, Evaluation, Interval, SubtypeFigures,
};
use crate::report::number::{count, figure, percent, with_interval};
use crate::report::page::table;

type Row = (&'static str, fn(&AtThreshold) -> (Option<f64>, Option<Interval>));

const ROWS: [Row; 7] = [
    ("accuracy", |it| (it.accuracy, it.accuracy_interval)),
    ("sensitivity (recall of pneumonia)", |it| (it.sensitivity, it.sensitivity_interval)),
    ("specificity (recall of normal)", |it| (it.specificity, it.specificity_interval)),
    ("positive predictive value", |it| {
        (it.pneumonia.precision, it.positive_predictive_value_interval)
    }),
    ("negative predictive value", |it| {
        (it.normal.precision, it.negative_predictive_value_interval)
    }),
    ("F1 of pneumonia", |it| (it.pneumonia.f1, it.pneumonia_f1_interval)),
    ("F1 of normal", |it| (it.normal.f1, it.normal_f1_interval)),
];

pub(super) fn figures(it: &Evaluation) -> Markup {
    let whole = [
        ("AUC, pneumonia against normal", it.auc, it.auc_interval),
        ("average precision of pneumonia", it.average_precision, it.average_precision_interval),
        ("calibration error (15 bins)", Some(it.calibration_error), it.calibration_error_interval),
        ("Brier score", Some(it.brier), it.brier_interval),
    ];
    let whole =
        whole.map(|(name, value, interval)| vec![name.to_owned(), with_interval(value, interval)]);
    let cell = |at: &AtThreshold, of: Row| {
        let (value, interval) = of.1(at);
        with_interval(value, interval)
    };
    let rows =
        ROWS.map(|row| vec![row.0.to_owned(), cell(&it.at_threshold, row), cell(&it.at_half, row)]);
    let threshold = format!("at its threshold {:.4}", it.at_threshold.threshold);
    html! {
        (table(&["without a threshold", "95 % interval in brackets"], &whole))
        (table(&["at a threshold", &threshold, "at 0.5"], &rows))
        p.soft { "A threshold belongs to one model. 0.5 stands here only to compare with figures published at 0.5." }
    }
}

/// The films that one unit may have made, told by the text in their corners.
pub(super) fn groups(it: &Evaluation) -> Markup {
    let rows: Vec<Vec<String>> = it
        .groups
        .iter()
        .map(|it| {
            vec![
                it.group.clone(),
                count(it.normal),
                count(it.pneumonia),
                figure(it.auc),
                percent(it.sensitivity),
                percent(it.specificity),
            ]
        })
        .collect();
    html! {
        p { "Text in a corner names the unit. Where the figures of one group are far from those of the others, the model knows the unit." }
        (table(&["", "normal", "pneumonia", "AUC", "sensitivity", "specificity"], &rows))
    }
}

/// Matrix and classification report at both thresholds.
pub(super) fn confusion(it: &Evaluation) -> Markup {
    let both = [
        (format!("At its threshold {:.4}", it.at_threshold.threshold), &it.at_threshold),
        ("At 0.5".to_owned(), &it.at_half),
    ];
    html! {
        div.side {
            @for (title, at) in &both {
                div {
                    h3 { (title) }
                    (matrix(&at.confusion, ["normal", "pneumonia"], ["not flagged", "flagged"]))
                    (report(&[("NORMAL", &at.normal), ("PNEUMONIA", &at.pneumonia)], Some(at)))
                }
            }
        }
    }
}

pub(super) fn subtype(it: &Evaluation) -> Markup {
    let Some(SubtypeFigures {
        images,
        auc,
        auc_interval,
        accuracy,
        accuracy_interval,
        confusion,
        viral,
        bacterial,
        ..
    }) = &it.subtype
    else {
        return html! { p { "No image here is labelled with a cause." } };
    };
    html! {
        p {
            strong { "Experimental." } " On " (count(*images)) " images labelled with a cause: AUC of bacterial against viral "
            (with_interval(*auc, *auc_interval)) ", accuracy at 0.5 " (with_interval(*accuracy, *accuracy_interval))
            ". Labels come from the data set's file names. No decision may rest on this output."
        }
        (matrix(confusion, ["viral", "bacterial"], ["said viral", "said bacterial"]))
        (report(&[("VIRAL", viral), ("BACTERIAL", bacterial)], None))
    }
}

/// The negative class first; shares are of a row.
fn matrix(counts: &Confusion, labels: [&str; 2], answers: [&str; 2]) -> Markup {
    let Confusion { true_positive, false_positive, true_negative, false_negative } = *counts;
    let rows = [
        (labels[0], [(true_negative, true), (false_positive, false)]),
        (labels[1], [(false_negative, false), (true_positive, true)]),
    ];
    html! {
        div.wide {
            table.confusion {
                thead { tr { th scope="col" { "labelled" } @for answer in answers { th scope="col" { (answer) } } } }
                tbody {
                    @for (label, cells) in rows {
                        @let sum = cells[0].0 + cells[1].0;
                        tr {
                            th scope="row" { (label) }
                            @for (number, is_right) in cells {
                                @let share = number as f64 / sum.max(1) as f64;
                                td class=(if is_right { "right" } else { "wrong" }) style=(format!("--share:{share:.3}")) {
                                    (count(number)) small { (percent((sum > 0).then_some(share))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The classification report as scikit-learn prints it.
fn report(rows: &[(&str, &ClassReport)], averages: Option<&AtThreshold>) -> Markup {
    let row = |name: &str, shares: [Option<f64>; 3], support: u64| {
        let mut cells = vec![name.to_owned()];
        cells.extend(shares.map(figure));
        cells.push(count(support));
        cells
    };
    let mut all: Vec<_> = rows
        .iter()
        .map(|(name, it)| row(name, [it.precision, it.recall, it.f1], it.support))
        .collect();
    if let Some(at) = averages {
        let support = at.normal.support + at.pneumonia.support;
        for (name, it) in
            [("macro average", &at.macro_average), ("weighted average", &at.weighted_average)]
        {
            all.push(row(name, [it.precision, it.recall, it.f1], support));
        }
    }
    table(&["class", "precision", "recall", "F1", "images"], &all)
}
