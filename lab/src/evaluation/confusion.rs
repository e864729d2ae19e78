//! Counts of right and wrong, and the shares made of them.

use serde::{Deserialize, Serialize};

/// The confusion matrix; positive is pneumonia.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Pneumonia, flagged.
    pub true_positive: u64,
    /// Normal, flagged.
    pub false_positive: u64,
    /// Normal, not flagged.
    pub true_negative: u64,
    /// Pneumonia, not flagged.
    pub false_negative: u64,
}

/// One class's row of the classification report. A share of nothing is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Share of the answers of this class that are right.
    pub precision: Option<f64>,
    /// Share of the pictures of this class that were found.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
    /// Pictures of this class.
    pub support: u64,
}

impl Confusion {
    /// Counts at a threshold: a probability at or above it is flagged.
    #[must_use]
    pub fn at(threshold: f64, probability: &[f64], positive: &[bool]) -> Self {
        let mut counts = Self::default();
        for (&probability, &positive) in probability.iter().zip(positive) {
            let count = match (probability >= threshold, positive) {
                (true, true) => &mut counts.true_positive,
                (true, false) => &mut counts.false_positive,
                (false, false) => &mut counts.true_negative,
                (false, true) => &mut counts.false_negative,
            };
            *count += 1;
        }
        counts
    }

    /// Share of all pictures answered rightly.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let right = self.true_positive + self.true_negative;
        share(right, right + self.false_positive + self.false_negative)
    }

    /// Share of pneumonia that is flagged.
    #[must_use]
    pub fn sensitivity(&self) -> Option<f64> {
        share(self.true_positive, self.true_positive + self.false_negative)
    }

    /// Share of normal pictures that are not flagged.
    #[must_use]
    pub fn specificity(&self) -> Option<f64> {
        share(self.true_negative, self.true_negative + self.false_positive)
    }

    /// Normal's and pneumonia's rows of the classification report.
    #[must_use]
    pub fn report(&self) -> [ClassReport; 2] {
        let row = |right: u64, wrongly_said: u64, missed: u64| ClassReport {
            precision: share(right, right + wrongly_said),
            recall: share(right, right + missed),
            f1: share(2 * right, 2 * right + wrongly_said + missed),
            support: right + missed,
        };
        [
            row(self.true_negative, self.false_negative, self.false_positive),
            row(self.true_positive, self.false_positive, self.false_negative),
        ]
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares_are_those_computed_by_hand() {
        let probability = [0.9, 0.8, 0.4, 0.5, 0.1, 0.2, 0.7];
        let positive = [true, true, true, true, false, false, false];
        let counts = Confusion::at(0.5, &probability, &positive);
        assert_eq!(
            counts,
            Confusion { true_positive: 3, false_positive: 1, true_negative: 2, false_negative: 1 }
        );
        assert_eq!(counts.accuracy(), Some(5.0 / 7.0));
        assert_eq!(counts.sensitivity(), Some(0.75));
        assert_eq!(counts.specificity(), Some(2.0 / 3.0));
        let [normal, pneumonia] = counts.report();
        assert_eq!(
            (normal.precision, normal.recall, normal.support),
            (Some(2.0 / 3.0), Some(2.0 / 3.0), 3)
        );
        assert_eq!(
            (pneumonia.precision, pneumonia.f1, pneumonia.support),
            (Some(0.75), Some(0.75), 4)
        );
    }

    #[test]
    fn a_share_of_nothing_is_none_and_not_zero() {
        let counts = Confusion::at(0.5, &[0.9], &[true]);
        assert_eq!(counts.specificity(), None);
        assert_eq!(counts.report()[0].recall, None);
        assert_eq!(Confusion::default().accuracy(), None);
    }
}
