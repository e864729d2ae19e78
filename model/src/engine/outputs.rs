//! The three outputs that an exported model has, and how far two sets of them are apart.

use tch::{Device, Kind, TchError, Tensor};

use super::proof::sigmoid;

/// What an exported model answers, one entry a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Calibrated probability of pneumonia.
    pub probability: Vec<f64>,
    /// Probability that a pneumonia is bacterial.
    pub bacterial: Vec<f64>,
    /// The network's logit of pneumonia, before its temperature.
    pub logit: Vec<f64>,
}

impl Outputs {
    /// The same of calibrated logits.
    #[must_use]
    pub fn from_answers(answers: &[[f64; 2]], temperature: f64) -> Self {
        Self {
            probability: answers.iter().map(|a| sigmoid(a[0])).collect(),
            bacterial: answers.iter().map(|a| sigmoid(a[1])).collect(),
            logit: answers.iter().map(|a| a[0] * temperature).collect(),
        }
    }

    /// From the tensors `probability`, `bacterial_probability` and `logit`, each `[N]`.
    ///
    /// # Errors
    /// When there are fewer than three.
    pub fn from_tensors(tensors: &[Tensor]) -> Result<Self, TchError> {
        let values = |index: usize| -> Result<Vec<f64>, TchError> {
            let tensor = tensors.get(index).ok_or_else(|| {
                TchError::Torch(format!("{} outputs instead of 3", tensors.len()))
            })?;
            tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.try_into()
        };
        Ok(Self { probability: values(0)?, bacterial: values(1)?, logit: values(2)? })
    }

    /// A bound on how far the probabilities differ; not a number when something is none, or when
    /// there are more of one than of the other. A quarter of a difference in calibrated logits
    /// counts too: a sure model's probabilities would hide a fault.
    #[must_use]
    pub fn difference(&self, other: &Self, temperature: f64) -> f64 {
        let pairs = [
            (&self.probability, &other.probability, 1.0),
            (&self.bacterial, &other.bacterial, 1.0),
            (&self.logit, &other.logit, 4.0 * temperature),
        ];
        let mut worst = 0.0;
        for (ours, theirs, divisor) in pairs {
            if ours.len() != theirs.len() {
                return f64::NAN;
            }
            for (x, y) in ours.iter().zip(theirs) {
                let away = (x - y).abs() / divisor;
                if away.is_nan() {
                    return away;
                }
                worst = f64::max(worst, away);
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_the_largest_of_any_output_and_of_none_when_one_is_no_number() {
        let one = Outputs::from_answers(&[[0.0, 0.0], [8.0, 1.0]], 0.5);
        assert_eq!(one.logit, [0.0, 4.0]);
        assert_eq!(one.difference(&one, 0.5), 0.0);
        let other = Outputs::from_answers(&[[0.0, 0.0], [9.0, 1.0]], 0.5);
        // The probabilities are 2e-4 apart, the logits of a sure answer 1.
        assert!((one.difference(&other, 0.5) - 0.25).abs() < 1e-12);
        let second = Outputs::from_answers(&[[0.0, 4.0], [8.0, 1.0]], 0.5);
        assert!((one.difference(&second, 0.5) - (sigmoid(4.0) - 0.5)).abs() < 1e-12);
        let broken = Outputs { bacterial: vec![0.5, f64::NAN], ..one.clone() };
        assert!(one.difference(&broken, 0.5).is_nan());
        let short = Outputs { logit: vec![0.0], ..one.clone() };
        assert!(one.difference(&short, 0.5).is_nan());
    }
}
