//! Weights on disk: safetensors with torchvision's names and, in the header, the model's card.
//!
//! Convolutions are stored in half precision (their values are small and the engine rounds them
//! further), everything else in single; both are loaded as fp32. A file's SHA-256 is the model's
//! identity.

mod attach;
mod random;
mod read;
mod write;

use std::path::{Path, PathBuf};

pub use attach::{attach, exchange_card, shift_pneumonia};
pub use random::{random, random_card};
pub use read::Weights;
pub use write::{Precision, write, write_in};

use crate::card::CardError;

/// Why weights cannot be used. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file system said no.
    #[error("model {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// Another kind of file, or a cut one.
    #[error("model {}: not a whole safetensors file ({why}): fetch it again", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What the reader stumbled over.
        why: String,
    },
    /// A tensor that the network needs is not there.
    #[error("model {}: tensor {name} is missing: these are weights of another network", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
    },
    /// A tensor has another shape than the network needs.
    #[error("model {}: tensor {name} has shape {found:?} instead of {wanted:?}: these are weights of another network", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Shape in the file.
        found: Vec<i64>,
        /// Shape in the network.
        wanted: Vec<i64>,
    },
    /// A tensor holds something else than floating point numbers.
    #[error("model {}: tensor {name} holds {found}, not floating point numbers", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// What it holds.
        found: String,
    },
    /// A value is not a finite number, or is too large for half precision.
    #[error("model {}: tensor {name} holds values that are not finite numbers", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
    },
    /// The card is missing, unreadable, or does not allow serving.
    #[error("model {}: {source}", path.display())]
    Card {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CardError,
    },
    /// libtorch said no.
    #[error("model {}: libtorch: {source}", path.display())]
    Torch {
        /// The file.
        path: PathBuf,
        /// The library's own words.
        source: tch::TchError,
    },
}

/// Attaches a file to an error of libtorch.
fn torch(path: &Path) -> impl Fn(tch::TchError) -> WeightsError + '_ {
    move |source| WeightsError::Torch { path: path.to_owned(), source }
}

/// Whether every value is a finite number.
fn finite(tensor: &tch::Tensor) -> Result<bool, tch::TchError> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
}

#[cfg(test)]
mod tests;
