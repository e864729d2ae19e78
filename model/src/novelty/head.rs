//! The second part of the check: a linear head that was shown what the model is not for.

use tch::{Device, Kind, TchError, Tensor};

use super::{GRID, PREFIX};
use crate::weights::{Weights, WeightsError};

/// Multinomial logistic regression on the features of all cells: in scope, or of one of some kinds that
/// are out of scope (outlier exposure, Hendrycks et al. 2019, <https://arxiv.org/abs/1812.04606>).
///
/// The logit of *in scope* is 0; the others' are relative to it. The head needs no activation that the
/// engine does not have anyway, in any precision.
#[derive(Debug)]
pub struct OutlierHead {
    /// `[kinds, 9, features]`, for features from which the mean of [`super::NoveltyDetector`] was taken.
    pub weight: Tensor,
    /// `[kinds]`.
    pub bias: Tensor,
    /// The surprise above which an image is out of scope.
    pub threshold: f64,
}

impl OutlierHead {
    pub(super) fn read(
        weights: &Weights,
        threshold: f64,
        features: i64,
    ) -> Result<Self, WeightsError> {
        let name = format!("{PREFIX}head.weight");
        let kinds = weights.shape(&name).and_then(|shape| shape.first().copied()).unwrap_or(1);
        let cells = GRID * GRID;
        Ok(Self {
            weight: weights.tensor(&name, &[kinds, cells, features])?.shallow_clone(),
            bias: weights.tensor(&format!("{PREFIX}head.bias"), &[kinds])?.shallow_clone(),
            threshold,
        })
    }

    /// The same on another device.
    pub(super) fn to(&self, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            weight: self.weight.f_to_device(device)?,
            bias: self.bias.f_to_device(device)?,
            threshold: self.threshold,
        })
    }

    /// The same figures for another thread.
    pub(super) fn share(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
            threshold: self.threshold,
        }
    }

    /// −ln of the probability that an image is in scope, in nats: 0 for one that surely is. fp64 `[N]`,
    /// of centred features `[N, 9, features]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn surprise(&self, centred: &Tensor) -> Result<Tensor, TchError> {
        let weight = self.weight.f_flatten(1, 2)?.f_transpose(0, 1)?;
        let logits = centred.f_flatten(1, 2)?.f_matmul(&weight)?.f_add(&self.bias)?;
        // In double precision: of an image that is surely in scope fp32 would see no more than 0.
        let logits = logits.f_to_kind(Kind::Double)?;
        logits.f_logsumexp([1i64].as_slice(), false)?.f_softplus()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> OutlierHead {
        let weight = Tensor::zeros([2, 9, 4], (Kind::Float, Device::Cpu));
        let _ = weight.get(0).get(8).get(3).fill_(1.0);
        let _ = weight.get(1).get(0).get(0).fill_(-1.0);
        let bias = Tensor::from_slice(&[-5.0f32, -30.0]);
        OutlierHead { weight, bias, threshold: 1.0 }
    }

    #[test]
    fn the_surprise_is_the_logarithm_of_one_over_the_probability_of_being_in_scope() {
        let features = Tensor::zeros([3, 9, 4], (Kind::Float, Device::Cpu));
        let _ = features.get(1).get(8).get(3).fill_(7.0);
        let _ = features.get(2).get(0).get(0).fill_(-90.0);
        let found: Vec<f64> = head().surprise(&features).unwrap().try_into().unwrap();
        let wanted =
            [((-5f64).exp() + (-30f64).exp()).ln_1p(), (2f64.exp() + (-30f64).exp()).ln_1p(), 60.0];
        for (found, wanted) in found.into_iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6 * wanted, "{found} {wanted}");
        }
    }
}
