//! All figures of one evaluation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::intervals;
use super::{
    Answers, Bin, ClassReport, Confusion, Interval, Shortcut, brier, expected_calibration_error,
    reliability, roc_auc,
};
use crate::card::Metrics;

/// Figures that depend on a threshold. A share of nothing is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// A probability at or above it is flagged.
    pub threshold: f64,
    /// Counts.
    pub confusion: Confusion,
    /// Share answered rightly.
    pub accuracy: Option<f64>,
    /// Share of pneumonia that is flagged.
    pub sensitivity: Option<f64>,
    /// Share of normal pictures that are not flagged.
    pub specificity: Option<f64>,
    /// The classification report.
    pub normal: ClassReport,
    /// The classification report.
    pub pneumonia: ClassReport,
    /// 95 % interval of the accuracy, patients drawn again.
    pub accuracy_interval: Option<Interval>,
    /// Likewise of the sensitivity.
    pub sensitivity_interval: Option<Interval>,
    /// Likewise of the specificity.
    pub specificity_interval: Option<Interval>,
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Pictures.
    pub images: u64,
    /// Patients.
    pub patients: u64,
    /// Area under the ROC curve, pneumonia against normal; `None` unless both are present.
    pub auc: Option<f64>,
    /// 95 % interval, patients drawn again.
    pub auc_interval: Option<Interval>,
    /// At the model's own threshold.
    pub at_threshold: AtThreshold,
    /// At probability 0.5, for comparison with others.
    pub at_half: AtThreshold,
    /// Expected calibration error over 15 bins.
    pub calibration_error: f64,
    /// Mean squared distance between probability and truth.
    pub brier: f64,
    /// The reliability table.
    pub reliability: Vec<Bin>,
    /// Area under the ROC curve, bacterial against viral.
    pub subtype_auc: Option<f64>,
    /// What the original's format alone would reach.
    pub shortcut: Option<Shortcut>,
}

/// Takes all figures at the model's threshold.
#[must_use]
pub fn evaluate(answers: &Answers, threshold: f64) -> Evaluation {
    let Answers { probability, is_pneumonia, patient, .. } = answers;
    let [auc_interval] = intervals(patient, |choice| {
        let (scores, truth) = chosen(answers, choice);
        [roc_auc(&scores, &truth)]
    });
    Evaluation {
        images: probability.len() as u64,
        patients: patient.iter().collect::<std::collections::BTreeSet<_>>().len() as u64,
        auc: roc_auc(probability, is_pneumonia),
        auc_interval,
        at_threshold: at(threshold, answers),
        at_half: at(0.5, answers),
        calibration_error: expected_calibration_error(probability, is_pneumonia),
        brier: brier(probability, is_pneumonia),
        reliability: reliability(probability, is_pneumonia),
        subtype_auc: answers.subtype_auc(),
        shortcut: Shortcut::measure(&answers.original_size, is_pneumonia),
    }
}

fn chosen(answers: &Answers, choice: &[usize]) -> (Vec<f64>, Vec<bool>) {
    choice.iter().map(|&index| (answers.probability[index], answers.is_pneumonia[index])).unzip()
}

fn at(threshold: f64, answers: &Answers) -> AtThreshold {
    let confusion = Confusion::at(threshold, &answers.probability, &answers.is_pneumonia);
    let [accuracy_interval, sensitivity_interval, specificity_interval] =
        intervals(&answers.patient, |choice| {
            let (scores, truth) = chosen(answers, choice);
            let confusion = Confusion::at(threshold, &scores, &truth);
            [confusion.accuracy(), confusion.sensitivity(), confusion.specificity()]
        });
    let [normal, pneumonia] = confusion.report();
    AtThreshold {
        threshold,
        confusion,
        accuracy: confusion.accuracy(),
        sensitivity: confusion.sensitivity(),
        specificity: confusion.specificity(),
        normal,
        pneumonia,
        accuracy_interval,
        sensitivity_interval,
        specificity_interval,
    }
}

impl Evaluation {
    /// The figures as a model's card carries them; `None` unless both classes are present.
    #[must_use]
    pub fn metrics(&self) -> Option<Metrics> {
        let at = &self.at_threshold;
        let mut more = BTreeMap::new();
        let mut keep = |name: &str, value: Result<serde_json::Value, serde_json::Error>| {
            if let Ok(value) = value {
                more.insert(name.to_owned(), value);
            }
        };
        keep("patients", serde_json::to_value(self.patients));
        keep("auc_interval", serde_json::to_value(self.auc_interval));
        keep("accuracy_interval", serde_json::to_value(at.accuracy_interval));
        keep("sensitivity_interval", serde_json::to_value(at.sensitivity_interval));
        keep("specificity_interval", serde_json::to_value(at.specificity_interval));
        keep("confusion", serde_json::to_value(at.confusion));
        keep("accuracy_at_half", serde_json::to_value(self.at_half.accuracy));
        keep("calibration_error", serde_json::to_value(self.calibration_error));
        keep("brier", serde_json::to_value(self.brier));
        keep("subtype_auc", serde_json::to_value(self.subtype_auc));
        keep("shortcut", serde_json::to_value(self.shortcut));
        Some(Metrics {
            images: self.images,
            auc: self.auc?,
            accuracy: at.accuracy?,
            sensitivity: at.sensitivity?,
            specificity: at.specificity?,
            more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers {
            probability: vec![0.9, 0.8, 0.4, 0.3, 0.2, 0.6],
            is_pneumonia: vec![true, true, true, false, false, false],
            bacterial: vec![Some(0.7), Some(0.2), Some(0.6), None, None, None],
            is_bacterial: vec![Some(true), Some(false), None, None, None, None],
            patient: ["a", "a", "b", "c", "d", "d"].map(str::to_owned).to_vec(),
            original_size: vec![None; 6],
        }
    }

    #[test]
    fn the_figures_are_those_computed_by_hand() {
        let evaluation = evaluate(&answers(), 0.35);
        assert_eq!((evaluation.images, evaluation.patients), (6, 4));
        // Of nine pairs only (0.4, 0.6) is ranked wrongly.
        assert!((evaluation.auc.unwrap() - 8.0 / 9.0).abs() < 1e-12);
        assert_eq!(evaluation.at_threshold.sensitivity, Some(1.0));
        assert_eq!(evaluation.at_threshold.specificity, Some(2.0 / 3.0));
        assert_eq!(evaluation.at_half.sensitivity, Some(2.0 / 3.0));
        assert_eq!(evaluation.subtype_auc, Some(1.0));
        assert_eq!(evaluation.shortcut, None);
        assert!(evaluation.at_threshold.accuracy_interval.is_some());
    }

    #[test]
    fn a_card_gets_figures_only_when_both_classes_were_there() {
        assert!(evaluate(&answers(), 0.5).metrics().is_some());
        let mut one_sided = answers();
        one_sided.is_pneumonia = vec![true; 6];
        assert_eq!(evaluate(&one_sided, 0.5).metrics(), None);
        assert_eq!(evaluate(&Answers::default(), 0.5).metrics(), None);
    }
}
