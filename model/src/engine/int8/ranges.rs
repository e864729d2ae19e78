//! The ranges of the trunk's activations, which 8 bits must cover.
//!
//! Post-training static quantisation (Jacob et al. 2018, <https://arxiv.org/abs/1712.05877>): an
//! activation `x` becomes `round(x / scale) + zero` in `0..=255`. The range is chosen on training images:
//! of those between three tenths and the whole of what was seen, the one whose rounding errors have the
//! least mean square. A few large values then saturate, and all others are finer.

use lobar_core::engine::NetworkInput;
use tch::{Device, Kind, TchError, Tensor};

use crate::engine::folded::Trunk;
use crate::engine::input::GreyTable;
use crate::weights::{Weights, WeightsError};

/// The tensor of the ranges in a weights file, `[activations, 2]`: lowest and highest value.
const NAME: &str = "int8.ranges";
/// Tensors of this engine lie under this in a weights file.
pub(crate) const PREFIX: &str = "int8.";
/// Shares of the whole range that are tried.
const SHARES: [f64; 7] = [1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3];
/// So many rows of a map stand for all when rounding errors are compared. Never a part of the channels:
/// those of large values are few.
const ROWS: i64 = 8;
/// Images whose activations are held at once.
const BATCH: usize = 8;

/// The affine map between an activation and 8 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// Of one step.
    pub(crate) step: f64,
    /// The integer that stands for 0.
    pub(crate) zero: i64,
}

impl Scale {
    fn of([low, high]: [f64; 2]) -> Self {
        let step = ((high.max(0.0) - low.min(0.0)) / 255.0).max(f64::from(f32::MIN_POSITIVE));
        Self { step, zero: (-low.min(0.0) / step).round().clamp(0.0, 255.0) as i64 }
    }
}

/// Lowest and highest value of each activation: after the stem and its pooling, then in every block after
/// the first and the second convolution, the shortcut's if there is one, and the block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranges(Vec<[f64; 2]>);

impl Ranges {
    /// The ranges of `trunk`, fp32 on the CPU, on these images.
    pub(crate) fn observe(trunk: &Trunk, images: &[NetworkInput]) -> Result<Self, TchError> {
        let _no_grad = tch::no_grad_guard();
        let table = GreyTable::new(Kind::Float, Device::Cpu)?;
        let mut seen: Vec<[f64; 2]> = Vec::new();
        watch(trunk, &table, images, &mut |index, map| {
            let (low, high) = (map.f_min()?, map.f_max()?);
            let (low, high) = (low.f_double_value(&[])?, high.f_double_value(&[])?);
            match seen.get_mut(index) {
                Some(range) => *range = [range[0].min(low), range[1].max(high)],
                None => seen.push([low, high]),
            }
            Ok(())
        })?;
        let mut errors = vec![[0.0; SHARES.len()]; seen.len()];
        watch(trunk, &table, images, &mut |index, map| {
            let every = (map.size4()?.2 / ROWS).max(1);
            let map = map.f_slice(2, 0, i64::MAX, every)?.f_contiguous()?;
            for (error, share) in errors[index].iter_mut().zip(SHARES) {
                let Scale { step, zero } = Scale::of(seen[index].map(|end| end * share));
                let rounded = map.f_fake_quantize_per_tensor_affine(step, zero, 0, 255)?;
                *error +=
                    rounded.f_sub(&map)?.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?;
            }
            Ok(())
        })?;
        let best = |errors: &[f64; SHARES.len()]| {
            let pairs = errors.iter().zip(SHARES);
            pairs.min_by(|a, b| a.0.total_cmp(b.0)).map_or(1.0, |(_, share)| share)
        };
        let ranges = seen.iter().zip(&errors).map(|(range, e)| range.map(|end| end * best(e)));
        Ok(Self(ranges.collect()))
    }

    /// The ranges in a weights file, if it has any.
    pub(crate) fn read(weights: &Weights) -> Result<Option<Self>, WeightsError> {
        let Some(shape) = weights.shape(NAME) else { return Ok(None) };
        let rows = shape.first().copied().unwrap_or(0);
        let tensor = weights.tensor(NAME, &[rows, 2])?;
        let values: Vec<Vec<f64>> = Vec::try_from(tensor.to_kind(Kind::Double))
            .map_err(|source| WeightsError::Torch { path: weights.path().to_owned(), source })?;
        Ok(Some(Self(values.iter().map(|row| [row[0], row[1]]).collect())))
    }

    /// As it lies in a weights file: name and tensor.
    pub(crate) fn tensor(&self) -> Result<(String, Tensor), TchError> {
        let values: Vec<f32> = self.0.iter().flatten().map(|&end| end as f32).collect();
        Ok((NAME.to_owned(), Tensor::f_from_slice(&values)?.f_view([self.0.len() as i64, 2])?))
    }

    /// The scales one after the other.
    pub(super) fn scales(&self) -> impl Iterator<Item = Scale> {
        self.0.iter().copied().map(Scale::of)
    }
}

/// Shows every activation of every batch to `see`, with its place in the order of [`Ranges`].
fn watch(
    trunk: &Trunk,
    table: &GreyTable,
    images: &[NetworkInput],
    see: &mut dyn FnMut(usize, &Tensor) -> Result<(), TchError>,
) -> Result<(), TchError> {
    for batch in images.chunks(BATCH) {
        let mut index = 0;
        let _ = trunk.forward_watched(&table.batch(batch)?, &mut |map| {
            see(index, map)?;
            index += 1;
            Ok(())
        })?;
    }
    Ok(())
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
