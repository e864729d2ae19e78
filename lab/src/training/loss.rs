//! What training makes small.

use lobar_model::network::Output;
use tch::{Device, Kind, Reduction, TchError, Tensor};

use super::TrainOptions;
use super::loader::Batch;
use super::teacher::Told;

/// Cross-entropy of pneumonia, each picture with its weight, plus that of bacterial against
/// viral over the pictures where the label tells, plus the distance between views of one picture.
#[derive(Debug)]
pub(super) struct Loss {
    smoothing: f32,
    subtype_weight: f64,
    /// Of the teachers in the target.
    share: f64,
    views: i64,
    consistency: f64,
    device: Device,
}

impl Loss {
    pub(super) fn new(options: &TrainOptions) -> Self {
        Self {
            smoothing: options.smoothing as f32,
            subtype_weight: options.subtype_weight,
            share: options.distillation.share,
            views: options.distillation.views as i64,
            consistency: options.distillation.consistency,
            device: options.device,
        }
    }

    /// The loss of one batch, a scalar; `told` is what teachers say of it.
    pub(super) fn of(
        &self,
        batch: &Batch,
        output: &Output,
        told: Option<&Told>,
    ) -> Result<Tensor, TchError> {
        let main = output.pneumonia.f_binary_cross_entropy_with_logits(
            &self.target(&batch.pneumonia, told.map(|told| &told.pneumonia))?,
            Some(&self.on_device(&batch.weights)?),
            None::<&Tensor>,
            Reduction::Mean,
        )?;
        let labelled: Vec<f32> =
            batch.bacterial.iter().map(|&label| f32::from(u8::from(label != 0.5))).collect();
        let count = labelled.iter().sum::<f32>().max(1.0);
        let second = output.bacterial.f_binary_cross_entropy_with_logits(
            &self.target(&batch.bacterial, told.map(|told| &told.bacterial))?,
            Some(&self.on_device(&labelled)?),
            None::<&Tensor>,
            Reduction::Sum,
        )?;
        let loss = main.f_add(&second.f_mul_scalar(self.subtype_weight / f64::from(count))?)?;
        if self.consistency == 0.0 {
            return Ok(loss);
        }
        let views = output.pneumonia.f_view([-1, self.views])?;
        let away = views.f_sub(&views.f_mean_dim([1i64].as_slice(), true, Kind::Float)?)?;
        loss.f_add(&away.f_square()?.f_mean(Kind::Float)?.f_mul_scalar(self.consistency)?)
    }

    /// Smoothed labels, and the teachers' probabilities for their share. Cross-entropy is linear in its target, so
    /// this is the weighted sum of both losses.
    fn target(&self, labels: &[f32], told: Option<&Tensor>) -> Result<Tensor, TchError> {
        let smooth: Vec<f32> = labels
            .iter()
            .map(|label| label * (1.0 - self.smoothing) + self.smoothing / 2.0)
            .collect();
        let labels = self.on_device(&smooth)?;
        match told {
            Some(told) => labels.f_lerp(told, self.share),
            None => Ok(labels),
        }
    }

    fn on_device(&self, values: &[f32]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(values)?.f_to_device(self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss() -> Loss {
        Loss {
            smoothing: 0.0,
            subtype_weight: 0.0,
            share: 0.5,
            views: 2,
            consistency: 0.0,
            device: Device::Cpu,
        }
    }

    fn batch() -> Batch {
        Batch {
            images: Vec::new(),
            pneumonia: vec![1.0, 1.0],
            bacterial: vec![0.5, 0.5],
            weights: vec![1.0, 1.0],
        }
    }

    fn output(logits: [f32; 2]) -> Output {
        Output {
            pneumonia: Tensor::from_slice(&logits),
            bacterial: Tensor::from_slice(&[0.0f32, 0.0]),
        }
    }

    fn softplus(x: f64) -> f64 {
        x.exp().ln_1p()
    }

    #[test]
    fn half_of_the_target_is_the_teachers_where_they_have_half_of_the_word() {
        let told = Told {
            pneumonia: Tensor::from_slice(&[0.2f32, 0.2]),
            bacterial: Tensor::from_slice(&[0.5f32, 0.5]),
        };
        let value = loss().of(&batch(), &output([1.0, 1.0]), Some(&told)).unwrap();
        // The target is (1 + 0.2) / 2 = 0.6: 0.6 softplus(-1) + 0.4 softplus(1).
        let wanted = 0.6 * softplus(-1.0) + 0.4 * softplus(1.0);
        assert!((value.double_value(&[]) - wanted).abs() < 1e-6);
    }

    #[test]
    fn views_that_differ_cost_the_square_of_their_distance_from_their_mean() {
        let alike = |consistency| {
            let loss = Loss { consistency, ..loss() };
            loss.of(&batch(), &output([3.0, 1.0]), None).unwrap().double_value(&[])
        };
        // Both lie 1 from their mean of 2.
        assert!((alike(0.3) - alike(0.0) - 0.3).abs() < 1e-6);
    }
}
