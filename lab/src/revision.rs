//! A model made of another: the same network with something fitted to its own training images added.

use lobar_model::card::Card;

use crate::dataset::{Partition, digest};

/// Why a model cannot be made of another.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The pictures are not those of the model's training.
    #[error(
        "these are not the images that the model was trained on ({found} instead of {wanted}): name its data folder and its split seed"
    )]
    OtherData {
        /// Digest of the images that were given.
        found: String,
        /// Digest in the model's card.
        wanted: String,
    },
    /// The model has already what is to be added, and its name.
    #[error("model {0} has this already: give the model with another one another name")]
    Named(String),
}

/// The card of the new model: `card` under `name`, or under its own name and `-suffix` unless it
/// `has_it` already.
pub(crate) fn revised(
    card: &Card,
    data: &Partition,
    name: Option<&str>,
    suffix: &str,
    has_it: bool,
) -> Result<Card, RevisionError> {
    let found = digest(data.train.iter().chain(&data.validation));
    let wanted = card.training.data_sha256.clone();
    if found != wanted {
        return Err(RevisionError::OtherData { found, wanted });
    }
    let version = match name {
        Some(name) => name.to_owned(),
        None if has_it => return Err(RevisionError::Named(card.version.clone())),
        None => format!("{}-{suffix}", card.version),
    };
    Ok(Card { version, ..card.clone() })
}
