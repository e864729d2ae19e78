//! Reports for people: an evaluation, a data set.
//!
//! Each is one file of HTML that needs nothing else: plots are SVG inside it, pictures are JPEG inside
//! it, there is no script, and nothing is fetched. It can be mailed, archived and printed. Beside the
//! page lie the same figures as JSON, and the model's card as Markdown.

mod data;
mod evaluation;
mod gallery;
mod number;
mod page;
mod picture;
mod plot;

use std::path::PathBuf;

pub use data::data_page;
pub use evaluation::{EvaluatedSplit, EvaluationReport, TEST_LOOKS};
pub use gallery::{Case, MOST_SHOWN, Mistakes};
pub use lobar_model::card::model_card;
pub(crate) use number::of;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A plot cannot be drawn.
    #[error("a plot cannot be drawn: {0}")]
    Plot(String),
    /// A picture cannot be drawn.
    #[error("a picture cannot be drawn: {0}")]
    Picture(String),
    /// The figures are not numbers that JSON knows.
    #[error("the figures cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
