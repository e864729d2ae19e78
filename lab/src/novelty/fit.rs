//! Fitting the check to the images that a model was trained on.

use std::path::Path;

use lobar_core::engine::{Engine as _, NetworkInput};
use lobar_model::card::{self, Card};
use lobar_model::engine::{EngineOptions, LoadError, TorchEngine};
use lobar_model::novelty::{METHOD, NoveltyDetector, in_channels};
use lobar_model::weights::{Weights, WeightsError};
use tch::{Kind, TchError, Tensor};

use crate::dataset::{Partition, Sample};
use crate::revision::{RevisionError, revised};

/// Axes of the features that are kept in each cell of the grid, at most.
const CHANNELS: usize = 32;
/// Axes of all cells together, at most.
const AXES: usize = 128;
/// Fewest training images for one axis: a variance of fewer is chance.
const IMAGES_AN_AXIS: usize = 8;
/// Axes weaker than this share of the strongest are rounding.
const WEAKEST: f64 = 1e-5;
/// Share of validation images that may lie above the threshold: so many real X-rays go to a person
/// although nothing is wrong with them.
pub const ACCEPTED_SHARE: f64 = 0.005;

/// Why a check could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Reading or writing weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The model that was asked for.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// Too few pictures, or all alike.
    #[error(
        "{0} training and {1} validation images are too few, or too alike, to fit the check to"
    )]
    TooFew(usize, usize),
    /// libtorch said no.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Fits the check to the images that the model at `model` was trained on and writes the model with it
/// to `out`, under `name` or its own name and `-novelty`. Features are taken as the engine computes
/// them when it serves. The network's tensors stay as they are, to the bit.
///
/// # Errors
/// See [`FitError`].
pub fn fit(
    model: &Path,
    out: &Path,
    options: &EngineOptions,
    data: &Partition,
    name: Option<&str>,
) -> Result<Card, FitError> {
    let weights = Weights::open(model)?;
    let (card, _) = weights.approve()?;
    let card = revised(card, data, name, "novelty", card.novelty.is_some())?;
    let bare = EngineOptions { explanations: false, ..options.clone() };
    let mut engine = TorchEngine::load(model, &bare)?;
    attach(&mut engine, model, out, data, card)
}

/// Fits the check with an engine that runs the weights in `model`, and writes them with it and `card`
/// to `out`.
pub(crate) fn attach(
    engine: &mut TorchEngine,
    model: &Path,
    out: &Path,
    data: &Partition,
    mut card: Card,
) -> Result<Card, FitError> {
    let too_few = || FitError::TooFew(data.train.len(), data.validation.len());
    let train = features(engine, &data.train)?;
    let mut check = fit_axes(&train)?.ok_or_else(too_few)?;
    let mut distances: Vec<f64> = check
        .distances(&features(engine, &data.validation)?)?
        .f_to_kind(Kind::Double)?
        .try_into()?;
    distances.sort_by(f64::total_cmp);
    let above = (distances.len() as f64 * ACCEPTED_SHARE).floor() as usize;
    let last_accepted = distances.len().checked_sub(above + 1).ok_or_else(too_few)?;
    check.threshold = distances[last_accepted];
    if !(check.threshold.is_finite() && check.threshold > 0.0) {
        return Err(too_few());
    }
    card.novelty = Some(card::Novelty {
        method: METHOD.to_owned(),
        threshold: check.threshold,
        fitted_images: data.train.len() as u64,
        validation_images: data.validation.len() as u64,
        validation_unlike: above as u64,
    });
    check.write(model, out, &card)?;
    Ok(card)
}

/// Features of pictures on the grid, `[N, 9, features]`, on the CPU.
fn features(engine: &mut TorchEngine, samples: &[Sample]) -> Result<Tensor, FitError> {
    let mut all = Vec::new();
    for samples in samples.chunks(engine.info().max_batch) {
        let inputs: Vec<NetworkInput> =
            samples.iter().filter_map(|s| NetworkInput::new(s.pixels.clone())).collect();
        all.push(engine.grid_features(&inputs)?);
    }
    if all.is_empty() {
        return Err(FitError::TooFew(0, 0));
    }
    Ok(Tensor::f_cat(&all, 0)?)
}

/// The check of training features `[N, 9, features]`, its threshold still open, every number as half
/// precision will keep it; `None` when there is nothing to tell images apart by.
pub(super) fn fit_axes(train: &Tensor) -> Result<Option<NoveltyDetector>, TchError> {
    let _no_grad = tch::no_grad_guard();
    let images = train.size().first().copied().unwrap_or(0) as usize;
    let most = |number: usize| number.min(images / IMAGES_AN_AXIS);
    let over_images = [0i64];
    let pooled = train.f_mean_dim([1i64].as_slice(), false, Kind::Float)?;
    let mean = rounded(&pooled.f_mean_dim(over_images.as_slice(), false, Kind::Float)?)?;
    let Some(channels) = whitened(&pooled.f_sub(&mean)?, most(CHANNELS))? else { return Ok(None) };
    let channels = rounded(&channels)?;
    let placed = in_channels(train, &mean, &channels)?;
    let centre = placed.f_mean_dim(over_images.as_slice(), true, Kind::Float)?;
    let Some(axes) = whitened(&placed.f_sub(&centre)?, most(AXES))? else { return Ok(None) };
    let axes = rounded(&axes)?;
    let offset = centre.f_matmul(&axes.f_transpose(0, 1)?)?.f_squeeze_dim(0)?;
    Ok(Some(NoveltyDetector {
        mean,
        channels,
        axes,
        offset: rounded(&offset)?,
        threshold: f64::NAN,
    }))
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

fn rounded(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_to_kind(Kind::Half)?.f_to_kind(Kind::Float)
}
