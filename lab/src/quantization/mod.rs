//! Making a model ready for 8-bit integers, and measuring what each precision costs and gains.
//!
//! The ranges of activations are chosen on training images ([`lobar_model::engine`] says how) and lie beside the
//! network's tensors under `int8.`; the network's own stay as they are, to the bit. Then the engine
//! answers the validation images in every precision that this CPU has, and the comparison goes into the
//! card, where the engine looks before it computes in less than 32 bits.

mod ranges;

use std::path::Path;
use std::time::Instant;

use lobar_core::engine::{EngineError, NetworkInput};
use lobar_model::card::{Card, PrecisionFigures, Precisions};
use lobar_model::engine::int8::PREFIX;
use lobar_model::engine::{DeviceChoice, EngineOptions, LoadError, TorchEngine, fold};
use lobar_model::precision::{Precision, PrecisionChoice, is_quick};
use lobar_model::weights::{self, Weights, WeightsError};
use tch::{Device, Kind, TchError};

use crate::dataset::{Partition, Sample};
use crate::evaluation::{Predictions, ask, roc_auc};
use crate::revision::{RevisionError, revised};

/// Training images on which ranges are chosen, at most.
const RANGED_ON: usize = 64;

/// Why a model could not be quantized.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The model that was asked for.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// The model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Reading or writing weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The engine failed on a picture.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is nothing to choose ranges on or to measure with.
    #[error("quantization needs training images, and validation images of both classes")]
    TooFew,
    /// libtorch said no.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Chooses ranges on the images that the model at `model` was trained on, measures every precision on its
/// validation images, and writes the model with both to `out`, under `name` or its own name and `-int8`.
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize(
    model: &Path,
    out: &Path,
    options: &EngineOptions,
    data: &Partition,
    name: Option<&str>,
) -> Result<Card, QuantizeError> {
    let weights = Weights::open(model)?;
    let (card, _) = weights.approve()?;
    let card = revised(card, data, name, "int8", card.precisions.is_some())?;
    attach(model, out, options, data, card)
}

/// The same for the weights in `model`, which are those that `card` speaks of.
pub(crate) fn attach(
    model: &Path,
    out: &Path,
    options: &EngineOptions,
    data: &Partition,
    mut card: Card,
) -> Result<Card, QuantizeError> {
    let threshold = card.threshold.unwrap_or(0.5);
    let ranged_on = ranged_on(&data.train);
    if ranged_on.is_empty() {
        return Err(QuantizeError::TooFew);
    }
    card.precisions = None;
    let ranges = {
        let weights = Weights::open(model)?;
        let (_, approved) = weights.approve()?;
        let (trunk, _) = fold::fold(&weights, approved.layout)?;
        ranges::observe(&trunk.to(Kind::Float, Device::Cpu)?, &ranged_on)?
    };
    let (name, tensor) = ranges.tensor()?;
    weights::attach(model, out, PREFIX, &[(name, &tensor)], &card)?;

    let ranged_on = ranged_on.len() as u64;
    card.precisions = Some(measure(out, options, &data.validation, threshold, ranged_on)?);
    weights::attach(out, out, PREFIX, &[(ranges.tensor()?.0, &tensor)], &card)?;
    Ok(card)
}

/// Has the model at `model`, whose activations were ranged on so many images, answer `samples` in every precision that this CPU has.
///
/// # Errors
/// See [`QuantizeError`].
pub(crate) fn measure(
    model: &Path,
    options: &EngineOptions,
    samples: &[Sample],
    threshold: f64,
    ranged_on: u64,
) -> Result<Precisions, QuantizeError> {
    let mut reference: Option<Predictions> = None;
    let mut figures = Vec::new();
    let mut threads = 0;
    for precision in Precision::ALL.into_iter().filter(|it| is_quick(*it, Device::Cpu)) {
        let options = EngineOptions {
            device: DeviceChoice::Cpu,
            precision: PrecisionChoice::Only(precision),
            ..options.clone()
        };
        let mut engine = match TorchEngine::load(model, &options) {
            Err(error @ LoadError::Precision { .. }) => {
                tracing::warn!(%error, "this precision is not measured");
                continue;
            }
            engine => engine?,
        };
        threads = engine.threads().unsigned_abs().into();
        let began = Instant::now();
        let answers = ask(&mut engine, samples)?;
        let rate = samples.len() as f64 / began.elapsed().as_secs_f64();
        let exact = reference.get_or_insert_with(|| answers.clone());
        figures.push(compare(precision, exact, &answers, threshold, rate)?);
    }
    Ok(Precisions { images: samples.len() as u64, ranged_on, threads, figures })
}

/// Training images at equal distances through all of them, so that both classes are among them.
fn ranged_on(train: &[Sample]) -> Vec<NetworkInput> {
    let every = train.len().div_ceil(RANGED_ON).max(1);
    let chosen = train.iter().step_by(every);
    chosen.filter_map(|sample| NetworkInput::new(sample.pixels.clone())).collect()
}

fn compare(
    precision: Precision,
    exact: &Predictions,
    answers: &Predictions,
    threshold: f64,
    images_per_second: f64,
) -> Result<PrecisionFigures, QuantizeError> {
    let rank = |answers: &Predictions| {
        roc_auc(&answers.probability, &answers.is_pneumonia).ok_or(QuantizeError::TooFew)
    };
    let pairs = || exact.probability.iter().zip(&answers.probability);
    let count = |of: &dyn Fn(bool, bool) -> bool| {
        pairs().filter(|&(&e, &a)| of(e >= threshold, a >= threshold)).count() as u64
    };
    let novel: Option<Vec<bool>> = answers.novel.iter().copied().collect();
    let novel = novel.map(|novel| novel.into_iter().filter(|&novel| novel).count() as u64);
    Ok(PrecisionFigures {
        precision,
        auc: rank(answers)?,
        auc_loss: rank(exact)? - rank(answers)?,
        flagged: count(&|_, flagged| flagged),
        lost: count(&|before, flagged| before && !flagged),
        gained: count(&|before, flagged| !before && flagged),
        largest_difference: pairs().map(|(e, a)| (e - a).abs()).fold(0.0, f64::max),
        novel,
        images_per_second,
    })
}

#[cfg(test)]
mod tests;
