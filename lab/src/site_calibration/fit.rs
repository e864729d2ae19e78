//! Calibration and threshold of some cases.

use lobar_model::card::Interval;

use super::cases::Cases;
use crate::evaluation::{Calibration, choose_threshold, intervals};

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fitted {
    /// What makes a probability of a logit.
    pub(super) calibration: Calibration,
    /// The operating point on that probability.
    pub(super) threshold: f64,
}

impl Fitted {
    /// Fits both; `None` where scores do not rise with pneumonia, or a class is missing.
    pub(super) fn on(logits: &[f64], truth: &[bool], sensitivity: f64) -> Option<Self> {
        let calibration = Calibration::fit_few(logits, truth)?;
        let threshold = choose_threshold(&probabilities(&calibration, logits), truth, sensitivity)?;
        Some(Self { calibration, threshold })
    }

    /// Intervals of bias, temperature and threshold; patients are drawn again and all is fitted anew. The thresholds of the
    /// draws are told on the probability that this calibration gives, so that they compare.
    pub(super) fn intervals(&self, cases: &Cases, sensitivity: f64) -> [Option<Interval>; 3] {
        intervals(&cases.patient, |choice| {
            let (logits, truth) = cases.chosen(choice);
            let drawn = Calibration::fit_few(&logits, &truth);
            let here = probabilities(&self.calibration, &logits);
            [
                drawn.map(|it| it.bias),
                drawn.map(|it| it.temperature),
                choose_threshold(&here, &truth, sensitivity),
            ]
        })
    }

    /// Where another model's threshold lies on this probability: at the same logit of the network.
    pub(super) fn here(&self, threshold: f64, temperature: f64) -> f64 {
        let logit = temperature * (threshold / (1.0 - threshold)).ln();
        self.calibration.probability(logit)
    }
}

fn probabilities(calibration: &Calibration, logits: &[f64]) -> Vec<f64> {
    logits.iter().map(|logit| calibration.probability(*logit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_of_before_lies_where_its_logit_lies() {
        // A threshold of 0.9 at temperature 2 is a logit of 2 ln 9; less ln 9 and at temperature 1 that is ln 9: 0.9.
        let calibration = Calibration { bias: -(9.0_f64.ln()), temperature: 1.0 };
        let fitted = Fitted { calibration, threshold: 0.5 };
        assert!((fitted.here(0.9, 2.0) - 0.9).abs() < 1e-12);
    }
}
