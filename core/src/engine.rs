//! Port of the inference engine: a batch of inputs in, one prediction per input out. Synchronous;
//! owned by one thread. Several threads have an engine each: replicas on the same weights.
//!
//! - Batching never changes an answer beyond the engine's stated tolerance.
//! - A batch of `n` gives `n` answers in order.
//! - An answer that is not a number is an error, never a negative.

use std::str::FromStr;

use crate::finding::{Heatmap, ModelRef};
use crate::population::Population;

/// The network's input for one image: 8-bit grey, 224 × 224, row-major from the top left.
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkInput(Box<[u8]>);

impl NetworkInput {
    /// Pixels a side.
    pub const SIDE: usize = 224;

    /// `None` unless there are exactly `SIDE × SIDE` pixels.
    pub fn new(pixels: impl Into<Box<[u8]>>) -> Option<Self> {
        let pixels = pixels.into();
        (pixels.len() == Self::SIDE * Self::SIDE).then_some(Self(pixels))
    }

    /// The pixels, row-major.
    pub fn pixels(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for NetworkInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NetworkInput(224×224)")
    }
}

/// What the engine runs.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineInfo {
    /// The weights.
    pub model: ModelRef,
    /// The model's operating point, 0..=1.
    pub threshold: f64,
    /// Largest batch that was warmed up.
    pub max_batch: usize,
    /// Where and how it computes: `cpu bf16`, `cuda:0 bf16`.
    pub device: String,
    /// How many engines of these weights should compute at once, each on a thread of its own: this one and its
    /// replicas. At least 1.
    pub replicas: usize,
    /// How far two batchings of one image may differ in probability.
    pub tolerance: f64,
    /// What becomes of an image that is unlike those that the model was trained on.
    pub novelty_policy: NoveltyPolicy,
    /// Whom the model was trained on, and what becomes of an image of somebody else.
    pub population: Population,
}

/// What becomes of an image that is unlike those that the network was trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoveltyPolicy {
    /// Nobody knows of it: the model has no check.
    NoDetector,
    /// It is left to a human, without an answer.
    #[default]
    NeedsHuman,
    /// It is answered, with a warning.
    Warn,
}

impl FromStr for NoveltyPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "human" => Ok(Self::NeedsHuman),
            "warn" => Ok(Self::Warn),
            _ => Err(format!("{text:?} is not human or warn")),
        }
    }
}

impl std::fmt::Display for NoveltyPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoDetector => "unchecked",
            Self::NeedsHuman => "human",
            Self::Warn => "warn",
        })
    }
}

/// The network's answer on one input.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The score for pneumonia, 0..=1, after calibration; how far it is a probability, the card says.
    pub probability: f64,
    /// Probability that a pneumonia is bacterial, 0..=1, when the model has that output.
    pub bacterial: Option<f64>,
    /// Grad-CAM, when the engine was built with explanations.
    pub heatmap: Option<Heatmap>,
    /// How far the image is from those that the network was trained on, over what is accepted: above
    /// 1 it is unlike them, and the other answers mean nothing. `None` when the model cannot tell.
    pub novelty: Option<f64>,
}

impl Prediction {
    /// Whether the image is known to be unlike those that the network was trained on. A novelty
    /// that is not a number counts: a failure never looks negative.
    pub fn is_novel(&self) -> bool {
        self.novelty.is_some_and(|novelty| novelty.is_nan() || novelty > 1.0)
    }
}

/// Why a batch failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The batch failed as a whole; halves of it may succeed.
    #[error("the batch of {size} failed: {why}")]
    Batch {
        /// Images in the batch.
        size: usize,
        /// The library's own words.
        why: String,
    },
    /// The device is lost: the process must end.
    #[error("the device is lost: {0}")]
    DeviceLost(String),
}

/// See the module's documentation.
pub trait Engine {
    /// What it runs.
    fn info(&self) -> &EngineInfo;

    /// Answers for `batch`, in order. One answer an image; an image whose answer is not a finite
    /// number has `Err` of its own.
    fn infer(
        &mut self,
        batch: &[NetworkInput],
    ) -> Result<Vec<Result<Prediction, String>>, EngineError>;

    /// Another engine on the same weights, for another thread: it answers the same, and its weights take no more
    /// memory. `None` where there can be only one.
    fn replica(&self) -> Option<Box<dyn Engine + Send>> {
        None
    }
}
