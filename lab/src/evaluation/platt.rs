//! A calibration of few cases.

use super::Calibration;

/// Steps after which a fit that still moves is taken as it is; it needs about eight.
const STEPS: usize = 100;
/// Added to the diagonal of the second derivatives, so that they can be divided by.
const RIDGE: f64 = 1e-12;
/// Slope of the loss, per case, at which the valley is reached.
const FLAT: f64 = 1e-10;

impl Calibration {
    /// The likeliest calibration whose targets are not 1 and 0 but `(N₊ + 1) / (N₊ + 2)` and `1 / (N₋ + 2)` of `N₊` positives
    /// and `N₋` others (Platt 1999), by Newton's method (Lin, Lin and Weng 2007,
    /// <https://doi.org/10.1007/s10994-007-5018-6>). Where no score of one class lies among those of the other,
    /// [`Calibration::fit`] finds a temperature of nearly 0, which says more than few cases can; this one does not.
    ///
    /// `None` unless both classes are there and positives score higher: a temperature is above 0.
    #[must_use]
    pub fn fit_few(logits: &[f64], positive: &[bool]) -> Option<Self> {
        let positives = positive.iter().filter(|&&positive| positive).count() as f64;
        let others = positive.len() as f64 - positives;
        if positives == 0.0 || others == 0.0 {
            return None;
        }
        let targets = [1.0 / (others + 2.0), (positives + 1.0) / (positives + 2.0)];
        let cases = || {
            let target = |&positive: &bool| targets[usize::from(positive)];
            logits.iter().copied().zip(positive.iter().map(target))
        };
        // The probability is sigmoid(slope × logit + offset).
        let loss = |slope: f64, offset: f64| -> f64 {
            let of = |(logit, target): (f64, f64)| {
                let at = slope * logit + offset;
                at.max(0.0) - target * at + (-at.abs()).exp().ln_1p()
            };
            cases().map(of).sum()
        };
        let (mut slope, mut offset) = (0.0, ((positives + 1.0) / (others + 1.0)).ln());
        let mut lowest = loss(slope, offset);
        for _ in 0..STEPS {
            let [mut by_slope, mut by_offset, mut square, mut mixed, mut plain] =
                [0.0, 0.0, RIDGE, 0.0, RIDGE];
            for (logit, target) in cases() {
                let probability = 1.0 / (1.0 + (-(slope * logit + offset)).exp());
                let (away, curve) = (probability - target, probability * (1.0 - probability));
                by_slope += logit * away;
                by_offset += away;
                square += logit * logit * curve;
                mixed += logit * curve;
                plain += curve;
            }
            if by_slope.abs().max(by_offset.abs()) < FLAT * positive.len() as f64 {
                break;
            }
            let determinant = square * plain - mixed * mixed;
            let along_slope = (mixed * by_offset - plain * by_slope) / determinant;
            let along_offset = (mixed * by_slope - square * by_offset) / determinant;
            let step = std::iter::successors(Some(1.0), |step| Some(step / 2.0)).take(30);
            let lower = step
                .map(|step| (slope + step * along_slope, offset + step * along_offset))
                .find(|(slope, offset)| loss(*slope, *offset) < lowest);
            // Rounding is all that is left to win.
            let Some(lower) = lower else { break };
            (slope, offset) = lower;
            lowest = loss(slope, offset);
        }
        let (bias, temperature) = (offset / slope, 1.0 / slope);
        (slope > 0.0 && bias.is_finite() && temperature.is_finite())
            .then_some(Self { bias, temperature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cases_are_calibrated_as_computed_by_hand() {
        // Eight of ten are positive at logit 3, two of ten at 1. The targets are 11/12 and 1/12, their means 0.75 and 0.25,
        // so the probability at 3 is 0.75 and that at 1 is 0.25: sigmoid of ±ln 3, around 2.
        let logits: Vec<f64> = [3.0; 10].into_iter().chain([1.0; 10]).collect();
        let positive: Vec<bool> = (0..20).map(|n| !(8..18).contains(&n)).collect();
        let fitted = Calibration::fit_few(&logits, &positive).unwrap();
        assert!((fitted.bias + 2.0).abs() < 1e-6, "{fitted:?}");
        assert!((fitted.temperature - 1.0 / 3.0_f64.ln()).abs() < 1e-6, "{fitted:?}");
        assert!((fitted.probability(3.0) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn classes_that_do_not_touch_give_no_certainty() {
        // At both logits the probability is the target: 4/5 and 1/5 of three cases each.
        let logits = [2.0, 2.0, 2.0, -2.0, -2.0, -2.0];
        let positive = [true, true, true, false, false, false];
        let fitted = Calibration::fit_few(&logits, &positive).unwrap();
        assert!((fitted.probability(2.0) - 0.8).abs() < 1e-6, "{fitted:?}");
        assert!((fitted.probability(-2.0) - 0.2).abs() < 1e-6, "{fitted:?}");
    }

    #[test]
    fn scores_that_fall_with_pneumonia_have_no_calibration() {
        assert_eq!(Calibration::fit_few(&[-1.0, 1.0], &[true, false]), None);
        assert_eq!(Calibration::fit_few(&[1.0, 1.0], &[true, true]), None);
        assert_eq!(Calibration::fit_few(&[], &[]), None);
    }
}
