//! What a run tells.

use std::fmt;
use std::path::PathBuf;

use lobar_model::card::Card;
use serde::{Deserialize, Serialize};

use crate::dataset::Joined;
use crate::evaluation::Evaluation;

/// One finished epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1 over the whole run.
    pub epoch: usize,
    /// Epochs planned.
    pub of: usize,
    /// Side of the pictures, pixels.
    pub side: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Learning rate at its end.
    pub rate: f64,
    /// Training pictures a second, validation not counted; 0 where the epoch was not run whole.
    pub images_per_second: f64,
    /// Seconds, validation included.
    pub seconds: f64,
    /// AUC of pneumonia against normal on the validation set, by the averaged weights.
    pub auc: f64,
    /// Accuracy at probability 0.5, likewise.
    pub accuracy: f64,
    /// Cross-entropy, likewise.
    pub cross_entropy: f64,
    /// AUC of bacterial against viral, where both are labelled.
    pub subtype_auc: Option<f64>,
    /// Whether it is the best of its stage so far.
    pub best: bool,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "epoch {}/{} at {} px: loss {:.4}, validation AUC {:.4}, accuracy {:.4}, cross-entropy {:.4}",
            self.epoch, self.of, self.side, self.loss, self.auc, self.accuracy, self.cross_entropy
        )?;
        if let Some(auc) = self.subtype_auc {
            write!(f, ", bacterial/viral AUC {auc:.4}")?;
        }
        write!(
            f,
            ", rate {:.2e}, {:.1} images/s, {:.0} s",
            self.rate, self.images_per_second, self.seconds
        )?;
        f.write_str(if self.best { ", best so far" } else { "" })
    }
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainReport {
    /// The averaged weights of the last stage's best epoch, fp32 safetensors.
    pub weights: PathBuf,
    /// The finished model: weights in half precision with their card.
    pub model: PathBuf,
    /// The model's card.
    pub card: Card,
    /// Every epoch.
    pub epochs: Vec<Epoch>,
    /// Pictures trained on.
    pub train: usize,
    /// Pictures chosen on.
    pub validation: usize,
    /// What became of the pictures of further folders.
    pub joined: Joined,
    /// Figures on validation, on which threshold and temperature were chosen.
    pub on_validation: Evaluation,
    /// Figures on the test split, measured once; `None` if the folder has none.
    pub on_test: Option<Evaluation>,
}

impl fmt::Display for TrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: trained on {} images, chosen on {}.",
            self.card.version, self.train, self.validation
        )?;
        writeln!(f, "\nValidation, on which threshold and temperature were chosen:\n")?;
        write!(f, "{}", self.on_validation)?;
        match &self.on_test {
            Some(test) => write!(f, "\nTest, measured once:\n\n{test}")?,
            None => writeln!(
                f,
                "\nThere is no test split, so the model has no figures of its own and will not be served."
            )?,
        }
        writeln!(f, "\nPopulation: {}", self.card.population)?;
        write!(f, "Model: {}", self.model.display())
    }
}
