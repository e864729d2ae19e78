//! The stress table: what a model answers once its images are changed in ways that change nothing for a
//! radiologist. A film that is turned by 5°, padded by a viewer, or passed through a phone shows the same lungs.
//!
//! The same changes serve the choice of threshold and calibration: [`POOL`].

mod change;
mod table;
mod warp;

pub use change::{Change, POOL};
pub use table::{Altered, ask_altered, rows};
