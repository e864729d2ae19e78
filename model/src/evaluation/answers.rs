//! The served answers on a set of pictures.

use lobar_core::engine::{Engine, EngineError, NetworkInput};

use crate::dataset::{Class, Sample, Subtype};

/// Answers, with what is true, one entry a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
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
}

/// Asks the engine about every sample.
///
/// # Errors
/// A batch failed, or an answer is no number.
pub fn ask(engine: &mut dyn Engine, samples: &[Sample]) -> Result<Answers, EngineError> {
    let mut answers = Answers::default();
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
            answers.is_bacterial.push(sample.subtype.map(|it| it == Subtype::Bacterial));
            answers.patient.push(sample.patient.clone());
            answers.original_size.push(sample.original_size);
        }
    }
    Ok(answers)
}

impl Answers {
    /// The logits behind the probabilities, at the engine's temperature.
    #[must_use]
    pub fn logits(&self) -> Vec<f64> {
        let logit = |p: &f64| {
            let p = p.clamp(1e-12, 1.0 - 1e-12);
            (p / (1.0 - p)).ln()
        };
        self.probability.iter().map(logit).collect()
    }

    /// Area under the ROC curve of bacterial against viral, among labelled pneumonia.
    #[must_use]
    pub fn subtype_auc(&self) -> Option<f64> {
        let (scores, truth): (Vec<f64>, Vec<bool>) = self
            .bacterial
            .iter()
            .zip(&self.is_bacterial)
            .filter_map(|(score, truth)| score.zip(*truth))
            .unzip();
        super::roc_auc(&scores, &truth)
    }
}
