//! The last two rows of a classification report.

use serde::{Deserialize, Serialize};

use super::ClassReport;

/// Means over the classes. `None` where a class has no such share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// Of the precisions.
    pub precision: Option<f64>,
    /// Of the recalls.
    pub recall: Option<f64>,
    /// Of the F1s.
    pub f1: Option<f64>,
}

impl Averages {
    /// Macro average: each class counts alike.
    pub(super) fn alike(rows: &[ClassReport]) -> Self {
        Self::weighing(rows, |_| 1.0)
    }

    /// Weighted average: each class counts by its pictures.
    pub(super) fn by_support(rows: &[ClassReport]) -> Self {
        Self::weighing(rows, |row| row.support as f64)
    }

    fn weighing(rows: &[ClassReport], weight: impl Fn(&ClassReport) -> f64) -> Self {
        let total: f64 = rows.iter().map(&weight).sum();
        let mean = |share: fn(&ClassReport) -> Option<f64>| {
            let sum: Option<f64> = rows.iter().map(|row| Some(share(row)? * weight(row))).sum();
            sum.filter(|_| total > 0.0).map(|sum| sum / total)
        };
        Self {
            precision: mean(|row| row.precision),
            recall: mean(|row| row.recall),
            f1: mean(|row| row.f1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Confusion;

    #[test]
    fn averages_are_those_of_scikit_learn() {
        // classification_report of scikit-learn 1.9.1 for labels and answers with these counts.
        let counts =
            Confusion { true_positive: 8, false_positive: 3, true_negative: 5, false_negative: 1 };
        let rows = counts.report();
        let (alike, weighted) = (Averages::alike(&rows), Averages::by_support(&rows));
        for (ours, theirs) in [
            (alike.precision, 0.780_303_030_303_030_3),
            (alike.recall, 0.756_944_444_444_444_4),
            (alike.f1, 0.757_142_857_142_857_1),
            (weighted.precision, 0.777_183_600_713_012_5),
            (weighted.recall, 0.764_705_882_352_941_1),
            (weighted.f1, 0.759_663_865_546_218_5),
        ] {
            assert!((ours.unwrap() - theirs).abs() < 1e-12, "{ours:?}, {theirs}");
        }
    }

    #[test]
    fn a_class_without_pictures_leaves_no_average() {
        let rows = Confusion { true_positive: 2, ..Confusion::default() }.report();
        assert_eq!(Averages::alike(&rows).recall, None);
        assert_eq!(Averages::by_support(&Confusion::default().report()).f1, None);
    }
}
