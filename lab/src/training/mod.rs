//! Training: `train(options)` from a data folder to the best weights.
//!
//! AdamW with warm-up and cosine decay, small pictures first, strong augmentation, label smoothing,
//! class weights, and a moving average of the weights that is what validation looks at and what is
//! kept. Everything random follows from the seed and the step's number, and every few hundred steps
//! the whole state goes to disk at once, so a run that is killed goes on as if it had not been.
//!
//! A run ends with a model: temperature and threshold from validation, one measurement on the test
//! split, and a weights file whose card says all of it.

mod average;
mod balance;
mod checkpoint;
mod conclude;
mod distillation;
mod frozen;
mod learner;
mod loader;
mod loss;
mod optimiser;
mod options;
mod plan;
mod report;
mod run;
mod run_record;
mod schedule;
mod teacher;

use std::path::PathBuf;

pub use distillation::Distillation;
pub use frozen::HEAD;
pub use options::TrainOptions;
pub use report::{Epoch, TrainReport};
pub use run::train;
pub use run_record::{FILE as RECORD, RunOutcome, RunRecord};
pub use schedule::{Decay, PLATEAU, ResolutionStage};

/// Why a run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An option makes no sense.
    #[error("{0}")]
    Options(String),
    /// The data cannot be used.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::DatasetError),
    /// The films that the model is not for cannot be used.
    #[error(transparent)]
    Outliers(#[from] crate::novelty::OutliersError),
    /// The output folder cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The output folder holds a run that cannot be gone on with.
    #[error("{path} cannot be used: {reason}. Give another output folder, or remove it to start anew", path = path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A teacher cannot be learnt from.
    #[error("the teacher {path} cannot be used: {reason}", path = path.display())]
    Teacher {
        /// Its weights.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The loss is no number any more.
    #[error("the loss became {loss} at step {step}: lower the learning rate")]
    Diverged {
        /// The step.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// What was asked for cannot be written down.
    #[error("the run's settings: {0}")]
    Settings(#[from] serde_json::Error),
    /// Weights cannot be read or written.
    #[error(transparent)]
    Weights(#[from] lobar_model::weights::WeightsError),
    /// The trained weights do not make a model that can be served.
    #[error("the trained weights in {path} cannot be made a model: {reason}", path = path.display())]
    Conclude {
        /// The weights.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The report on the finished model cannot be made.
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
