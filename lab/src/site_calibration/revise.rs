//! The file of a calibrated model: the parent's, with another bias of one output and another card.

use std::path::Path;

use lobar_core::engine::Engine as _;
use lobar_model::card::Card;
use lobar_model::card::site::of_parent;
use lobar_model::engine::{EngineOptions, TorchEngine};
use lobar_model::weights;

use super::cases::Cases;
use super::{CalibrateError, Outcome};
use crate::dataset::Sample;
use crate::evaluation::{Calibration, ask};
use crate::quantization;

/// How far a probability may lie from what was fitted, beyond what the engine says of rounding.
const ROUNDING: f64 = 1e-3;

/// Whether two paths are one file, which is there.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(one, other)| one == other)
}

/// Writes the revision of `model`, whose card is `parent`, and sees that it answers `samples`, the images of `cases`, as was
/// fitted. Where the parent's card compares the precisions, they are compared on these images at the new threshold.
pub(super) fn write(
    model: &Path,
    out: &Path,
    parent: &Card,
    outcome: &Outcome,
    cases: &Cases,
    samples: &[Sample],
    options: &EngineOptions,
) -> Result<(), CalibrateError> {
    let mut card = Card {
        version: outcome.version.clone(),
        threshold: Some(outcome.threshold),
        temperature: Some(outcome.temperature),
        site: Some(outcome.calibration.clone()),
        // Its calibration error is the parent's no longer.
        score_is_probability: None,
        ..parent.clone()
    };
    of_parent(&mut card.validation, &outcome.calibration.parent);
    of_parent(&mut card.test, &outcome.calibration.parent);
    let draft = out.with_extension("calibrating");
    let temperature = parent.temperature.unwrap_or(1.0);
    let asked = Asked { cases, samples, options };
    let written = checked(model, &draft, &mut card, outcome, temperature, &asked);
    let placed = written.and_then(|()| {
        let failed = |source| weights::WeightsError::Io { path: out.to_owned(), source };
        Ok(std::fs::rename(&draft, out).map_err(failed)?)
    });
    if placed.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    placed
}

/// What the revision is asked.
struct Asked<'a> {
    /// What was fitted on.
    cases: &'a Cases,
    /// Their images.
    samples: &'a [Sample],
    /// How the model is run.
    options: &'a EngineOptions,
}

fn checked(
    model: &Path,
    draft: &Path,
    card: &mut Card,
    outcome: &Outcome,
    parent_temperature: f64,
    asked: &Asked<'_>,
) -> Result<(), CalibrateError> {
    let Asked { cases, samples, options } = asked;
    let bias = outcome.calibration.bias;
    weights::shift_pneumonia(model, draft, bias, card)?;
    let fitted = Calibration { bias, temperature: outcome.temperature };
    let plain = Calibration { bias: 0.0, temperature: parent_temperature };
    let mut engine = TorchEngine::load(draft, options)?;
    let answers = ask(&mut engine, samples)?;
    let logits = answers.logits().into_iter().map(|it| it * outcome.temperature - bias);
    // A low temperature makes much of a rounding, and a certain answer hides its logit: either scale may tell that they agree.
    let away =
        cases.logit.iter().zip(logits).zip(&answers.probability).map(|((logit, said), p)| {
            let before = (plain.probability(*logit) - plain.probability(said)).abs();
            before.min((fitted.probability(*logit) - p).abs())
        });
    let difference = away.fold(0.0, f64::max);
    if difference > ROUNDING + engine.info().tolerance {
        return Err(CalibrateError::Unlike { difference });
    }
    drop(engine);
    if let Some(ranged_on) = card.precisions.as_ref().map(|it| it.ranged_on) {
        let measured =
            quantization::measure(draft, options, samples, outcome.threshold, ranged_on)?;
        card.precisions = Some(measured);
        weights::shift_pneumonia(model, draft, bias, card)?;
    }
    Ok(())
}
