//! How good a model is, measured on pictures that it never saw.

mod roc;
mod scores;

pub use roc::roc_auc;
pub use scores::{Scores, score};
