//! What a model was not trained for.
//!
//! A network answers whatever it is shown: a hand, a page of writing, an X-ray upside down. The gate of
//! `lobar-imaging` refuses by rules what is certainly no chest X-ray. This check adds what was learned:
//! how far the features of an image lie from those of the images that the model was trained on
//! (Lee et al. 2018, <https://arxiv.org/abs/1807.03888>), here with the place of the features in the
//! picture, since an X-ray upside down has the same features elsewhere.
//!
//! The check is fitted to the training images as they are, its threshold is chosen on validation, and
//! both travel in the weights file: tensors under `novelty.`, the rest in the card. It costs nothing to
//! speak of: the last feature map is there anyway.
//!
//! [`trial()`] says what it finds and what it misses.

mod alteration;
mod check;
mod drawing;
mod fit;
#[cfg(test)]
mod tests;
mod trial;

pub use alteration::Alteration;
pub use check::Check;
pub(crate) use check::grid;
pub use drawing::Drawing;
pub(crate) use fit::attach;
pub use fit::{ACCEPTED_SHARE, FitError, fit};
pub use trial::{Row, Trial, trial};
