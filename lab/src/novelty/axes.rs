//! The strongest axes of features.

use lobar_model::novelty::{NoveltyDetector, in_channels};
use tch::{Kind, TchError, Tensor};

/// Axes of the features that the distance keeps in each cell of the grid, at most.
const CHANNELS: usize = 32;
/// Axes of all cells together, at most.
const AXES: usize = 128;
/// Fewest training images for one axis: a variance of fewer is chance.
const IMAGES_AN_AXIS: usize = 8;
/// Axes weaker than this share of the strongest are rounding.
const WEAKEST: f64 = 1e-5;
/// Images whose features are widened to single precision at a time.
const AT_ONCE: i64 = 256;

/// The distance of training features `[N, 9, features]`, its threshold still open, every number as half
/// precision will keep it; `None` when there is nothing to tell images apart by.
pub(super) fn fit_axes(train: &Tensor) -> Result<Option<NoveltyDetector>, TchError> {
    let _no_grad = tch::no_grad_guard();
    let Some((mean, channels)) = fit_channels(train, CHANNELS)? else { return Ok(None) };
    let (mean, channels) = (rounded(&mean)?, rounded(&channels)?);
    let placed = placed(train, &mean, &channels)?;
    let centre = placed.f_mean_dim([0i64].as_slice(), true, Kind::Float)?;
    let Some(axes) = whitened(&placed.f_sub(&centre)?, most(train, AXES))? else { return Ok(None) };
    let axes = rounded(&axes)?;
    let offset = centre.f_matmul(&axes.f_transpose(0, 1)?)?.f_squeeze_dim(0)?;
    Ok(Some(NoveltyDetector {
        mean,
        channels,
        axes,
        offset: rounded(&offset)?,
        threshold: f64::NAN,
        head: None,
    }))
}

/// Mean `[features]` and strongest axes `[wanted at most, features]` of features `[N, 9, features]`,
/// averaged over the cells.
pub(super) fn fit_channels(
    features: &Tensor,
    wanted: usize,
) -> Result<Option<(Tensor, Tensor)>, TchError> {
    let pooled = features.f_mean_dim([1i64].as_slice(), false, Kind::Float)?;
    let mean = pooled.f_mean_dim([0i64].as_slice(), false, Kind::Float)?;
    let channels = whitened(&pooled.f_sub(&mean)?, most(features, wanted))?;
    Ok(channels.map(|channels| (mean, channels)))
}

/// As [`in_channels`], of features of any kind and number: fp32 `[N, 9 × channels]`.
pub(super) fn placed(
    features: &Tensor,
    mean: &Tensor,
    channels: &Tensor,
) -> Result<Tensor, TchError> {
    let parts = features.f_split(AT_ONCE, 0)?;
    let parts = parts.iter().map(|part| in_channels(&part.f_to_kind(Kind::Float)?, mean, channels));
    Tensor::f_cat(&parts.collect::<Result<Vec<_>, _>>()?, 0)
}

/// As many axes as `wanted` and as so many images can tell.
fn most(features: &Tensor, wanted: usize) -> usize {
    let images = features.size().first().copied().unwrap_or(0) as usize;
    wanted.min(images / IMAGES_AN_AXIS)
}

/// The strongest axes of centred rows `[N, width]`, scaled to variance 1: `[axes, width]`; `None` when
/// there is none.
fn whitened(rows: &Tensor, most: usize) -> Result<Option<Tensor>, TchError> {
    let (number, width) = rows.size2()?;
    let covariance = rows.f_transpose(0, 1)?.f_matmul(rows)?.f_div_scalar(number.max(1))?;
    // Ascending.
    let (strength, axes) = covariance.f_to_kind(Kind::Double)?.f_linalg_eigh("L")?;
    let strengths: Vec<f64> = (&strength).try_into()?;
    let strongest = strengths.last().copied().unwrap_or(0.0);
    let usable = strengths.iter().rev().take_while(|s| **s > WEAKEST * strongest).count();
    let kept = usable.min(most) as i64;
    if kept == 0 || strongest <= 0.0 {
        return Ok(None);
    }
    let scale = strength.f_narrow(0, width - kept, kept)?.f_sqrt()?;
    let axes = axes.f_narrow(1, width - kept, kept)?.f_div(&scale)?;
    Ok(Some(axes.f_transpose(0, 1)?.f_to_kind(Kind::Float)?.f_contiguous()?))
}

/// As half precision keeps it, in single precision.
pub(super) fn rounded(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_to_kind(Kind::Half)?.f_to_kind(Kind::Float)
}
