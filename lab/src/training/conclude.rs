//! From the best weights to a model: its operating point, its figures, its card.
//!
//! Everything is measured through the engine that will serve, on the file that it will load.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lobar_core::engine::Engine as _;
use lobar_core::population::Ages;
use lobar_model::card::{Card, Metrics, Preprocessing, Training};
use lobar_model::engine::{DeviceChoice, EngineOptions, TorchEngine};
use lobar_model::network::Network;
use lobar_model::precision::Precision;
use lobar_model::precision::PrecisionChoice::{Auto, Only};
use lobar_model::weights::{self, Weights};
use tch::{Device, nn};

use super::plan::Plan;
use super::{TrainError, TrainOptions, date};
use crate::dataset::{Partition, Sample, digest};
use crate::evaluation::{
    Calibration, Evaluation, Predictions, WANTED_SENSITIVITY, ask, choose_threshold, evaluate,
};
use crate::novelty::{self, FitError};
use crate::quantization::{self, QuantizeError};
use crate::report::{EvaluatedSplit, EvaluationReport, Mistakes, ReportError, TEST_LOOKS};

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
    let unusable = |reason: String| TrainError::Conclude { path: best.to_owned(), reason };
    let trained = Weights::open(best)?;
    let store = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&store.root(), options.layout);
    trained.fill(&store)?;

    let model = options.out.join("model.safetensors");
    let draft = options.out.join("draft.safetensors");
    let mut card =
        first_card(options, data, plan, trained.sha256()).map_err(|e| unusable(e.to_string()))?;
    // Measured twice: raw, to calibrate; then as it will be served.
    let load = |card: &Card| -> Result<TorchEngine, TrainError> {
        weights::write(&draft, &store, Some(card))?;
        TorchEngine::load(&draft, &engine_options(options)).map_err(|e| unusable(e.to_string()))
    };
    let measure = |engine: &mut TorchEngine, samples: &[Sample]| {
        ask(engine, samples).map_err(|e| unusable(e.to_string()))
    };
    let answers = measure(&mut load(&card)?, &data.validation)?;
    let calibration = Calibration::fit(&answers.logits(), &answers.is_pneumonia);
    add_bias(&store, calibration.bias)?;
    card.temperature = Some(calibration.temperature);
    card.training.settings.insert("calibration_bias".to_owned(), calibration.bias.into());

    let mut engine = load(&card)?;
    let device = engine.info().device.clone();
    let answers = measure(&mut engine, &data.validation)?;
    let threshold =
        choose_threshold(&answers.probability, &answers.is_pneumonia, WANTED_SENSITIVITY)
            .ok_or_else(|| unusable("validation shows no pneumonia".to_owned()))?;
    let validation = evaluate(&answers, threshold);
    let on_test = match &data.test[..] {
        [] => None,
        samples => Some(measure(&mut engine, samples)?),
    };
    let test = on_test.as_ref().map(|answers| evaluate(answers, threshold));

    card.threshold = Some(threshold);
    card.validation = validation.metrics();
    card.test = test.as_ref().and_then(Evaluation::metrics);
    if let Some(test) = &mut card.test {
        test.more.insert(TEST_LOOKS.to_owned(), 1.into());
    }
    weights::write(&draft, &store, Some(&card))?;
    card = match novelty::attach(&mut engine, &draft, &draft, shown, card.clone()) {
        Ok(card) => card,
        Err(error @ FitError::TooFew(..)) => {
            tracing::warn!(%error, "the model cannot tell what it was not trained for");
            card
        }
        Err(error) => return Err(unusable(error.to_string())),
    };
    drop(engine);
    let quantized =
        quantization::attach(&draft, &draft, &engine_options(options), data, card.clone());
    card = match quantized {
        Ok(card) => card,
        Err(error @ QuantizeError::TooFew) => {
            tracing::warn!(%error, "how the precisions compare is not measured");
            card
        }
        Err(error) => return Err(unusable(error.to_string())),
    };
    let failed = |source| TrainError::Write { path: model.clone(), source };
    std::fs::rename(&draft, &model).map_err(failed)?;
    let written = Weights::open(&model)?;
    let part = |split, samples: &[Sample], answers: &Predictions, evaluation| {
        Ok::<_, ReportError>(EvaluatedSplit {
            split,
            data_sha256: digest(samples),
            evaluation,
            mistakes: Mistakes::of(samples, answers, threshold)?,
        })
    };
    let mut parts = vec![part("validation", &data.validation, &answers, &validation)?];
    if let (Some(answers), Some(test)) = (&on_test, &test) {
        parts.push(part("test", &data.test, answers, test)?);
    }
    EvaluationReport {
        card: &card,
        sha256: written.sha256(),
        device: &device,
        parts,
        names: false,
    }
    .write(&options.out)?;
    Ok(Concluded { model, card, validation, test })
}

/// Moves the logit of pneumonia of every picture: the bias of calibration becomes the network's own.
fn add_bias(store: &nn::VarStore, bias: f64) -> Result<(), tch::TchError> {
    match store.variables().get_mut("head.pneumonia.bias") {
        Some(variable) => tch::no_grad(|| variable.f_add_scalar_(bias)).map(drop),
        None => Err(tch::TchError::Torch("the network has no head.pneumonia.bias".to_owned())),
    }
}

/// The card before anything was measured. Complete enough for the engine to load the weights, at
/// temperature 1.
fn first_card(
    options: &TrainOptions,
    data: &Partition,
    plan: &Plan,
    sha256: &str,
) -> Result<Card, serde_json::Error> {
    let created_at = date::now();
    let version = options.version.clone().unwrap_or_else(|| {
        let short: String = sha256.chars().take(6).collect();
        format!("resnet50-{}-{short}", created_at.split('T').next().unwrap_or_default())
    });
    let trained_side = options.stages.last().map_or(0, |stage| stage.side as i64);
    // By way of text, where an f32 of 0.15 is 0.15; as a value it would be 0.15000000596.
    let settings: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&serde_json::to_string(plan)?)?;
    Ok(Card {
        version,
        labels: ["NORMAL", "PNEUMONIA"].map(str::to_owned),
        sublabels: ["VIRAL", "BACTERIAL"].map(str::to_owned),
        preprocessing: Preprocessing::current(trained_side),
        blocks: options.layout.blocks,
        width: options.layout.width,
        threshold: Some(0.5),
        temperature: Some(1.0),
        training: Training {
            data_sha256: plan.data_digest.clone(),
            images: data.train.len() as u64,
            settings,
        },
        validation: Some(Metrics::default()),
        test: Some(Metrics::default()),
        novelty: None,
        precisions: None,
        population: options.population.clone(),
        ages: Ages::in_words(&options.population),
        created_at,
    })
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
