//! What a model answers once its images are changed in ways that change nothing for a radiologist.

use serde::{Deserialize, Serialize};

/// One change, against the same images as they are, at the same threshold. The rows of an evaluation lie in a
/// card's [`Metrics::more`](super::Metrics::more) under [`StressRow::FIELD`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StressRow {
    /// What was done: `turned by 5° to the left`.
    pub change: String,
    /// Images.
    pub images: u64,
    /// Area under the ROC curve of the changed images; none unless both classes are there.
    pub auc: Option<f64>,
    /// Share of pneumonias flagged, 0..=1.
    pub sensitivity: Option<f64>,
    /// Share of normals not flagged, 0..=1.
    pub specificity: Option<f64>,
    /// Images that are flagged once changed and were not before.
    pub to_flagged: u64,
    /// Images that are no longer flagged once changed.
    pub to_not_flagged: u64,
    /// Changed images that the check on novelty sends to a person; none in models without the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlike: Option<u64>,
    /// The largest share of flips that is accepted, 0..=1, where a bound was set before it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_flips: Option<f64>,
}

impl StressRow {
    /// Where a list of rows lies in [`Metrics::more`](super::Metrics::more).
    pub const FIELD: &'static str = "stress";

    /// Images whose answer changed.
    #[must_use]
    pub fn flips(&self) -> u64 {
        self.to_flagged + self.to_not_flagged
    }

    /// The share of them, 0..=1.
    #[must_use]
    pub fn flip_share(&self) -> f64 {
        self.flips() as f64 / self.images.max(1) as f64
    }

    /// Whether its bound is kept, where it has one.
    #[must_use]
    pub fn is_within_bound(&self) -> Option<bool> {
        self.most_flips.map(|most| self.flip_share() <= most)
    }

    /// The lowest sensitivity of any change: what a threshold promises as long as images are changed no more than
    /// this.
    #[must_use]
    pub fn lowest_sensitivity(rows: &[Self]) -> Option<f64> {
        rows.iter().filter_map(|row| row.sensitivity).min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_both_ways_count_against_the_bound_and_the_lowest_sensitivity_is_promised() {
        let row = |sensitivity, to_flagged| StressRow {
            change: "turned".into(),
            images: 100,
            auc: None,
            sensitivity,
            specificity: None,
            to_flagged,
            to_not_flagged: 1,
            unlike: None,
            most_flips: Some(0.03),
        };
        let rows = [row(Some(0.97), 2), row(None, 3), row(Some(0.95), 0)];
        assert_eq!(rows[0].is_within_bound(), Some(true));
        assert_eq!(rows[1].is_within_bound(), Some(false));
        assert_eq!(StressRow::lowest_sensitivity(&rows), Some(0.95));
        assert_eq!(StressRow::lowest_sensitivity(&[]), None);
    }
}
