//! From the best weights to a model: its operating point, its figures, its card.
//!
//! The rule, written down before the first look at a test split: calibration (bias and temperature, both classes
//! weighing alike) and threshold are fitted on the validation images as they are and on their altered copies
//! ([`POOL`]) together; the threshold is the highest that flags [`WANTED_SENSITIVITY`] of pneumonia there. Both are
//! frozen, and the test split is measured once, through the engine that will serve, on the file that it will load.
//! A teacher is measured on validation alone, as training computes it, since no engine runs it.

mod card;
mod plain;

use std::path::{Path, PathBuf};

use lobar_core::engine::Engine;
use lobar_model::card::Card;
use lobar_model::engine::{DeviceChoice, EngineOptions, TorchEngine};
use lobar_model::network::{Architecture, Network};
use lobar_model::precision::Precision;
use lobar_model::precision::PrecisionChoice::{Auto, Only};
use lobar_model::weights::{self, Weights};
use tch::{Device, nn};

use super::plan::Plan;
use super::{TrainError, TrainOptions};
use crate::dataset::{Partition, Sample, digest};
use crate::evaluation::{
    Calibration, Evaluation, Predictions, WANTED_SENSITIVITY, ask, choose_threshold, evaluate,
};
use crate::looks;
use crate::novelty::{self, FitError};
use crate::quantization::{self, QuantizeError};
use crate::report::{EvaluatedSplit, EvaluationReport, Mistakes, ReportError, TEST_LOOKS};
use crate::stress::{Altered, POOL, ask_altered, rows};

/// A finished model.
pub(super) struct Concluded {
    pub(super) model: PathBuf,
    pub(super) card: Card,
    pub(super) validation: Evaluation,
    pub(super) test: Option<Evaluation>,
}

/// Calibrates and sets the threshold on validation, measures once on test, and writes
/// `model.safetensors` and its report (`evaluation.json`, `model-card.md`, `report.html`) to the output
/// folder.
pub(super) fn conclude(
    options: &TrainOptions,
    shown: novelty::Shown<'_>,
    best: &Path,
    plan: &Plan,
) -> Result<Concluded, TrainError> {
    let data = shown.data;
    let trained = Weights::open(best)?;
    let store = nn::VarStore::new(Device::Cpu);
    let _network = Network::of(&store.root(), options.architecture);
    trained.fill(&store)?;
    let card = card::first_card(options, data, plan, trained.sha256());
    let mut draft = Draft {
        options,
        shown,
        data,
        best,
        store,
        path: options.out.join("draft.safetensors"),
        card: card.map_err(|e| unusable(best, &e))?,
    };
    draft.remove()?;
    let (raw, altered) = draft.raw()?;
    let calibrated = draft.calibrate(&raw, &altered)?;
    // Once more, as it will be served.
    let mut engine = draft.engine(true)?;
    let device = engine.info().device.clone();
    let answers = draft.ask(&mut *engine, &data.validation)?;
    drop(engine);
    let threshold = draft.choose_threshold(&answers, &calibrated)?;
    let mut validation = evaluate(&answers, threshold);
    validation.stress = rows(&calibrated.as_they_are, &calibrated.altered, threshold);
    draft.card.validation = validation.metrics();

    let mut parts = vec![draft.part("validation", &data.validation, &answers, &validation)?];
    let test = match options.architecture {
        Architecture::ResNet(_) => {
            draft.fit_what_serving_needs()?;
            draft.test(threshold)?
        }
        Architecture::EfficientNetLite0 => {
            draft.card.test = None;
            None
        }
    };
    draft.card.judge_calibration();
    draft.write()?;
    if let Some((answers, test)) = &test {
        parts.push(draft.part("test", &data.test, answers, test)?);
    }
    let model = options.out.join("model.safetensors");
    std::fs::rename(&draft.path, &model)
        .map_err(|source| TrainError::Write { path: model.clone(), source })?;
    let written = Weights::open(&model)?;
    EvaluationReport {
        card: &draft.card,
        sha256: written.sha256(),
        device: &device,
        parts,
        names: false,
    }
    .write(&options.out)?;
    let test = test.map(|(_, test)| test);
    Ok(Concluded { model, card: draft.card, validation, test })
}

