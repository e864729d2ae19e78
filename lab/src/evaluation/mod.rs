//! How good a model is, measured on pictures that it never saw.
//!
//! The order matters. On validation: fit the calibration, then choose the threshold. Freeze both.
//! Then measure once on the test split, through the engine that will serve.

mod answers;
mod at_threshold;
mod averages;
mod bootstrap;
mod calibration;
mod confusion;
mod curves;
mod groups;
mod histogram;
mod measure;
mod operating_point;
mod platt;
mod roc;
mod scores;
mod shortcut;
mod subtype;
mod table;

pub use lobar_model::card::{Interval, Shortcut};

pub use answers::{Predictions, ask};
pub use at_threshold::AtThreshold;
pub use averages::Averages;
pub(crate) use bootstrap::intervals;
pub use calibration::{Bin, Calibration, brier, expected_calibration_error, reliability};
pub use confusion::{ClassReport, Confusion};
pub use curves::{PrecisionRecallPoint, Ranking, RocPoint};
pub use groups::GroupFigures;
pub use histogram::ScoreHistogram;
pub use measure::{Evaluation, evaluate};
pub use operating_point::{WANTED_SENSITIVITY, choose_threshold};
pub use roc::roc_auc;
pub use scores::{Scores, score};
pub use subtype::SubtypeFigures;

/// The entries of a bootstrap draw.
pub(crate) fn chosen(scores: &[f64], truth: &[bool], choice: &[usize]) -> (Vec<f64>, Vec<bool>) {
    choice.iter().map(|&index| (scores[index], truth[index])).unzip()
}
