//! The check on novelty as it runs: how far an image lies from those that the model was trained on.
//!
//! A network answers whatever it is shown: a hand, a page of writing, an X-ray upside down. The gate of
//! `lobar-imaging` refuses by rules what is certainly no chest X-ray. This check adds what was learned:
//! how far the features of an image lie from those of the training images
//! (Lee et al. 2018, <https://arxiv.org/abs/1807.03888>), here with the place of the features in the
//! picture, since an X-ray upside down has the same features elsewhere. Of the method [`METHOD_WITH_HEAD`]
//! it has a second part, an [`OutlierHead`], which was shown what the model is not for.
//!
//! `lobar-lab` fits it. It travels in the weights file: tensors under `novelty.`, the rest in the card. It
//! costs nothing to speak of: the last feature map is there anyway.

mod head;

use std::path::Path;

use tch::{Device, Kind, TchError, Tensor};

use crate::card::{self, Card};
use crate::network::Layout;
use crate::weights::{self, Weights, WeightsError};

pub use head::OutlierHead;

/// Cells a side of the grid in which features are compared.
const GRID: i64 = 3;
/// Tensors of the check lie under this in a weights file.
pub const PREFIX: &str = "novelty.";
/// The name of the measure in a card: the distance alone.
pub const METHOD: &str = "mahalanobis-grid3-v1";
/// The distance, and beside it a head.
pub const METHOD_WITH_HEAD: &str = "mahalanobis-grid3-head-v2";

/// Mahalanobis distance in the space of the strongest axes, of features that know where they are.
///
/// A feature map `[features, h, w]` is averaged over a grid of 3 × 3 cells; in each cell the features
/// become `channels` numbers, the strongest axes of the training images' features; all of them become
/// `axes` numbers, each of mean 0 and variance 1 over the training images. The distance is the root of
/// their mean square: about 1 for an image like the others.
#[derive(Debug)]
pub struct NoveltyDetector {
    /// `[features]`: the mean of the training images.
    pub mean: Tensor,
    /// `[channels, features]`.
    pub channels: Tensor,
    /// `[axes, channels × 9]`.
    pub axes: Tensor,
    /// `[axes]`: what the axes give on the mean training image.
    pub offset: Tensor,
    /// The distance above which an image is unlike the training images.
    pub threshold: f64,
    /// The second part; none of the method [`METHOD`].
    pub head: Option<OutlierHead>,
}

impl NoveltyDetector {
    /// The check of a model, when its card speaks of one.
    ///
    /// # Errors
    /// When the card's tensors are missing or do not fit one another.
    pub fn read(
        weights: &Weights,
        novelty: Option<&card::Novelty>,
        layout: Layout,
    ) -> Result<Option<Self>, WeightsError> {
        let Some(novelty) = novelty else { return Ok(None) };
        let tensor = |name: &str, shape: &dyn Fn(&[i64]) -> Vec<i64>| {
            let name = format!("{PREFIX}{name}");
            let found = weights.shape(&name).unwrap_or_default();
            weights.tensor(&name, &shape(&found)).map(Tensor::shallow_clone)
        };
        let features = layout.features();
        let first = |found: &[i64]| found.first().copied().unwrap_or(1);
        let channels = tensor("channels", &|found| vec![first(found), features])?;
        let width = first(&channels.size()) * GRID * GRID;
        let axes = tensor("axes", &|found| vec![first(found), width])?;
        let number = first(&axes.size());
        Ok(Some(Self {
            mean: tensor("mean", &|_| vec![features])?,
            channels,
            axes,
            offset: tensor("offset", &|_| vec![number])?,
            threshold: novelty.threshold,
            head: match &novelty.head {
                Some(head) => Some(OutlierHead::read(weights, head.threshold, features)?),
                None => None,
            },
        }))
    }