fn unusable(best: &Path, reason: &dyn std::fmt::Display) -> TrainError {
    TrainError::Conclude { path: best.to_owned(), reason: reason.to_string() }
}

/// The answers on validation at temperature 1, calibrated.
struct Calibrated {
    as_they_are: Predictions,
    altered: Vec<Altered>,
}

/// A model on its way to its card.
struct Draft<'a> {
    options: &'a TrainOptions,
    /// What the check on novelty is fitted to.
    shown: novelty::Shown<'a>,
    data: &'a Partition,
    best: &'a Path,
    store: nn::VarStore,
    path: PathBuf,
    card: Card,
}

impl Draft<'_> {
    fn unusable(&self, reason: &dyn std::fmt::Display) -> TrainError {
        unusable(self.best, reason)
    }

    /// Takes away what was written of the network before it changed, or by a run that was killed.
    fn remove(&self) -> Result<(), TrainError> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(TrainError::Write { path: self.path.clone(), source })
            }
            _ => Ok(()),
        }
    }

    /// Writes the network as it is now, with the card as it is now.
    fn write(&self) -> Result<(), TrainError> {
        match self.path.exists() {
            // What was fitted to it lies beside the network's tensors.
            true => weights::exchange_card(&self.path, &self.card)?,
            false => weights::write(&self.path, &self.store, Some(&self.card))?,
        }
        Ok(())
    }

    /// What answers with the card as it is now.
    fn engine(&self, explanations: bool) -> Result<Box<dyn Engine>, TrainError> {
        self.write()?;
        match self.options.architecture {
            Architecture::ResNet(_) => Ok(Box::new(self.torch_engine(explanations)?)),
            other => {
                let device = self.options.device;
                Ok(Box::new(plain::PlainNetwork::open(&self.path, &self.card, other, device)?))
            }
        }
    }

    fn torch_engine(&self, explanations: bool) -> Result<TorchEngine, TrainError> {
        let options = EngineOptions { explanations, ..engine_options(self.options) };
        TorchEngine::load(&self.path, &options).map_err(|e| self.unusable(&e))
    }

    fn ask(&self, engine: &mut dyn Engine, samples: &[Sample]) -> Result<Predictions, TrainError> {
        ask(engine, samples).map_err(|e| self.unusable(&e))
    }

    /// The answers on validation, as it is and changed, before any calibration.
    fn raw(&self) -> Result<(Predictions, Vec<Altered>), TrainError> {
        let mut engine = self.engine(false)?;
        let as_they_are = self.ask(&mut *engine, &self.data.validation)?;
        let altered = ask_altered(&mut *engine, &self.data.validation);
        Ok((as_they_are, altered.map_err(|e| self.unusable(&e))?))
    }

    /// Fits the calibration and makes it the network's own.
    fn calibrate(
        &mut self,
        raw: &Predictions,
        altered: &[Altered],
    ) -> Result<Calibrated, TrainError> {
        let pool = pooled(raw, altered);
        let calibration = Calibration::fit_prior_neutral(&pool.logits(), &pool.is_pneumonia);
        add_bias(&self.store, calibration.bias)?;
        self.remove()?;
        self.card.temperature = Some(calibration.temperature);
        let settings = &mut self.card.training.settings;
        settings.insert("calibration_bias".to_owned(), calibration.bias.into());
        settings.insert("wanted_sensitivity".to_owned(), WANTED_SENSITIVITY.into());
        let altered = altered
            .iter()
            .map(|it| Altered { change: it.change, answers: it.answers.calibrated(calibration) });
        Ok(Calibrated { as_they_are: raw.calibrated(calibration), altered: altered.collect() })
    }

    /// By the rule above. The images as they are count as the calibrated engine answers them.
    fn choose_threshold(
        &mut self,
        answers: &Predictions,
        calibrated: &Calibrated,
    ) -> Result<f64, TrainError> {
        let pool = pooled(answers, &calibrated.altered);
        let threshold = choose_threshold(&pool.probability, &pool.is_pneumonia, WANTED_SENSITIVITY)
            .ok_or_else(|| self.unusable(&"validation shows no pneumonia"))?;
        self.card.threshold = Some(threshold);
        Ok(threshold)
    }

    /// The check on novelty, and the ranges for 8-bit integers.
    fn fit_what_serving_needs(&mut self) -> Result<(), TrainError> {
        self.write()?;
        let mut engine = self.torch_engine(false)?;
        let card = self.card.clone();
        match novelty::attach(&mut engine, &self.path, &self.path, self.shown, card) {
            Ok(card) => self.card = card,
            Err(error @ FitError::TooFew(..)) => {
                tracing::warn!(%error, "the model cannot tell what it was not trained for");
            }
            Err(error) => return Err(self.unusable(&error)),
        }
        drop(engine);
        let options = engine_options(self.options);
        match quantization::attach(&self.path, &self.path, &options, self.data, self.card.clone()) {
            Ok(card) => self.card = card,
            Err(error @ QuantizeError::TooFew) => {
                tracing::warn!(%error, "how the precisions compare is not measured");
            }
            Err(error) => return Err(self.unusable(&error)),
        }
        Ok(())
    }

    /// The one look at the test split, of the finished model; `None` without one.
    fn test(&mut self, threshold: f64) -> Result<Option<(Predictions, Evaluation)>, TrainError> {
        let samples = &self.data.test;
        if samples.is_empty() {
            self.card.test = None;
            return Ok(None);
        }
        let looks = looks::note_or_warn(&self.options.data, &digest(samples), &self.card.version);
        let answers = self.ask(&mut *self.engine(true)?, samples)?;
        let altered = ask_altered(&mut *self.engine(false)?, samples);
        let altered = altered.map_err(|e| self.unusable(&e))?;
        let mut test = evaluate(&answers, threshold);
        test.stress = rows(&answers, &altered, threshold);
        self.card.test = test.metrics();
        if let (Some(metrics), Some(looks)) = (&mut self.card.test, looks) {
            metrics.more.insert(TEST_LOOKS.to_owned(), looks.into());
        }
        Ok(Some((answers, test)))
    }

    fn part<'b>(
        &self,
        split: &'b str,
        samples: &[Sample],
        answers: &Predictions,
        evaluation: &'b Evaluation,
    ) -> Result<EvaluatedSplit<'b>, ReportError> {
        let mistakes = Mistakes::of(samples, answers, evaluation.at_threshold.threshold)?;
        Ok(EvaluatedSplit { split, data_sha256: digest(samples), evaluation, mistakes })
    }
}

/// The answers on the images as they are and on the copies of [`POOL`], one after another.
fn pooled(as_they_are: &Predictions, altered: &[Altered]) -> Predictions {
    let mut pool = as_they_are.clone();
    for altered in altered.iter().filter(|it| POOL.contains(&it.change)) {
        pool.append(altered.answers.clone());
    }
    pool
}

/// Moves the logit of pneumonia of every picture: the bias of calibration becomes the network's own.
fn add_bias(store: &nn::VarStore, bias: f64) -> Result<(), tch::TchError> {
    match store.variables().get_mut("head.pneumonia.bias") {
        Some(variable) => tch::no_grad(|| variable.f_add_scalar_(bias)).map(drop),
        None => Err(tch::TchError::Torch("the network has no head.pneumonia.bias".to_owned())),
    }
}

fn engine_options(options: &TrainOptions) -> EngineOptions {
    EngineOptions {
        device: match options.device {
            Device::Cuda(index) => DeviceChoice::Cuda(index),
            _ => DeviceChoice::Cpu,
        },
        threads: options.threads,
        // The report shows what the mistakes were made of.
        explanations: true,
        precision: if options.bf16 { Auto } else { Only(Precision::Fp32) },
        ..EngineOptions::default()
    }
}
