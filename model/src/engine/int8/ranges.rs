//! The ranges of the trunk's activations, which 8 bits must cover.
//!
//! Post-training static quantisation (Jacob et al. 2018, <https://arxiv.org/abs/1712.05877>): an
//! activation `x` becomes `round(x / scale) + zero` in `0..=255`. `lobar-lab` chooses the ranges on training
//! images; here they are read.

use tch::{Kind, TchError, Tensor};

use crate::weights::{Weights, WeightsError};

/// The tensor of the ranges in a weights file, `[activations, 2]`: lowest and highest value.
const NAME: &str = "int8.ranges";
/// Tensors of this engine lie under this in a weights file.
pub const PREFIX: &str = "int8.";
/// The affine map between an activation and 8 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Of one step.
    pub step: f64,
    /// The integer that stands for 0.
    pub zero: i64,
}

impl Scale {
    /// The scale that covers a range and holds 0 exactly.
    #[must_use]
    pub fn of([low, high]: [f64; 2]) -> Self {
        let step = ((high.max(0.0) - low.min(0.0)) / 255.0).max(f64::from(f32::MIN_POSITIVE));
        Self { step, zero: (-low.min(0.0) / step).round().clamp(0.0, 255.0) as i64 }
    }
}

/// Lowest and highest value of each activation: after the stem and its pooling, then in every block after
/// the first and the second convolution, the shortcut's if there is one, and the block.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges(Vec<[f64; 2]>);

impl Ranges {
    /// Of the lowest and the highest value of each activation, in the order above.
    #[must_use]
    pub fn new(ends: Vec<[f64; 2]>) -> Self {
        Self(ends)
    }

    /// The ranges in a weights file, if it has any.
    ///
    /// # Errors
    /// When its tensor has another shape than ranges have.
    pub fn read(weights: &Weights) -> Result<Option<Self>, WeightsError> {
        let Some(shape) = weights.shape(NAME) else { return Ok(None) };
        let rows = shape.first().copied().unwrap_or(0);
        let tensor = weights.tensor(NAME, &[rows, 2])?;
        let values: Vec<Vec<f64>> = Vec::try_from(tensor.to_kind(Kind::Double))
            .map_err(|source| WeightsError::Torch { path: weights.path().to_owned(), source })?;
        Ok(Some(Self(values.iter().map(|row| [row[0], row[1]]).collect())))
    }

    /// As it lies in a weights file: name and tensor.
    ///
    /// # Errors
    /// libtorch's.
    pub fn tensor(&self) -> Result<(String, Tensor), TchError> {
        let values: Vec<f32> = self.0.iter().flatten().map(|&end| end as f32).collect();
        Ok((NAME.to_owned(), Tensor::f_from_slice(&values)?.f_view([self.0.len() as i64, 2])?))
    }

    /// The scales one after the other.
    pub(super) fn scales(&self) -> impl Iterator<Item = Scale> {
        self.0.iter().copied().map(Scale::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_an_integer_of_every_scale_and_the_ends_are_covered() {
        for range in [[0.0, 6.0], [-2.0, 3.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 2.0]] {
            let Scale { step, zero } = Scale::of(range);
            assert!((0..=255).contains(&zero) && step > 0.0, "{range:?}");
            for end in range {
                let level = (end / step).round() + zero as f64;
                assert!((-0.5..=255.5).contains(&level), "{end} of {range:?} is {level}");
            }
        }
    }
}
