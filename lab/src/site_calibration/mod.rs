//! Calibration of a model to one site: threshold, temperature and bias fitted on labelled images of the site, as a revision of
//! the model (`lobar calibrate`). Nothing of the network changes but the bias of one output; nothing is activated.
//!
//! 1. The engine that serves answers the images; the model's present calibration is taken off its probabilities.
//! 2. Too few patients, or scores that do not rise with pneumonia, are refused ([`CalibrateError`]).
//! 3. Bias and temperature are fitted ([`Calibration::fit_few`](crate::evaluation::Calibration::fit_few)), then the highest
//!    threshold with the wanted sensitivity is taken; patients drawn again give the intervals.
//! 4. The same is done on four fifths of the patients and measured on the last fifth, five times: what such a calibration comes to on
//!    patients that it was not fitted on.
//! 5. The weights are written with the new bias and card, loaded, and asked again: they must answer as was fitted.

mod cases;
mod enough;
mod fit;
mod folds;
mod outcome;
mod revise;
#[cfg(test)]
mod tests;

use std::path::Path;

use lobar_core::engine::{Engine as _, EngineError, NoveltyPolicy};
use lobar_model::card::Interval;
use lobar_model::card::number::range;
use lobar_model::card::site::{CaseSource, ParentModel, SiteCalibration};
use lobar_model::engine::{EngineOptions, LoadError, TorchEngine};
use lobar_model::weights::{Weights, WeightsError};

use crate::dataset::{Sample, digest};
use crate::date;
use crate::evaluation::{ask, intervals, roc_auc};
use crate::quantization::QuantizeError;

use cases::Cases;
pub use enough::{FEWEST_MISSED, FEWEST_PATIENTS};
use fit::Fitted;
pub use outcome::{Outcome, default_version};

/// What to fit.
#[derive(Clone, Debug)]
pub struct CalibrateOptions {
    /// The site.
    pub site: String,
    /// Where its labels came from.
    pub source: CaseSource,
    /// Share of pneumonia that the threshold is to flag, between 0 and 1.
    pub sensitivity: f64,
    /// Version of the revision; the model's own and `-SITE` when left out.
    pub name: Option<String>,
    /// How the model is run.
    pub engine: EngineOptions,
}

/// Why a model was not calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// Chance would decide.
    #[error(
        "the labelled images of site {site} show {ill} patients with pneumonia and {others} without; a sensitivity of \
         {sensitivity} needs {ill_needed} and {others_needed}, or chance would set the threshold: label more images of the site"
    )]
    TooFew {
        /// The site.
        site: String,
        /// Patients with pneumonia.
        ill: usize,
        /// Patients without.
        others: usize,
        /// The wanted sensitivity.
        sensitivity: f64,
        /// Patients with pneumonia that are needed.
        ill_needed: usize,
        /// Patients without that are needed.
        others_needed: usize,
    },
    /// The model does not tell pneumonia from normal there.
    #[error(
        "on the images of site {site} the scores of model {version} do not rise with pneumonia for certain (AUC {auc:.3}{}): no \
         threshold mends that; look at the labels, or train on images of the site (`lobar retrain`)",
        interval.map_or_else(String::new, |it| format!(", {}", range(it)))
    )]
    NoRank {
        /// The site.
        site: String,
        /// The model.
        version: String,
        /// Area under the receiver operating characteristic.
        auc: f64,
        /// Its interval.
        interval: Option<Interval>,
    },
    /// The model learnt these very images.
    #[error(
        "these are the images that model {0} was trained on: it knows them, and a calibration to them would hold nowhere else"
    )]
    TrainedOn(String),
    /// The file to write is the one that is read.
    #[error(
        "--out names the model's own file: name another one, the revision is a model beside it"
    )]
    Same,
    /// What was written answers otherwise than was fitted.
    #[error(
        "the calibrated model answers {difference:.4} away from what was fitted, more than rounding: it was not kept; try \
         --precision fp32, and report it"
    )]
    Unlike {
        /// Largest difference of a probability.
        difference: f64,
    },
    /// The model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Reading or writing weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The engine failed on an image.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// How the precisions compare at the new threshold could not be measured.
    #[error(transparent)]
    Precisions(#[from] QuantizeError),
}

