//! The served answers on a set of pictures.

use lobar_core::engine::{Engine, EngineError, NetworkInput};
use lobar_core::finding::Heatmap;

use super::Calibration;
use crate::dataset::{Class, Corner, Etiology, Sample, burnt_in_text, sharpness};

/// Answers, with what is true, one entry a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Probability of pneumonia, 0..=1.
    pub probability: Vec<f64>,
    /// Whether the label says pneumonia.
    pub is_pneumonia: Vec<bool>,
    /// Probability that a pneumonia is bacterial, where the model tells.
    pub bacterial: Vec<Option<f64>>,
    /// Whether the label says bacterial, where it says either.
    pub is_bacterial: Vec<Option<bool>>,
    /// Who is shown.
    pub patient: Vec<String>,
    /// Width and height of the original, where known.
    pub original_size: Vec<Option<(u32, u32)>>,
    /// Variance of the Laplacian of the network's input.
    pub sharpness: Vec<f64>,
    /// The corners in which text is burnt in.
    pub text: Vec<Vec<Corner>>,
    /// What spoke for pneumonia, where the engine explains itself.
    pub heatmap: Vec<Option<Heatmap>>,
    /// Whether the picture is unlike those that the model was trained on, where the engine checks it.
    pub novel: Vec<Option<bool>>,
}

/// The pictures whose cause is labelled, one entry a picture.
pub(super) struct WithSubtype {
    /// Probability of bacterial.
    pub(super) probability: Vec<f64>,
    /// Whether the label says bacterial.
    pub(super) positive: Vec<bool>,
    /// Who is shown.
    pub(super) patient: Vec<String>,
}

/// Asks the engine about every sample.
///
/// # Errors
/// A batch failed, or an answer is no number.
pub fn ask(engine: &mut dyn Engine, samples: &[Sample]) -> Result<Predictions, EngineError> {
    let mut answers = Predictions::default();
    let most = engine.info().max_batch.max(1);
    for samples in samples.chunks(most) {
        let failed = |why: String| EngineError::Batch { size: samples.len(), why };
        let inputs: Vec<NetworkInput> = samples
            .iter()
            .map(|sample| NetworkInput::new(sample.pixels.clone()))
            .collect::<Option<_>>()
            .ok_or_else(|| failed("a sample is not 224×224 pixels".to_owned()))?;
        for (sample, answer) in samples.iter().zip(engine.infer(&inputs)?) {
            let answer = answer.map_err(failed)?;
            answers.probability.push(answer.probability);
            answers.bacterial.push(answer.bacterial);
            answers.is_pneumonia.push(sample.class == Class::Pneumonia);
            answers.is_bacterial.push(sample.subtype.map(|it| it == Etiology::Bacterial));
            answers.patient.push(sample.patient.clone());
            answers.original_size.push(sample.original_size);
            answers.sharpness.push(sharpness(&sample.pixels, NetworkInput::SIDE));
            answers.text.push(burnt_in_text(&sample.pixels));
            answers.novel.push(answer.novelty.map(|_| answer.is_novel()));
            answers.heatmap.push(answer.heatmap);
        }
    }
    Ok(answers)
}

impl Predictions {
    /// Adds the answers on further pictures.
    pub fn append(&mut self, more: Self) {
        self.probability.extend(more.probability);
        self.is_pneumonia.extend(more.is_pneumonia);
        self.bacterial.extend(more.bacterial);
        self.is_bacterial.extend(more.is_bacterial);
        self.patient.extend(more.patient);
        self.original_size.extend(more.original_size);
        self.sharpness.extend(more.sharpness);
        self.text.extend(more.text);
        self.heatmap.extend(more.heatmap);
        self.novel.extend(more.novel);
    }

    /// The same once the logits, taken at temperature 1, are calibrated.
    #[must_use]
    pub fn calibrated(&self, calibration: Calibration) -> Self {
        let probability = self.logits().into_iter().map(|logit| calibration.probability(logit));
        Self { probability: probability.collect(), ..self.clone() }
    }

    /// The logits behind the probabilities, at the engine's temperature.
    #[must_use]
    pub fn logits(&self) -> Vec<f64> {
        let logit = |p: &f64| {
            let p = p.clamp(1e-12, 1.0 - 1e-12);
            (p / (1.0 - p)).ln()
        };
        self.probability.iter().map(logit).collect()
    }

    /// The pictures on which the second output can be measured.
    pub(super) fn with_subtype(&self) -> WithSubtype {
        let mut of = WithSubtype { probability: vec![], positive: vec![], patient: vec![] };
        let both = self.bacterial.iter().zip(&self.is_bacterial).zip(&self.patient);
        for ((probability, positive), patient) in both {
            if let Some((probability, positive)) = probability.zip(*positive) {
                of.probability.push(probability);
                of.positive.push(positive);
                of.patient.push(patient.clone());
            }
        }
        of
    }
}
