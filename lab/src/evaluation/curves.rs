//! Every threshold at once: the ROC curve, the precision-recall curve, and the areas under them.

use serde::{Deserialize, Serialize};

/// A point that lies nearer than this to the one kept before it, in both directions, is left out of a
/// curve: less than a pixel of any plot, and a curve of any number of pictures stays short.
const NEAREST: f64 = 1.0 / 250.0;

/// A point of the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// A score at or above it is flagged; `None` where nothing is.
    pub threshold: Option<f64>,
    /// Share of the negatives that is flagged: 1 - specificity.
    pub false_positive_rate: f64,
    /// Share of the positives that is flagged: sensitivity.
    pub true_positive_rate: f64,
}

/// A point of the precision-recall curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// A score at or above it is flagged.
    pub threshold: f64,
    /// Share of what is flagged that is positive.
    pub precision: f64,
    /// Share of the positives that is flagged.
    pub recall: f64,
}

/// Scores from the highest to the lowest, with how many of each kind lie at or above each.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Threshold, positives and negatives at or above it. Equal scores are one step.
    steps: Vec<(f64, f64, f64)>,
    positives: f64,
    negatives: f64,
}

impl Ranking {
    /// `None` unless both kinds are present.
    #[must_use]
    pub fn of(scores: &[f64], positive: &[bool]) -> Option<Self> {
        let mut order: Vec<(f64, bool)> =
            scores.iter().copied().zip(positive.iter().copied()).collect();
        order.sort_by(|one, other| other.0.total_cmp(&one.0));
        let (mut positives, mut negatives) = (0.0, 0.0);
        let mut steps: Vec<(f64, f64, f64)> = Vec::with_capacity(order.len());
        for (score, is_positive) in order {
            *(if is_positive { &mut positives } else { &mut negatives }) += 1.0;
            match steps.last_mut() {
                Some(step) if step.0 == score => *step = (score, positives, negatives),
                _ => steps.push((score, positives, negatives)),
            }
        }
        (positives > 0.0 && negatives > 0.0).then_some(Self { steps, positives, negatives })
    }

    /// Area under the ROC curve by trapezoids: the share of rightly ranked pairs, ties counting half.
    #[must_use]
    pub fn auc(&self) -> f64 {
        let mut area = 0.0;
        let mut before = (0.0, 0.0);
        for &(_, positives, negatives) in &self.steps {
            area += (negatives - before.1) * (positives + before.0) / 2.0;
            before = (positives, negatives);
        }
        area / (self.positives * self.negatives)
    }

    /// Average precision: the mean of the precisions at which each positive is found, without
    /// interpolation.
    #[must_use]
    pub fn average_precision(&self) -> f64 {
        let mut sum = 0.0;
        let mut found = 0.0;
        for &(_, positives, negatives) in &self.steps {
            sum += (positives - found) * positives / (positives + negatives);
            found = positives;
        }
        sum / self.positives
    }

    /// The ROC curve from (0, 0) to (1, 1), thinned.
    #[must_use]
    pub fn roc(&self) -> Vec<RocPoint> {
        let start = RocPoint { threshold: None, false_positive_rate: 0.0, true_positive_rate: 0.0 };
        let steps = self.steps.iter().map(|&(threshold, positives, negatives)| RocPoint {
            threshold: Some(threshold),
            false_positive_rate: negatives / self.negatives,
            true_positive_rate: positives / self.positives,
        });
        let points = std::iter::once(start).chain(steps).collect();
        thinned(points, |point| (point.false_positive_rate, point.true_positive_rate))
    }

    /// The precision-recall curve by growing recall, thinned.
    #[must_use]
    pub fn precision_recall(&self) -> Vec<PrecisionRecallPoint> {
        let points = self.steps.iter().map(|&(threshold, positives, negatives)| {
            let precision = positives / (positives + negatives);
            PrecisionRecallPoint { threshold, precision, recall: positives / self.positives }
        });
        thinned(points.collect(), |point| (point.recall, point.precision))
    }
}

/// Without the points that lie too near the one kept before them; first and last stay.
fn thinned<P: Copy>(points: Vec<P>, place: impl Fn(&P) -> (f64, f64)) -> Vec<P> {
    let mut kept: Vec<P> = Vec::new();
    let last = points.len().saturating_sub(1);
    for (index, point) in points.into_iter().enumerate() {
        let is_near = kept.last().is_some_and(|before| {
            let (one, other) = (place(before), place(&point));
            (one.0 - other.0).abs() < NEAREST && (one.1 - other.1).abs() < NEAREST
        });
        if index == last || !is_near {
            kept.push(point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::roc_auc;

    const SCORES: [f64; 10] = [0.1, 0.4, 0.35, 0.8, 0.65, 0.65, 0.2, 0.9, 0.55, 0.35];
    const POSITIVE: [bool; 10] = [false, false, true, true, true, false, false, true, false, true];

    #[test]
    fn areas_are_those_of_scikit_learn() {
        // roc_auc_score and average_precision_score of scikit-learn 1.9.1 on the same numbers.
        let ranking = Ranking::of(&SCORES, &POSITIVE).unwrap();
        assert!((ranking.auc() - 0.74).abs() < 1e-12, "{}", ranking.auc());
        let precision = ranking.average_precision();
        assert!((precision - 0.8).abs() < 1e-12, "{precision}");
        assert!((roc_auc(&SCORES, &POSITIVE).unwrap() - 0.74).abs() < 1e-12);
    }

    #[test]
    fn curves_run_through_the_points_computed_by_hand() {
        let ranking = Ranking::of(&[0.9, 0.5, 0.5, 0.1], &[true, true, false, false]).unwrap();
        let roc: Vec<_> = ranking
            .roc()
            .iter()
            .map(|it| (it.threshold, it.false_positive_rate, it.true_positive_rate))
            .collect();
        let expected =
            [(None, 0.0, 0.0), (Some(0.9), 0.0, 0.5), (Some(0.5), 0.5, 1.0), (Some(0.1), 1.0, 1.0)];
        assert_eq!(roc, expected);
        let curve: Vec<_> =
            ranking.precision_recall().iter().map(|it| (it.recall, it.precision)).collect();
        assert_eq!(curve, [(0.5, 1.0), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
    }

    #[test]
    fn a_curve_of_many_pictures_is_short_and_has_the_same_area() {
        let scores: Vec<f64> = (0..20_000).map(|n| f64::from((n * 7919) % 20_000)).collect();
        let positive: Vec<bool> =
            (0..20_000).map(|n| (n * 7919) % 20_000 + n % 9_000 > 14_000).collect();
        let ranking = Ranking::of(&scores, &positive).unwrap();
        let roc = ranking.roc();
        assert!(roc.len() < 600 && ranking.precision_recall().len() < 600, "{}", roc.len());
        let area: f64 = roc
            .windows(2)
            .map(|it| {
                let height = (it[0].true_positive_rate + it[1].true_positive_rate) / 2.0;
                (it[1].false_positive_rate - it[0].false_positive_rate) * height
            })
            .sum();
        assert!((area - ranking.auc()).abs() < 1e-3);
        let end = roc.last().unwrap();
        assert_eq!((end.false_positive_rate, end.true_positive_rate), (1.0, 1.0));
    }

    #[test]
    fn one_kind_alone_has_no_ranking() {
        assert!(Ranking::of(&[0.1, 0.2], &[true, true]).is_none());
        assert!(Ranking::of(&[], &[]).is_none());
    }
}
