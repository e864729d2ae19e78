//! All figures of one evaluation.

use std::collections::BTreeMap;

use lobar_model::card::{Metrics, StressRow};
use serde::{Deserialize, Serialize};

use super::bootstrap::intervals;
use super::groups::groups;
use super::shortcut::shortcut;
use super::{
    AtThreshold, Bin, GroupFigures, Interval, PrecisionRecallPoint, Predictions, Ranking, RocPoint,
    ScoreHistogram, Shortcut, SubtypeFigures, brier, chosen, expected_calibration_error,
    reliability, roc_auc,
};

/// What an evaluation found. Intervals are of 95 %, patients drawn again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Pictures.
    pub images: u64,
    /// Patients.
    pub patients: u64,
    /// Area under the ROC curve, pneumonia against normal; `None` unless both are present.
    pub auc: Option<f64>,
    /// Its interval.
    pub auc_interval: Option<Interval>,
    /// Average precision of pneumonia: the area under the precision-recall curve, not interpolated.
    pub average_precision: Option<f64>,
    /// Its interval.
    pub average_precision_interval: Option<Interval>,
    /// At the model's own threshold.
    pub at_threshold: AtThreshold,
    /// At probability 0.5, for comparison with others.
    pub at_half: AtThreshold,
    /// Expected calibration error over 15 bins.
    pub calibration_error: f64,
    /// Its interval. A calibration error of few pictures is too high, and so is each draw's.
    pub calibration_error_interval: Option<Interval>,
    /// Mean squared distance between probability and truth.
    pub brier: f64,
    /// Its interval.
    pub brier_interval: Option<Interval>,
    /// The reliability table.
    pub reliability: Vec<Bin>,
    /// The ROC curve, thinned; empty unless both classes are present.
    pub roc: Vec<RocPoint>,
    /// The precision-recall curve, thinned; likewise.
    pub precision_recall: Vec<PrecisionRecallPoint>,
    /// The probabilities of each class.
    pub scores: ScoreHistogram,
    /// Area under the ROC curve, bacterial against viral.
    pub subtype_auc: Option<f64>,
    /// More on the second output; `None` where no cause is labelled.
    pub subtype: Option<SubtypeFigures>,
    /// The films with text in a corner, and those without; empty where none has any.
    #[serde(default)]
    pub groups: Vec<GroupFigures>,
    /// The same images changed; empty where that was not tried.
    #[serde(default)]
    pub stress: Vec<StressRow>,
    /// What the original's format alone would reach.
    pub shortcut: Option<Shortcut>,
    /// What the sharpness of the network's input alone would reach: the AUC by the variance of the
    /// Laplacian, either way round.
    pub sharpness_auc: Option<f64>,
}

/// Takes all figures at the model's threshold.
#[must_use]
pub fn evaluate(answers: &Predictions, threshold: f64) -> Evaluation {
    let Predictions { probability, is_pneumonia, patient, .. } = answers;
    let [auc, precision, calibration, squares] = intervals(patient, |choice| {
        let (scores, truth) = chosen(probability, is_pneumonia, choice);
        let ranking = Ranking::of(&scores, &truth);
        [
            ranking.as_ref().map(Ranking::auc),
            ranking.as_ref().map(Ranking::average_precision),
            Some(expected_calibration_error(&scores, &truth)),
            Some(brier(&scores, &truth)),
        ]
    });
    let ranking = Ranking::of(probability, is_pneumonia);
    let subtype = SubtypeFigures::measure(answers);
    Evaluation {
        images: probability.len() as u64,
        patients: patient.iter().collect::<std::collections::BTreeSet<_>>().len() as u64,
        auc: roc_auc(probability, is_pneumonia),
        auc_interval: auc,
        average_precision: ranking.as_ref().map(Ranking::average_precision),
        average_precision_interval: precision,
        at_threshold: AtThreshold::measure(threshold, probability, is_pneumonia, patient),
        at_half: AtThreshold::measure(0.5, probability, is_pneumonia, patient),
        calibration_error: expected_calibration_error(probability, is_pneumonia),
        calibration_error_interval: calibration,
        brier: brier(probability, is_pneumonia),
        brier_interval: squares,
        reliability: reliability(probability, is_pneumonia),
        roc: ranking.as_ref().map(Ranking::roc).unwrap_or_default(),
        precision_recall: ranking.as_ref().map(Ranking::precision_recall).unwrap_or_default(),
        scores: ScoreHistogram::of(probability, is_pneumonia),
        subtype_auc: subtype.as_ref().and_then(|it| it.auc),
        subtype,
        groups: groups(answers, threshold),
        stress: Vec::new(),
        shortcut: shortcut(&answers.original_size, is_pneumonia),
        sharpness_auc: roc_auc(&answers.sharpness, is_pneumonia).map(|auc| auc.max(1.0 - auc)),
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
        keep("sensitivity_at_half", serde_json::to_value(self.at_half.sensitivity));
        keep("specificity_at_half", serde_json::to_value(self.at_half.specificity));
        keep("calibration_error", serde_json::to_value(self.calibration_error));
        keep("brier", serde_json::to_value(self.brier));
        keep("average_precision", serde_json::to_value(self.average_precision));
        keep("subtype_auc", serde_json::to_value(self.subtype_auc));
        keep("shortcut", serde_json::to_value(self.shortcut));
        keep("sharpness_auc", serde_json::to_value(self.sharpness_auc));
        if !self.groups.is_empty() {
            keep("groups", serde_json::to_value(&self.groups));
        }
        if !self.stress.is_empty() {
            keep(StressRow::FIELD, serde_json::to_value(&self.stress));
        }
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

    fn answers() -> Predictions {
        Predictions {
            probability: vec![0.9, 0.8, 0.4, 0.3, 0.2, 0.6],
            is_pneumonia: vec![true, true, true, false, false, false],
            bacterial: vec![Some(0.7), Some(0.2), Some(0.6), None, None, None],
            is_bacterial: vec![Some(true), Some(false), None, None, None, None],
            patient: ["a", "a", "b", "c", "d", "d"].map(str::to_owned).to_vec(),
            original_size: vec![None; 6],
            sharpness: vec![3.0, 2.0, 1.0, 9.0, 8.0, 2.5],
            text: vec![Vec::new(); 6],
            heatmap: vec![None; 6],
            novel: vec![None; 6],
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
        // Of nine pairs one has the pneumonia sharper: 1/9, so the other way round 8/9.
        assert!((evaluation.sharpness_auc.unwrap() - 8.0 / 9.0).abs() < 1e-12);
        // 1/1, 2/2 and 3/4.
        assert!((evaluation.average_precision.unwrap() - 2.75 / 3.0).abs() < 1e-12);
        let subtype = evaluation.subtype.as_ref().unwrap();
        assert!(subtype.experimental && subtype.images == 2 && subtype.accuracy == Some(1.0));
        assert_eq!(evaluation.scores.pneumonia.iter().sum::<u64>(), 3);
        assert!(
            evaluation.brier_interval.is_some() && evaluation.calibration_error_interval.is_some()
        );
        assert!(evaluation.at_threshold.accuracy_interval.is_some());
    }

    #[test]
    fn a_card_gets_figures_only_when_both_classes_were_there() {
        assert!(evaluate(&answers(), 0.5).metrics().is_some());
        let mut one_sided = answers();
        one_sided.is_pneumonia = vec![true; 6];
        assert_eq!(evaluate(&one_sided, 0.5).metrics(), None);
        assert_eq!(evaluate(&Predictions::default(), 0.5).metrics(), None);
    }
}
