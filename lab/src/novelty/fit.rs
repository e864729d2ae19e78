//! Fitting the check to the images that a model was trained on.

use std::path::Path;

use lobar_model::card::{self, Card};
use lobar_model::engine::{EngineOptions, LoadError, TorchEngine};
use lobar_model::novelty::METHOD_WITH_HEAD;
use lobar_model::weights::{Weights, WeightsError};
use tch::{Kind, TchError};

use super::axes::fit_axes;
use super::head::fit_head;
use super::{Outliers, exposure};
use crate::dataset::Partition;
use crate::revision::{RevisionError, revised};

/// Share of validation films, as they are and padded, letterboxed and turned, that may lie above the
/// threshold of the distance …
const ABOVE_DISTANCE: f64 = 0.001;
/// … and of the head …
const ABOVE_HEAD: f64 = 0.009;
/// … whose two parts have so much of it, some of it twice: what was made, films that were given.
const PARTS: [f64; 2] = [0.004, 0.006];
/// Share of them that may lie above either: so many real X-rays go to a person although nothing is wrong
/// with them.
pub const ACCEPTED_SHARE: f64 = ABOVE_DISTANCE + ABOVE_HEAD;

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

/// What a check is fitted to.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The images that the model was trained on, and those of validation.
    pub data: &'a Partition,
    /// Films that are given as out of scope, when there are any.
    pub outliers: Option<&'a Outliers>,
}

/// Fits the check to what the model at `model` was trained on and writes the model with it to `out`, under
/// `name` or its own name and `-novelty`. Features are taken as the engine computes them when it serves.
/// The network's tensors stay as they are, to the bit.
///
/// # Errors
/// See [`FitError`].
pub fn fit(
    model: &Path,
    out: &Path,
    options: &EngineOptions,
    shown: Shown<'_>,
    name: Option<&str>,
) -> Result<Card, FitError> {
    let weights = Weights::open(model)?;
    let (card, _) = weights.approve()?;
    let mut card = revised(card, shown.data, name, "novelty", card.novelty.is_some())?;
    // They counted what another check found.
    for figures in card.precisions.iter_mut().flat_map(|precisions| &mut precisions.figures) {
        figures.novel = None;
    }
    let bare = EngineOptions { explanations: false, ..options.clone() };
    let mut engine = TorchEngine::load(model, &bare)?;
    attach(&mut engine, model, out, shown, card)
}

/// Fits the check with an engine that runs the weights in `model`, and writes them with it and `card`
/// to `out`.
pub(crate) fn attach(
    engine: &mut TorchEngine,
    model: &Path,
    out: &Path,
    shown: Shown<'_>,
    mut card: Card,
) -> Result<Card, FitError> {
    let Shown { data, outliers } = shown;
    let none_given = Outliers::default();
    let outliers = outliers.unwrap_or(&none_given);
    let too_few = || FitError::TooFew(data.train.len(), data.validation.len());
    if data.train.is_empty() || data.validation.is_empty() {
        return Err(too_few());
    }
    let in_scope = exposure::shown_in_scope(engine, &data.train)?;
    let mut check = fit_axes(&in_scope)?.ok_or_else(too_few)?;
    let out_of_scope = exposure::shown_out_of_scope(engine, &data.train, outliers)?;
    let validation = exposure::validation(engine, &data.validation)?.f_to_kind(Kind::Float)?;
    let distances: Vec<f64> = check.distances(&validation)?.f_to_kind(Kind::Double)?.try_into()?;
    let validation = validation.f_sub(&check.mean)?;
    let mut head =
        fit_head(&in_scope, &out_of_scope, &check.mean, &validation, PARTS)?.ok_or_else(too_few)?;
    let surprises: Vec<f64> = head.surprise(&validation)?.try_into()?;
    check.threshold = threshold(&distances, ABOVE_DISTANCE).ok_or_else(too_few)?;
    head.threshold = threshold(&surprises, ABOVE_HEAD).ok_or_else(too_few)?;
    let above = distances
        .iter()
        .zip(&surprises)
        .filter(|(d, s)| **d > check.threshold || **s > head.threshold)
        .count();
    card.novelty = Some(card::Novelty {
        method: METHOD_WITH_HEAD.to_owned(),
        threshold: check.threshold,
        fitted_images: in_scope.size().first().map_or(0, |&images| images as u64),
        validation_images: distances.len() as u64,
        validation_unlike: above as u64,
        head: Some(card::NoveltyHead {
            threshold: head.threshold,
            shown: out_of_scope.numbers(),
            outliers: outliers.fitting.len() as u64,
            outliers_sha256: outliers.digest(),
        }),
    });
    check.head = Some(head);
    check.write(model, out, &card)?;
    Ok(card)
}

/// The least figure that no more than `share` of them exceed; `None` unless it is a positive number.
fn threshold(figures: &[f64], share: f64) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = (sorted.len() as f64 * share).floor() as usize;
    let last_accepted = sorted.len().checked_sub(above + 1)?;
    Some(sorted[last_accepted]).filter(|figure| figure.is_finite() && *figure > 0.0)
}
