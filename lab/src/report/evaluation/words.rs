//! What was found, in sentences; what should make a reader doubt it first.

use maud::{Markup, html};

use super::EvaluatedSplit;
use crate::evaluation::Evaluation;
use crate::report::number::{count, figure, of, percent, range, with_interval};

/// Above this AUC a single number that knows nothing of lungs deserves a warning.
const SHORTCUT_WARNING: f64 = 0.7;
/// Above this distance of the mean probability from the frequency, probabilities deserve one.
const CALIBRATION_WARNING: f64 = 0.05;
/// Fewer patients of one class than this make every figure shaky.
const FEW: u64 = 50;

pub(super) fn summary(part: &EvaluatedSplit<'_>) -> Markup {
    let it = part.evaluation;
    let at = &it.at_threshold;
    let warnings = warnings(part);
    html! {
        p {
            "On " (of(it.images, "image", "images")) " of " (of(it.patients, "patient", "patients")) " (split " code { (part.split) } ") "
            "the model flags " strong { (percent(at.sensitivity)) } " of pneumonia and leaves " strong { (percent(at.specificity)) }
            " of normal images unflagged, at its threshold of " (format!("{:.3}", at.threshold)) ". Asked which of two images, one with "
            "pneumonia and one without, is the ill one, it is right in " strong { (percent(it.auc)) } " of all pairs (AUC "
            (with_interval(it.auc, it.auc_interval)) ")."
        }
        @if !warnings.is_empty() {
            ul.warnings { @for warning in &warnings { li { (warning) } } }
        }
        dl.key {
            (key("AUC", figure(it.auc), it.auc_interval.map(range)))
            (key("Sensitivity", figure(at.sensitivity), at.sensitivity_interval.map(range)))
            (key("Specificity", figure(at.specificity), at.specificity_interval.map(range)))
            (key("Accuracy", figure(at.accuracy), at.accuracy_interval.map(range)))
            (key("Calibration error", figure(Some(it.calibration_error)), it.calibration_error_interval.map(range)))
        }
    }
}

fn key(title: &str, value: String, interval: Option<String>) -> Markup {
    html! { div { dt { (title) } dd { (value) @if let Some(it) = interval { small { (it) } } } } }
}

fn warnings(part: &EvaluatedSplit<'_>) -> Vec<String> {
    let it = part.evaluation;
    let mut warnings = Vec::new();
    if part.split == "train" {
        warnings.push(
            "These are images of the training folder. Where the model was trained on them, every figure here is too good."
                .to_owned(),
        );
    }
    let Evaluation { auc, .. } = it;
    if auc.is_none() {
        warnings.push("Only one class is here: there is nothing to rank, and no AUC.".to_owned());
    }
    let counts = &it.at_threshold.confusion;
    let ill = counts.true_positive + counts.false_negative;
    if ill.min(it.images - ill) < FEW && auc.is_some() {
        warnings.push(format!(
            "One class has only {}: mind the width of the intervals.",
            of(ill.min(it.images - ill), "image", "images")
        ));
    }
    if let Some(shortcut) = &it.shortcut {
        let (name, value) = if shortcut.by_height >= shortcut.by_aspect_ratio {
            ("height", shortcut.by_height)
        } else {
            ("aspect ratio", shortcut.by_aspect_ratio)
        };
        if value >= SHORTCUT_WARNING {
            warnings.push(format!(
                "The original's {name} alone separates the classes with an AUC of {value:.3} on the {} whose size is known. \
                 How much of the model's AUC rests on it is not known.",
                of(shortcut.images, "image", "images")
            ));
        }
    }
    if let Some(value) = it.sharpness_auc.filter(|value| *value >= SHORTCUT_WARNING) {
        warnings.push(format!("Sharpness alone separates the classes with an AUC of {value:.3}."));
    }
    let mean = |of: fn(&crate::evaluation::Bin) -> f64| {
        let sum: f64 = it.reliability.iter().map(|bin| bin.count as f64 * of(bin)).sum();
        sum / it.images.max(1) as f64
    };
    let (said, true_share) = (mean(|bin| bin.confidence), mean(|bin| bin.frequency));
    if (said - true_share).abs() >= CALIBRATION_WARNING {
        warnings.push(format!(
            "Probabilities are too {} here: {} on average where {} of {} are labelled pneumonia.",
            if said > true_share { "high" } else { "low" },
            percent(Some(said)),
            percent(Some(true_share)),
            count(it.images)
        ));
    }
    warnings
}
