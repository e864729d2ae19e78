//! The laboratory beside the model: data sets, augmentation, training, evaluation, exploration, reports,
//! quantization, the fitting of the novelty check, calibration to a site, export, retraining on doctors' labels, training
//! data from buckets, MLflow, and the benchmark of the engine.
//!
//! It depends on `lobar-model`, never the reverse, and reaches stores and buckets through ports only.

pub mod augmentation;
pub mod bench;
pub mod dataset;
mod date;
mod error;
pub mod evaluation;
pub mod exploration;
pub mod export;
pub mod labelled;
pub mod looks;
pub mod mlflow;
pub mod novelty;
pub mod quantization;
pub mod report;
pub mod retrain;
pub mod revision;
pub mod runs;
pub mod site_calibration;
pub mod stress;
pub mod training;
pub mod training_data;

pub use error::LabError;
