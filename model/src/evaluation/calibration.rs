//! Whether a probability of 0.8 is right eight times in ten.

use serde::{Deserialize, Serialize};

/// Bins of the reliability table.
const BINS: usize = 15;

/// One bin of the reliability table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Pictures whose probability falls into it.
    pub count: u64,
    /// Their mean probability.
    pub confidence: f64,
    /// The share of them that is positive.
    pub frequency: f64,
}

/// The temperature that makes `sigmoid(logit / temperature)` likeliest (Guo et al. 2017,
/// <https://arxiv.org/abs/1706.04599>), between 0.05 and 20. Ranks stay as they are.
#[must_use]
pub fn fit_temperature(logits: &[f64], positive: &[bool]) -> f64 {
    let loss = |log_temperature: f64| -> f64 {
        let scale = (-log_temperature).exp();
        logits
            .iter()
            .zip(positive)
            .map(|(logit, &positive)| {
                let against = if positive { -logit * scale } else { logit * scale };
                against.max(0.0) + (-against.abs()).exp().ln_1p()
            })
            .sum()
    };
    // Golden section: the loss is convex in 1 / temperature, so it has one valley.
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    while high - low > 1e-6 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if loss(left) < loss(right) {
            high = right;
        } else {
            low = left;
        }
    }
    ((low + high) / 2.0).exp()
}

/// Pictures by their probability, in 15 bins of equal width; empty bins are left out.
#[must_use]
pub fn reliability(probability: &[f64], positive: &[bool]) -> Vec<Bin> {
    let mut sums = [(0_u64, 0.0, 0_u64); BINS];
    for (&probability, &positive) in probability.iter().zip(positive) {
        let bin = &mut sums[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += 1;
        bin.1 += probability;
        bin.2 += u64::from(positive);
    }
    sums.into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, sum, positives)| Bin {
            count,
            confidence: sum / count as f64,
            frequency: positives as f64 / count as f64,
        })
        .collect()
}

/// Mean distance between probability and frequency over the bins, weighted by their pictures.
#[must_use]
pub fn expected_calibration_error(probability: &[f64], positive: &[bool]) -> f64 {
    let away: f64 = reliability(probability, positive)
        .iter()
        .map(|bin| bin.count as f64 * (bin.confidence - bin.frequency).abs())
        .sum();
    away / probability.len().max(1) as f64
}

/// Mean squared distance between probability and truth.
#[must_use]
pub fn brier(probability: &[f64], positive: &[bool]) -> f64 {
    let sum: f64 = probability
        .iter()
        .zip(positive)
        .map(|(probability, &positive)| (probability - f64::from(u8::from(positive))).powi(2))
        .sum();
    sum / probability.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_undoes_overconfidence() {
        // Nine in ten are right, so the right probability is 0.9, a logit of ln 9; they claim 4 ln 9.
        let claimed = 4.0 * 9.0_f64.ln();
        let logits = [claimed; 10];
        let mut positive = [true; 10];
        positive[3] = false;
        assert!((fit_temperature(&logits, &positive) - 4.0).abs() < 1e-3);
    }

    #[test]
    fn the_calibration_error_is_the_weighted_distance() {
        // Bin of 0.1: two pictures, none positive: 0.1 away. Bin of 0.9: two, one positive: 0.4 away.
        let error = expected_calibration_error(&[0.1, 0.1, 0.9, 0.9], &[false, false, true, false]);
        assert!((error - 0.25).abs() < 1e-12);
        // A certain probability has a bin too.
        assert_eq!(expected_calibration_error(&[1.0], &[true]), 0.0);
    }

    #[test]
    fn the_brier_score_is_the_mean_square() {
        assert!((brier(&[0.8, 0.4], &[true, false]) - 0.1).abs() < 1e-12);
    }
}
