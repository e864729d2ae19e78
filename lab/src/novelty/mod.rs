//! Fitting the check on novelty ([`lobar_model::novelty`]), and trying it.
//!
//! The check is fitted to the training images as they are, its threshold is chosen on validation, and
//! both travel in the weights file.
//!
//! [`trial()`] says what it finds and what it misses.

mod alteration;
mod drawing;
mod fit;
#[cfg(test)]
mod tests;
mod trial;

pub use alteration::Alteration;
pub use drawing::Drawing;
pub(crate) use fit::attach;
pub use fit::{ACCEPTED_SHARE, FitError, fit};
pub use trial::{Row, Trial, trial};
