//! The engine asked about one batch.
//!
//! A batch that fails is cut in two once. When nothing of it succeeds, the engine is tried on an
//! input that is known to be good: if that fails as well, the device is at fault and not the images.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lobar_core::engine::{Engine, EngineError, NetworkInput, Prediction};

use super::DeviceFault;

/// What became of one image of a batch.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The network's answer.
    Prediction(Prediction),
    /// The network gives no number for this image, now or later.
    Unusable(String),
    /// Its batch failed, and its half of it too.
    Failed(String),
}

/// What became of each image of a batch, in order; `was_cut` says whether it failed as a whole at first.
///
/// # Errors
/// When the device is at fault.
pub(super) fn answer(
    engine: &mut dyn Engine,
    inputs: &[NetworkInput],
    was_cut: &mut bool,
) -> Result<Vec<Answer>, DeviceFault> {
    let why = match once(engine, inputs)? {
        Ok(answers) => return Ok(answers),
        Err(why) => why,
    };
    *was_cut = true;
    let mut answers = Vec::with_capacity(inputs.len());
    if inputs.len() > 1 {
        let (left, right) = inputs.split_at(inputs.len().div_ceil(2));
        for half in [left, right] {
            match once(engine, half)? {
                Ok(half) => answers.extend(half),
                Err(why) => answers.extend(half.iter().map(|_| Answer::Failed(why.clone()))),
            }
        }
    } else {
        answers.extend(inputs.iter().map(|_| Answer::Failed(why.clone())));
    }
    if answers.iter().all(|answer| matches!(answer, Answer::Failed(_)))
        && let Err(why) = once(engine, &[probe()])?
    {
        return Err(DeviceFault::Lost(format!("it fails on a known good input too: {why}")));
    }
    Ok(answers)
}

/// One call of the engine; the inner error is the batch's own.
fn once(
    engine: &mut dyn Engine,
    inputs: &[NetworkInput],
) -> Result<Result<Vec<Answer>, String>, DeviceFault> {
    match engine.infer(inputs) {
        Ok(answers) if answers.len() == inputs.len() => Ok(Ok(answers
            .into_iter()
            .map(|answer| answer.map_or_else(Answer::Unusable, Answer::Prediction))
            .collect())),
        Ok(answers) => Ok(Err(format!("{} answers for {} images", answers.len(), inputs.len()))),
        Err(EngineError::Batch { why, .. }) => Ok(Err(why)),
        Err(EngineError::DeviceLost(why)) => Err(DeviceFault::Lost(why)),
    }
}

/// Whether the engine still computes a known good input.
pub(super) fn still_answers(engine: &mut dyn Engine) -> bool {
    let asked = catch_unwind(AssertUnwindSafe(|| once(engine, &[probe()])));
    matches!(asked, Ok(Ok(Ok(answers))) if matches!(answers.first(), Some(Answer::Prediction(_))))
}

/// An input that every engine can compute: an even slope of greys.
pub(crate) fn probe() -> NetworkInput {
    let side = NetworkInput::SIDE;
    let pixels: Vec<u8> = (0..side * side).map(|at| (at % side).to_le_bytes()[0]).collect();
    NetworkInput::new(pixels).expect("it has side × side pixels")
}
