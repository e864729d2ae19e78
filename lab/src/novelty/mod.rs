//! Fitting the check on novelty ([`lobar_model::novelty`]), and trying it.
//!
//! ```text
//! training films, as they are and copied in scope ─▶ distance (axes)
//!            └─ altered out of scope, drawings, films given ─▶ head (outlier exposure)
//! validation films, as they are, padded, letterboxed, turned ─▶ the threshold of either
//! ```
//!
//! Both parts travel in the weights file. [`trial()`] says what they find and what they miss.

mod alteration;
mod axes;
mod drawing;
mod exposure;
mod features;
mod fit;
mod head;
mod logistic;
mod outliers;
mod placement;
mod scope;
#[cfg(test)]
mod tests;
mod trial;

pub use alteration::Alteration;
pub use drawing::Drawing;
pub(crate) use fit::attach;
pub use fit::{ACCEPTED_SHARE, FitError, Shown, fit};
pub use outliers::{Outlier, Outliers, OutliersError};
pub use trial::{Row, Trial, trial};
