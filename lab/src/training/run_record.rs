//! The record of a run: one `run.json` in its folder, whole at any moment, from which runs are compared.

use std::path::Path;

use lobar_model::card::{Card, Metrics};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::Plan;
use super::{Epoch, TrainError, TrainOptions, checkpoint};
use crate::date;

/// Name of the record within a run's folder.
pub const FILE: &str = "run.json";

/// What is kept of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this program.
    pub program: String,
    /// Revision of the sources, as git names it, where the run was started in a checkout.
    pub revision: Option<String>,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// Seed of everything random.
    pub seed: u64,
    /// SHA-256 over the digests of the pictures trained and chosen on.
    pub data_sha256: String,
    /// Pictures trained on.
    pub train: usize,
    /// Pictures chosen on.
    pub validation: usize,
    /// The settings that make a run what it is, by name.
    pub settings: Map<String, Value>,
    /// The finished epochs.
    pub epochs: Vec<Epoch>,
    /// What came of it; none while it goes on, or when it was interrupted.
    pub result: Option<RunOutcome>,
}

/// What came of a finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// When it ended, RFC 3339.
    pub finished_at: String,
    /// The model's version.
    pub version: String,
    /// Its operating point.
    pub threshold: Option<f64>,
    /// Figures on validation.
    pub on_validation: Option<Metrics>,
    /// Figures on the test split.
    pub on_test: Option<Metrics>,
}

impl RunRecord {
    /// The record of a run that begins.
    pub(super) fn begin(
        options: &TrainOptions,
        plan: &Plan,
        train: usize,
        validation: usize,
    ) -> Result<Self, serde_json::Error> {
        // By way of text, where an f32 of 0.15 is 0.15; as a value it would be 0.15000000596.
        let settings = serde_json::from_str(&serde_json::to_string(plan)?)?;
        Ok(Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            revision: options.revision.clone(),
            started_at: date::now(),
            seed: options.seed,
            data_sha256: plan.data_digest.clone(),
            train,
            validation,
            settings,
            epochs: Vec::new(),
            result: None,
        })
    }

    /// Keeps what came of it.
    pub(super) fn finish(&mut self, card: &Card) {
        self.result = Some(RunOutcome {
            finished_at: date::now(),
            version: card.version.clone(),
            threshold: card.threshold,
            on_validation: card.validation.clone(),
            on_test: card.test.clone(),
        });
    }

    /// The best epoch of the last stage, which is the one whose weights are kept.
    #[must_use]
    pub fn best(&self) -> Option<&Epoch> {
        self.epochs.iter().rev().find(|epoch| epoch.best)
    }

    /// Reads the record in a run's folder.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(folder.join(FILE))?)?)
    }

    /// Writes it to a run's folder, in place of the one before.
    pub(super) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        text.and_then(|text| checkpoint::replace(&path, |beside| std::fs::write(beside, text)))
            .map_err(|source| TrainError::Write { path, source })
    }
}
