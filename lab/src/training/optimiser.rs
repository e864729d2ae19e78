//! AdamW (Loshchilov and Hutter 2017, <https://arxiv.org/abs/1711.05101>), written out because its
//! moments must go into checkpoints and tch's optimiser does not let them out.

use tch::{Kind, TchError, Tensor};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// One trainable tensor with its moments.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: Tensor,
    pub(crate) first_moment: Tensor,
    pub(crate) second_moment: Tensor,
}

/// The optimiser over all trainable tensors, sorted by name.
#[derive(Debug)]
pub(crate) struct AdamW {
    pub(crate) parameters: Vec<Parameter>,
    weight_decay: f64,
}

impl AdamW {
    /// Weight decay acts on matrices and kernels only, not on biases and batch norms.
    pub(crate) fn new(variables: Vec<(String, Tensor)>, weight_decay: f64) -> Self {
        let parameters = variables
            .into_iter()
            .filter(|(_, value)| value.requires_grad())
            .map(|(name, value)| Parameter {
                first_moment: value.detach().zeros_like(),
                second_moment: value.detach().zeros_like(),
                name,
                value,
            })
            .collect();
        Self { parameters, weight_decay }
    }

    /// Gradients of a scalar loss, in the order of the parameters that are not frozen.
    pub(crate) fn gradients(&self, loss: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let learning = self.parameters.iter().filter(|parameter| parameter.value.requires_grad());
        let inputs: Vec<&Tensor> = learning.map(|parameter| &parameter.value).collect();
        Tensor::f_run_backward(&[loss], &inputs, false, false)
    }

    /// Takes step number `step`, counted from 0, with what [`Self::gradients`] gave.
    pub(crate) fn step(
        &mut self,
        gradients: &[Tensor],
        step: usize,
        rate: f64,
    ) -> Result<(), TchError> {
        let count = step as f64 + 1.0;
        let correction1 = 1.0 - BETA1.powf(count);
        let correction2 = (1.0 - BETA2.powf(count)).sqrt();
        tch::no_grad(|| {
            let learning =
                self.parameters.iter_mut().filter(|parameter| parameter.value.requires_grad());
            for (parameter, gradient) in learning.zip(gradients) {
                let Parameter { value, first_moment, second_moment, .. } = parameter;
                if value.dim() > 1 {
                    let _ = value.f_mul_scalar_(1.0 - rate * self.weight_decay)?;
                }
                let gradient = gradient.f_to_kind(Kind::Float)?;
                let _ = first_moment.f_lerp_(&gradient, 1.0 - BETA1)?;
                let _ = second_moment
                    .f_mul_scalar_(BETA2)?
                    .f_addcmul_(&(&gradient * (1.0 - BETA2)), &gradient)?;
                // m / c1 / (sqrt(v) / c2 + e) with the corrections taken out of the tensors.
                let root = second_moment.f_sqrt()?.f_add_scalar_(EPSILON * correction2)?;
                let update =
                    first_moment.f_div(&root)?.f_mul_scalar_(-rate * correction2 / correction1)?;
                let _ = value.f_add_(&update)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_give_the_values_computed_by_hand() {
        let weight = Tensor::from_slice(&[1.0f32, -2.0]).view([1, 2]).set_requires_grad(true);
        let mut optimiser = AdamW::new(vec![("w".into(), weight.shallow_clone())], 0.1);
        let gradient = || vec![Tensor::from_slice(&[0.5f32, -1.0]).view([1, 2])];
        // Step 0: the corrected moments are g and g², so the update is rate × sign(g):
        // 1 × (1 - 0.01 × 0.1) - 0.01 = 0.989; -2 × 0.999 + 0.01 = -1.988.
        optimiser.step(&gradient(), 0, 0.01).unwrap();
        let values = Vec::<f32>::try_from(weight.view([2])).unwrap();
        assert!((values[0] - 0.989).abs() < 1e-6 && (values[1] + 1.988).abs() < 1e-6, "{values:?}");
        // Step 1 with the same gradient: again rate × sign(g).
        optimiser.step(&gradient(), 1, 0.01).unwrap();
        let values = Vec::<f32>::try_from(weight.view([2])).unwrap();
        assert!(
            (values[0] - 0.978_011).abs() < 1e-5 && (values[1] + 1.976_012).abs() < 1e-5,
            "{values:?}"
        );
    }

    #[test]
    fn a_gradient_is_what_calculus_says() {
        let weight = Tensor::from_slice(&[3.0f32]).set_requires_grad(true);
        let optimiser = AdamW::new(vec![("w".into(), weight.shallow_clone())], 0.0);
        let loss = (&weight * &weight).sum(Kind::Float);
        let gradients = optimiser.gradients(&loss).unwrap();
        assert!((gradients[0].double_value(&[0]) - 6.0).abs() < 1e-6);
    }
}
