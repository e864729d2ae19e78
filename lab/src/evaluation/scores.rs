//! A network's logits on a set of pictures.

use lobar_model::network::Network;
use lobar_model::preprocessing;
use tch::{Device, Kind, Tensor};

use super::roc_auc;
use crate::dataset::{Class, Etiology, Sample};

/// Logits, with what is true, in the order of the samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Above 0: rather pneumonia than not.
    pub pneumonia: Vec<f64>,
    /// Above 0: rather bacterial than viral, given pneumonia.
    pub bacterial: Vec<f64>,
    /// Whether the label says pneumonia.
    pub is_pneumonia: Vec<bool>,
    /// Whether the label says bacterial; `None` where it says neither.
    pub is_bacterial: Vec<Option<bool>>,
}

impl Scores {
    /// Area under the ROC curve of pneumonia against normal.
    #[must_use]
    pub fn auc(&self) -> Option<f64> {
        roc_auc(&self.pneumonia, &self.is_pneumonia)
    }

    /// Area under the ROC curve of bacterial against viral, among labelled pneumonia.
    #[must_use]
    pub fn subtype_auc(&self) -> Option<f64> {
        let (scores, truth): (Vec<f64>, Vec<bool>) = self
            .bacterial
            .iter()
            .zip(&self.is_bacterial)
            .filter_map(|(score, truth)| truth.map(|truth| (*score, truth)))
            .unzip();
        roc_auc(&scores, &truth)
    }

    /// Share of pictures on the right side of logit 0.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = self
            .pneumonia
            .iter()
            .zip(&self.is_pneumonia)
            .filter(|(logit, truth)| (**logit > 0.0) == **truth);
        right.count() as f64 / self.pneumonia.len().max(1) as f64
    }

    /// Mean cross-entropy of pneumonia against normal, in nats.
    #[must_use]
    pub fn cross_entropy(&self) -> f64 {
        let sum: f64 = self
            .pneumonia
            .iter()
            .zip(&self.is_pneumonia)
            .map(|(&logit, &truth)| {
                let against = if truth { -logit } else { logit };
                against.max(0.0) + (-against.abs()).exp().ln_1p()
            })
            .sum();
        sum / self.pneumonia.len().max(1) as f64
    }
}

/// Runs `network` in evaluation mode over pictures of `side`×`side` grey levels, in samples' order.
///
/// # Errors
/// libtorch failed.
pub fn score(
    network: &Network,
    samples: &[Sample],
    pictures: &[Vec<u8>],
    side: usize,
    kind: Kind,
    device: Device,
) -> Result<Scores, tch::TchError> {
    const BATCH: usize = 32;
    let mut scores = Scores::default();
    for (samples, pictures) in samples.chunks(BATCH).zip(pictures.chunks(BATCH)) {
        let levels: Vec<f32> =
            pictures.iter().flatten().map(|&level| preprocessing::normalise(level)).collect();
        let size = [samples.len() as i64, 1, side as i64, side as i64];
        let images =
            Tensor::f_from_slice(&levels)?.f_view(size)?.f_to_device(device)?.f_to_kind(kind)?;
        let output = tch::no_grad(|| network.forward(&images, false));
        scores.pneumonia.extend(Vec::<f64>::try_from(&output.pneumonia.f_to_kind(Kind::Double)?)?);
        scores.bacterial.extend(Vec::<f64>::try_from(&output.bacterial.f_to_kind(Kind::Double)?)?);
        scores.is_pneumonia.extend(samples.iter().map(|sample| sample.class == Class::Pneumonia));
        scores.is_bacterial.extend(
            samples.iter().map(|sample| sample.subtype.map(|it| it == Etiology::Bacterial)),
        );
    }
    Ok(scores)
}
