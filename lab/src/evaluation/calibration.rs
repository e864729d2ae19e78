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

/// What makes a probability of a logit: `sigmoid((logit + bias) / temperature)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Added to every logit. Training weighs both classes alike and changes pictures more than
    /// serving meets them; both move all logits together.
    pub bias: f64,
    /// Divides what results. Above 0.
    pub temperature: f64,
}

impl Calibration {
    /// The likeliest calibration (Platt 1999; Guo et al. 2017, <https://arxiv.org/abs/1706.04599>),
    /// with the temperature between 0.05 and 20 and the bias between -20 and 20. Ranks stay as they
    /// are.
    #[must_use]
    pub fn fit(logits: &[f64], positive: &[bool]) -> Self {
        Self::weighted(logits, positive, [1.0, 1.0])
    }

    /// The same with both classes weighing alike, whatever the share of the ill: what a model says is then right
    /// where one in two is ill, and elsewhere off by the logarithm of the odds alone.
    #[must_use]
    pub fn fit_prior_neutral(logits: &[f64], positive: &[bool]) -> Self {
        let count = |class: bool| positive.iter().filter(|&&it| it == class).count().max(1) as f64;
        Self::weighted(logits, positive, [1.0 / count(false), 1.0 / count(true)])
    }

    /// The probability of a logit.
    #[must_use]
    pub fn probability(self, logit: f64) -> f64 {
        1.0 / (1.0 + (-(logit + self.bias) / self.temperature).exp())
    }

    /// By the weight of each class, normal first.
    fn weighted(logits: &[f64], positive: &[bool], weights: [f64; 2]) -> Self {
        let loss = |bias: f64, temperature: f64| -> f64 {
            logits
                .iter()
                .zip(positive)
                .map(|(logit, &positive)| {
                    let logit = (logit + bias) / temperature;
                    let against = if positive { -logit } else { logit };
                    let loss = against.max(0.0) + (-against.abs()).exp().ln_1p();
                    loss * weights[usize::from(positive)]
                })
                .sum()
        };
        // The loss is convex in 1 / temperature and bias / temperature, so each search has one valley.
        let bias_at = |temperature| lowest(-20.0, 20.0, |bias| loss(bias, temperature));
        let log_temperature =
            lowest(0.05_f64.ln(), 20.0_f64.ln(), |log: f64| loss(bias_at(log.exp()), log.exp()));
        let temperature = log_temperature.exp();
        Self { bias: bias_at(temperature), temperature }
    }
}

/// Where a function of one valley is lowest, by golden section.
fn lowest(mut low: f64, mut high: f64, value: impl Fn(f64) -> f64) -> f64 {
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    while high - low > 1e-6 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if value(left) < value(right) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high)
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
    fn calibration_undoes_overconfidence_and_a_shift() {
        // Nine in ten are right, so the right logits are ±ln 9; they claim four times that, plus 2.
        let claimed = 4.0 * 9.0_f64.ln();
        let logits: Vec<f64> = [claimed + 2.0; 10].into_iter().chain([2.0 - claimed; 10]).collect();
        let positive: Vec<bool> = (0..20).map(|index| (index < 10) != (index % 10 == 3)).collect();
        let Calibration { bias, temperature } = Calibration::fit(&logits, &positive);
        assert!((temperature - 4.0).abs() < 1e-3, "{temperature}");
        assert!((bias + 2.0).abs() < 1e-3, "{bias}");
    }

    #[test]
    fn a_prior_neutral_calibration_does_not_move_when_one_class_is_shown_more_often() {
        let (logits, positive) =
            (vec![-2.0, -1.0, 0.5, 1.0, 2.5], vec![false, true, false, true, true]);
        let fitted = Calibration::fit_prior_neutral(&logits, &positive);
        let repeated = |values: &[f64]| [values, values].concat();
        let (mut more, mut labels) = (logits.clone(), positive.clone());
        for (&logit, &ill) in logits.iter().zip(&positive).filter(|(_, ill)| **ill) {
            more.extend(repeated(&[logit]));
            labels.extend([ill, ill]);
        }
        let again = Calibration::fit_prior_neutral(&more, &labels);
        assert!((fitted.bias - again.bias).abs() < 1e-3, "{fitted:?} {again:?}");
        assert!((fitted.temperature - again.temperature).abs() < 1e-3);
        assert!(Calibration::fit(&more, &labels).bias > fitted.bias + 0.2);
        let half = Calibration { bias: 1.0, temperature: 2.0 }.probability(-1.0);
        assert!((half - 0.5).abs() < 1e-12);
    }

    #[test]
    fn calibration_of_perfect_or_no_answers_stays_within_its_bounds() {
        for (logits, positive) in [(vec![-3.0, 3.0], vec![false, true]), (vec![], vec![])] {
            let Calibration { bias, temperature } = Calibration::fit(&logits, &positive);
            assert!((0.05..=20.0).contains(&temperature) && bias.abs() <= 20.0);
        }
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
