//! Figures that depend on a threshold.

use serde::{Deserialize, Serialize};

use super::bootstrap::intervals;
use super::{Averages, ClassReport, Confusion, Interval};

/// Figures at one threshold. A share of nothing is `None`; intervals are of 95 %, patients drawn again.
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
    /// The classification report: the class NORMAL, where a precision is the negative predictive value.
    pub normal: ClassReport,
    /// The class PNEUMONIA, where a precision is the positive predictive value.
    pub pneumonia: ClassReport,
    /// Means of both classes, each counting alike.
    pub macro_average: Averages,
    /// Means of both classes, each by its pictures.
    pub weighted_average: Averages,
    /// Interval of the accuracy.
    pub accuracy_interval: Option<Interval>,
    /// Of the sensitivity, pneumonia's recall.
    pub sensitivity_interval: Option<Interval>,
    /// Of the specificity, normal's recall.
    pub specificity_interval: Option<Interval>,
    /// Of pneumonia's precision.
    pub positive_predictive_value_interval: Option<Interval>,
    /// Of normal's precision.
    pub negative_predictive_value_interval: Option<Interval>,
    /// Of pneumonia's F1.
    pub pneumonia_f1_interval: Option<Interval>,
    /// Of normal's F1.
    pub normal_f1_interval: Option<Interval>,
}

impl AtThreshold {
    /// Takes the figures of probabilities, what is true, and who is shown; one entry a picture.
    pub(super) fn measure(
        threshold: f64,
        probability: &[f64],
        positive: &[bool],
        patient: &[String],
    ) -> Self {
        let confusion = Confusion::at(threshold, probability, positive);
        let figures = |counts: &Confusion| {
            let [normal, pneumonia] = counts.report();
            [
                counts.accuracy(),
                pneumonia.recall,
                normal.recall,
                pneumonia.precision,
                normal.precision,
                pneumonia.f1,
                normal.f1,
            ]
        };
        let of = intervals(patient, |choice| {
            let (probability, positive) = super::chosen(probability, positive, choice);
            figures(&Confusion::at(threshold, &probability, &positive))
        });
        let [normal, pneumonia] = confusion.report();
        Self {
            threshold,
            confusion,
            accuracy: confusion.accuracy(),
            sensitivity: confusion.sensitivity(),
            specificity: confusion.specificity(),
            normal,
            pneumonia,
            macro_average: Averages::alike(&[normal, pneumonia]),
            weighted_average: Averages::by_support(&[normal, pneumonia]),
            accuracy_interval: of[0],
            sensitivity_interval: of[1],
            specificity_interval: of[2],
            positive_predictive_value_interval: of[3],
            negative_predictive_value_interval: of[4],
            pneumonia_f1_interval: of[5],
            normal_f1_interval: of[6],
        }
    }
}