    /// Writes the weights in `from` to `to`, which may be the same file, with this check beside them
    /// and with `card`, which speaks of it.
    ///
    /// # Errors
    /// As [`weights::attach`].
    pub fn write(&self, from: &Path, to: &Path, card: &Card) -> Result<(), WeightsError> {
        let mut tensors = vec![
            ("mean", &self.mean),
            ("channels", &self.channels),
            ("axes", &self.axes),
            ("offset", &self.offset),
        ];
        if let Some(head) = &self.head {
            tensors.extend([("head.weight", &head.weight), ("head.bias", &head.bias)]);
        }
        let tensors: Vec<_> =
            tensors.into_iter().map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor)).collect();
        weights::attach(from, to, PREFIX, &tensors, card)
    }

    /// The same on another device.
    ///
    /// # Errors
    /// libtorch's.
    pub fn to(&self, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            mean: self.mean.f_to_device(device)?,
            channels: self.channels.f_to_device(device)?,
            axes: self.axes.f_to_device(device)?,
            offset: self.offset.f_to_device(device)?,
            threshold: self.threshold,
            head: self.head.as_ref().map(|head| head.to(device)).transpose()?,
        })
    }

    /// The same figures for another thread.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            mean: self.mean.shallow_clone(),
            channels: self.channels.shallow_clone(),
            axes: self.axes.shallow_clone(),
            offset: self.offset.shallow_clone(),
            threshold: self.threshold,
            head: self.head.as_ref().map(OutlierHead::share),
        }
    }

    /// Distance over threshold, or the head's surprise over its own where that is more, of every image of
    /// feature maps `[N, features, h, w]`: above 1, an image is unlike the training images.
    ///
    /// # Errors
    /// libtorch's.
    pub fn novelty(&self, maps: &Tensor) -> Result<Vec<f64>, TchError> {
        let grid = grid(maps)?;
        let distances: Vec<f64> = self.distances(&grid)?.f_to_kind(Kind::Double)?.try_into()?;
        let distances = distances.into_iter().map(|distance| distance / self.threshold);
        let Some(head) = &self.head else { return Ok(distances.collect()) };
        let surprises: Vec<f64> = head.surprise(&grid.f_sub(&self.mean)?)?.try_into()?;
        let surprises = surprises.into_iter().map(|surprise| surprise / head.threshold);
        Ok(distances
            .zip(surprises)
            .map(|(distance, surprise)| larger(distance, surprise))
            .collect())
    }

    /// Distances `[N]` of features `[N, 9, features]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn distances(&self, grid: &Tensor) -> Result<Tensor, TchError> {
        let placed = in_channels(grid, &self.mean, &self.channels)?;
        let axes = placed.f_matmul(&self.axes.f_transpose(0, 1)?)?.f_sub(&self.offset)?;
        axes.f_square()?.f_mean_dim([1i64].as_slice(), false, Kind::Float)?.f_sqrt()
    }
}

/// The larger of two; not a number when one is none, which counts as unlike.
fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// Feature maps `[N, features, h, w]` of any kind, averaged over the grid: fp32 `[N, 9, features]`.
///
/// # Errors
/// libtorch's.
pub fn grid(maps: &Tensor) -> Result<Tensor, TchError> {
    let cells = maps.f_to_kind(Kind::Float)?.f_adaptive_avg_pool2d([GRID; 2])?;
    cells.f_flatten(2, 3)?.f_transpose(1, 2)
}

/// Features `[N, 9, features]` in `channels`, cell beside cell: `[N, 9 × channels]`.
///
/// # Errors
/// libtorch's.
pub fn in_channels(grid: &Tensor, mean: &Tensor, channels: &Tensor) -> Result<Tensor, TchError> {
    let placed = grid.f_sub(mean)?.f_matmul(&channels.f_transpose(0, 1)?)?;
    placed.f_flatten(1, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_figures_the_larger_counts_and_one_that_is_no_number_counts_most() {
        assert_eq!((larger(0.5, 2.0), larger(2.0, 0.5)), (2.0, 2.0));
        assert!(larger(f64::NAN, 0.5).is_nan() && larger(0.5, f64::NAN).is_nan());
    }
}
