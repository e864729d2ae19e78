//! Multinomial logistic regression.

use tch::{Kind, TchError, Tensor};

/// Steps of Adam over all rows at once.
const STEPS: usize = 150;
/// Its first rate; the last is 0, along a cosine.
const RATE: f64 = 0.01;
/// Decay of Adam's moments.
const MOMENTS: (f64, f64) = (0.9, 0.999);

/// Weights `[width, classes]` and biases `[classes]` by which rows `[N, width]`, of variance about 1, belong
/// to their `class` (int64 `[N]`, of 0 to `classes`); rows count as much as their `weight` `[N]`, of sum 1.
/// `decay` times half the squared sum of the weights is part of the loss. Starts at zero and takes no chances: the same rows give the same answer.
///
/// # Errors
/// libtorch's.
pub(super) fn fit(
    rows: &Tensor,
    class: &Tensor,
    weight: &Tensor,
    classes: i64,
    decay: f64,
) -> Result<(Tensor, Tensor), TchError> {
    let _no_grad = tch::no_grad_guard();
    let (_, width) = rows.size2()?;
    let options = (Kind::Float, rows.device());
    let wanted = class.f_one_hot(classes)?.f_to_kind(Kind::Float)?;
    let weight = weight.f_unsqueeze(1)?;
    let transposed = rows.f_transpose(0, 1)?;
    let mut weights = Adam::new(&[width, classes], options)?;
    let mut biases = Adam::new(&[classes], options)?;
    for step in 1..=STEPS {
        let logits = rows.f_matmul(&weights.value)?.f_add(&biases.value)?;
        let error = logits.f_softmax(1, Kind::Float)?.f_sub(&wanted)?.f_mul(&weight)?;
        let shrink = weights.value.f_mul_scalar(decay)?;
        weights.step(step, &transposed.f_matmul(&error)?.f_add(&shrink)?)?;
        biases.step(step, &error.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?)?;
    }
    Ok((weights.value, biases.value))
}

/// A tensor that learns by Adam (Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>).
struct Adam {
    value: Tensor,
    first: Tensor,
    second: Tensor,
}

impl Adam {
    fn new(shape: &[i64], options: (Kind, tch::Device)) -> Result<Self, TchError> {
        let zeros = || Tensor::f_zeros(shape, options);
        Ok(Self { value: zeros()?, first: zeros()?, second: zeros()? })
    }

    /// One step against the gradient; `step` counts from 1.
    fn step(&mut self, step: usize, gradient: &Tensor) -> Result<(), TchError> {
        let (of_first, of_second) = MOMENTS;
        let done = step as f64 / STEPS as f64;
        let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.first = self.first.f_lerp(gradient, 1.0 - of_first)?;
        self.second = self.second.f_lerp(&gradient.f_square()?, 1.0 - of_second)?;
        let unbiased = |decay: f64| 1.0 - decay.powi(step as i32);
        let spread = self.second.f_div_scalar(unbiased(of_second))?.f_sqrt()?.f_add_scalar(1e-8)?;
        let change = self.first.f_div(&spread)?.f_mul_scalar(rate / unbiased(of_first))?;
        self.value = self.value.f_sub(&change)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn rows_of_three_classes_that_lie_apart_are_told_apart() {
        tch::manual_seed(5);
        let class = Tensor::arange(300, (Kind::Int64, Device::Cpu)).remainder(3);
        let centres = Tensor::from_slice(&[2.0f32, 0.0, 0.0, 2.0, -2.0, -2.0]).view([3, 2]);
        let rows = centres.index_select(0, &class)
            + Tensor::randn([300, 2], (Kind::Float, Device::Cpu)) * 0.3;
        let weight = Tensor::full([300], 1.0 / 300.0, (Kind::Float, Device::Cpu));
        let (weights, biases) = fit(&rows, &class, &weight, 3, 0.1).unwrap();
        let found = (rows.matmul(&weights) + biases).argmax(1, false);
        let right = found.eq_tensor(&class).sum(Kind::Int64).int64_value(&[]);
        assert!(right > 290, "{right}");
    }
}