/// Calibrates the model in the file `model` to a site by its labelled images, and writes the revision to `out` where one is
/// named.
///
/// # Errors
/// See [`CalibrateError`]; nothing is written then.
pub fn calibrate(
    model: &Path,
    samples: Vec<Sample>,
    out: Option<&Path>,
    options: &CalibrateOptions,
) -> Result<Outcome, CalibrateError> {
    let weights = Weights::open(model)?;
    let (card, approved) = weights.approve()?;
    let parent = ParentModel {
        version: card.version.clone(),
        sha256: weights.sha256().to_owned(),
        threshold: approved.threshold,
    };
    if digest(&samples) == card.training.data_sha256 {
        return Err(CalibrateError::TrainedOn(parent.version));
    }
    if out.is_some_and(|out| revise::is_same_file(model, out)) {
        return Err(CalibrateError::Same);
    }
    let bare = EngineOptions { explanations: false, ..options.engine.clone() };
    let mut engine = TorchEngine::load(model, &bare)?;
    let answers = ask(&mut engine, &samples)?;
    let leaves_novel = engine.info().novelty_policy == NoveltyPolicy::NeedsHuman;
    drop(engine);
    let answered: Vec<bool> =
        answers.novel.iter().map(|novel| !(leaves_novel && *novel == Some(true))).collect();
    let unlike = answered.iter().filter(|answered| !**answered).count();
    let cases = Cases::of(&answers, &answered, approved.temperature);
    drop(answers);
    enough::check(&cases, options)?;

    let [auc_interval] = intervals(&cases.patient, |choice| {
        let (logits, truth) = cases.chosen(choice);
        [roc_auc(&logits, &truth)]
    });
    let auc = roc_auc(&cases.logit, &cases.is_pneumonia);
    let no_rank = || CalibrateError::NoRank {
        site: options.site.clone(),
        version: parent.version.clone(),
        auc: auc.unwrap_or(0.5),
        interval: auc_interval,
    };
    if auc_interval.is_none_or(|it| it.low <= 0.5) {
        return Err(no_rank());
    }
    let sensitivity = options.sensitivity;
    let fitted = Fitted::on(&cases.logit, &cases.is_pneumonia, sensitivity).ok_or_else(no_rank)?;
    let [bias_interval, temperature_interval, threshold_interval] =
        fitted.intervals(&cases, sensitivity);
    let before = cases.figures(&cases.by(approved.temperature, approved.threshold));
    let folds = folds::of(&cases.patient, &cases.is_pneumonia);
    let after = folds::answers(&cases, &folds, sensitivity).ok_or_else(no_rank)?;
    let site = SiteCalibration {
        site: options.site.clone(),
        source: options.source,
        images: cases.logit.len() as u64,
        pneumonias: cases.pneumonias() as u64,
        patients: cases.patients() as u64,
        wanted_sensitivity: sensitivity,
        threshold_interval,
        bias: fitted.calibration.bias,
        bias_interval,
        temperature_interval,
        auc,
        auc_interval,
        before,
        after: cases.figures(&after),
        folds: folds::FOLDS as u64,
        parent,
        fitted_at: date::now(),
    };
    let outcome = Outcome::new(card, &fitted, site, options, unlike);
    if let Some(out) = out {
        let kept: Vec<Sample> = samples
            .into_iter()
            .zip(&answered)
            .filter_map(|(it, kept)| kept.then_some(it))
            .collect();
        revise::write(model, out, card, &outcome, &cases, &kept, &bare)?;
    }
    Ok(outcome)
}
