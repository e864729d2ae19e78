//! How good a model is, measured on pictures that it never saw.
//!
//! The order matters. On validation: fit the calibration, then choose the threshold. Freeze both.
//! Then measure once on the test split, through the engine that will serve.

mod answers;
mod bootstrap;
mod calibration;
mod confusion;
mod measure;
mod operating_point;
mod roc;
mod scores;
mod shortcut;
mod table;

pub use answers::{Answers, ask};
pub use bootstrap::Interval;
pub use calibration::{Bin, Calibration, brier, expected_calibration_error, reliability};
pub use confusion::{ClassReport, Confusion};
pub use measure::{AtThreshold, Evaluation, evaluate};
pub use operating_point::{WANTED_SENSITIVITY, choose_threshold};
pub use roc::roc_auc;
pub use scores::{Scores, score};
pub use shortcut::Shortcut;
