//! A finding: the network's result on one image, with all that is needed to reproduce it.

mod stored;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which weights, exactly, made a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// The version named in the model's card.
    pub version: String,
    /// SHA-256 of the weights file, hexadecimal.
    pub sha256: String,
    /// The preprocessing version the weights are bound to.
    pub preprocessing: String,
}

/// The two answers of the first output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Label {
    /// Probability at or above the threshold.
    Pneumonia,
    /// Below the threshold. Shown to people as "Not flagged", never as "normal".
    Normal,
}

impl Label {
    /// Both.
    pub const ALL: [Label; 2] = [Label::Normal, Label::Pneumonia];

    /// The word used in storage and HTTP.
    pub fn word(self) -> &'static str {
        match self {
            Label::Pneumonia => "PNEUMONIA",
            Label::Normal => "NORMAL",
        }
    }

    /// The label of a stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.word() == word)
    }
}

/// The second output: bacterial or viral, given pneumonia. Experimental.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subtype {
    /// The likelier of the two.
    pub label: SubtypeLabel,
    /// Probability of that label, 0.5 to 1.
    pub probability: f64,
    /// Always true until validated; shown beside the label.
    pub experimental: bool,
}

/// The kinds of pneumonia that the second output knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SubtypeLabel {
    /// Bacterial pneumonia.
    Bacterial,
    /// Viral pneumonia.
    Viral,
}

impl SubtypeLabel {
    /// Both.
    pub const ALL: [SubtypeLabel; 2] = [SubtypeLabel::Bacterial, SubtypeLabel::Viral];

    /// The word used in storage and HTTP.
    pub fn word(self) -> &'static str {
        match self {
            SubtypeLabel::Bacterial => "BACTERIAL",
            SubtypeLabel::Viral => "VIRAL",
        }
    }
}

/// Where the score came from: Grad-CAM over the last feature map (Selvaraju et al. 2017),
/// row-major from the top left, scaled so that the largest cell is 1 (all zero when nothing spoke
/// for pneumonia). Influence on the score, not a lesion outline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heatmap {
    /// Cells a row; 7 for a 224-pixel input.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width × height` values in 0..=1.
    pub cells: Vec<f32>,
}

impl Heatmap {
    /// Whether there is a finite value for every cell.
    pub fn is_whole(&self) -> bool {
        u64::from(self.width) * u64::from(self.height) == self.cells.len() as u64
            && self.cells.iter().all(|cell| cell.is_finite())
    }
}

/// The network's answer on one image. Its serde form is the one that stores keep: JSON with a version, which reads
/// what every earlier release wrote. What cannot be read safely is an error (`finding/stored.rs` has the rules).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "stored::Stored")]
pub struct Finding {
    /// The weights that made it.
    pub model: ModelRef,
    /// The score for pneumonia, 0..=1, after calibration; how far it is a probability, the card says.
    pub probability: f64,
    /// The model's own operating point, 0..=1.
    pub threshold: f64,
    /// `probability >= threshold`.
    pub flagged: bool,
    /// The same as a label.
    pub label: Label,
    /// Bacterial or viral, when flagged and the model has that output.
    pub subtype: Option<Subtype>,
    /// Grad-CAM grid, when explanations are on.
    pub heatmap: Option<Heatmap>,
    /// What a reader should know about the input: oriented, downscaled from 16 bits, …
    pub warnings: Vec<String>,
    /// Milliseconds by stage: `fetch`, `decode`, `wait`, `infer`.
    pub timings_ms: BTreeMap<String, f64>,
}
