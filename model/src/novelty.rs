//! The distance from the training images.

use std::path::Path;

use tch::{Device, Kind, TchError, Tensor};

use crate::card::{self, Card};
use crate::network::Layout;
use crate::weights::{self, Weights, WeightsError};

/// Cells a side of the grid in which features are compared.
pub(super) const GRID: i64 = 3;
/// Tensors of the check lie under this in a weights file.
pub(super) const PREFIX: &str = "novelty.";
/// The name of the measure in a card.
pub(super) const METHOD: &str = "mahalanobis-grid3-v1";

/// Mahalanobis distance in the space of the strongest axes, of features that know where they are.
///
/// A feature map `[features, h, w]` is averaged over a grid of 3 × 3 cells; in each cell the features
/// become `channels` numbers, the strongest axes of the training images' features; all of them become
/// `axes` numbers, each of mean 0 and variance 1 over the training images. The distance is the root of
/// their mean square: about 1 for an image like the others.
#[derive(Debug)]
pub struct Check {
    /// `[features]`: the mean of the training images.
    pub(super) mean: Tensor,
    /// `[channels, features]`.
    pub(super) channels: Tensor,
    /// `[axes, channels × 9]`.
    pub(super) axes: Tensor,
    /// `[axes]`: what the axes give on the mean training image.
    pub(super) offset: Tensor,
    /// The distance above which an image is unlike the training images.
    pub(super) threshold: f64,
}

impl Check {
    /// The check of a model, when its card speaks of one.
    ///
    /// # Errors
    /// When the card's tensors are missing or do not fit one another.
    pub(crate) fn read(
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
        }))
    }

    /// Writes the weights in `from` to `to`, which may be the same file, with this check beside them
    /// and with `card`, which speaks of it.
    pub(crate) fn write(&self, from: &Path, to: &Path, card: &Card) -> Result<(), WeightsError> {
        let tensors = [
            ("mean", &self.mean),
            ("channels", &self.channels),
            ("axes", &self.axes),
            ("offset", &self.offset),
        ];
        let tensors = tensors.map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor));
        weights::attach(from, to, PREFIX, &tensors, card)
    }

    /// The same on another device.
    pub(crate) fn to(&self, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            mean: self.mean.f_to_device(device)?,
            channels: self.channels.f_to_device(device)?,
            axes: self.axes.f_to_device(device)?,
            offset: self.offset.f_to_device(device)?,
            threshold: self.threshold,
        })
    }

    /// Distance over threshold of every image of feature maps `[N, features, h, w]`: above 1, an
    /// image is unlike the training images.
    pub(crate) fn novelty(&self, maps: &Tensor) -> Result<Vec<f64>, TchError> {
        let distances: Vec<f64> =
            self.distances(&grid(maps)?)?.f_to_kind(Kind::Double)?.try_into()?;
        Ok(distances.into_iter().map(|distance| distance / self.threshold).collect())
    }

    /// Distances `[N]` of features `[N, 9, features]`.
    pub(super) fn distances(&self, grid: &Tensor) -> Result<Tensor, TchError> {
        let placed = in_channels(grid, &self.mean, &self.channels)?;
        let axes = placed.f_matmul(&self.axes.f_transpose(0, 1)?)?.f_sub(&self.offset)?;
        axes.f_square()?.f_mean_dim([1i64].as_slice(), false, Kind::Float)?.f_sqrt()
    }
}

/// Feature maps `[N, features, h, w]` of any kind, averaged over the grid: fp32 `[N, 9, features]`.
pub(crate) fn grid(maps: &Tensor) -> Result<Tensor, TchError> {
    let cells = maps.f_to_kind(Kind::Float)?.f_adaptive_avg_pool2d([GRID; 2])?;
    cells.f_flatten(2, 3)?.f_transpose(1, 2)
}

/// Features `[N, 9, features]` in `channels`, cell beside cell: `[N, 9 × channels]`.
pub(super) fn in_channels(
    grid: &Tensor,
    mean: &Tensor,
    channels: &Tensor,
) -> Result<Tensor, TchError> {
    let placed = grid.f_sub(mean)?.f_matmul(&channels.f_transpose(0, 1)?)?;
    placed.f_flatten(1, 2)
}
