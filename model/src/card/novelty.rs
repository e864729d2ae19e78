//! What a card says of the check on novelty.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CardError;
use crate::novelty::{METHOD, METHOD_WITH_HEAD};

/// How the check on novelty was fitted. Its tensors lie beside the network's, under `novelty.`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Novelty {
    /// Name of the measure: [`METHOD`] or [`METHOD_WITH_HEAD`].
    pub method: String,
    /// The distance above which an image is unlike the training images.
    pub threshold: f64,
    /// Images that the distance was fitted to; with a head, and copies of them that are in scope as well.
    pub fitted_images: u64,
    /// Images, of other patients, that the thresholds were chosen on; with a head, and copies of them.
    pub validation_images: u64,
    /// Of those, how many lie above a threshold.
    pub validation_unlike: u64,
    /// The head, of the method [`METHOD_WITH_HEAD`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<NoveltyHead>,
}

/// How the head of the check was fitted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoveltyHead {
    /// −ln of the probability of being in scope, in nats, above which an image is out of scope.
    pub threshold: f64,
    /// Pictures that it was shown as out of scope, by kind; of films that were given, all their copies.
    pub shown: BTreeMap<String, u64>,
    /// Films out of scope that were given and shown to it; others of them were kept to measure on.
    pub outliers: u64,
    /// SHA-256 over the digests of those films in a fixed order, hexadecimal; none where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers_sha256: Option<String>,
}

impl Novelty {
    /// Whether this program can do what the card says.
    pub(super) fn approve(&self) -> Result<(), CardError> {
        let invalid = |value: String, wanted| CardError::Invalid {
            field: "method of the check on novelty",
            value,
            wanted,
        };
        match (self.method.as_str(), &self.head) {
            (METHOD, None) | (METHOD_WITH_HEAD, Some(_)) => Ok(()),
            (METHOD | METHOD_WITH_HEAD, head) => {
                let has = if head.is_some() { "with" } else { "without" };
                Err(invalid(
                    format!("{} {has} a head", self.method),
                    "whole: fit the check anew with `lobar novelty fit`",
                ))
            }
            _ => Err(invalid(
                self.method.clone(),
                "one that this program knows: use the matching release, or fit the check anew with \
                 `lobar novelty fit`",
            )),
        }
    }
}

impl std::fmt::Display for Novelty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, threshold, fitted_images, validation_images, validation_unlike, head } =
            self;
        write!(f, "{method}, fitted to {fitted_images} images")?;
        let Some(head) = head else {
            return write!(
                f,
                "; above {threshold:.3} lie {validation_unlike} of {validation_images} validation images"
            );
        };
        let shown: u64 = head.shown.values().sum();
        write!(
            f,
            " and shown {shown} out of scope ({} films given); above {threshold:.3}, or {:.3} of the head, lie \
             {validation_unlike} of {validation_images} validation images and copies of them",
            head.outliers, head.threshold
        )
    }
}
