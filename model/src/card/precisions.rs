//! How a model's precisions compare.

use serde::{Deserialize, Serialize};

use crate::precision::Precision;

/// Largest loss of AUC on validation that still counts as none.
const ACCEPTED_AUC_LOSS: f64 = 0.002;

/// What was measured when the model was quantized: every precision that the CPU there had, against fp32, on
/// the validation images; or on the images of a site, when it was calibrated to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precisions {
    /// Images asked: of validation, or of the site.
    pub images: u64,
    /// Training images on which the ranges of 8-bit activations were chosen; 0 without them.
    pub ranged_on: u64,
    /// libtorch's threads when rates were taken.
    pub threads: u64,
    /// A row for each precision, fp32 first.
    pub figures: Vec<PrecisionFigures>,
}

/// One precision against fp32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionFigures {
    /// Which.
    pub precision: Precision,
    /// Area under the receiver operating characteristic.
    pub auc: f64,
    /// How much lower it is than that of fp32; negative when it is higher.
    pub auc_loss: f64,
    /// Images at or above the model's threshold.
    pub flagged: u64,
    /// Images that fp32 flags and this one does not.
    pub lost: u64,
    /// Images that this one flags and fp32 does not.
    pub gained: u64,
    /// Largest difference of a probability.
    pub largest_difference: f64,
    /// Images that the check on novelty finds unlike the training images; none without the check.
    #[serde(rename = "unlike", default, skip_serializing_if = "Option::is_none")]
    pub novel: Option<u64>,
    /// From pictures to answers with heatmaps, on the machine that measured.
    pub images_per_second: f64,
}

impl Precisions {
    /// The figures of one precision, where it was measured.
    #[must_use]
    pub fn of(&self, precision: Precision) -> Option<&PrecisionFigures> {
        self.figures.iter().find(|figures| figures.precision == precision)
    }
}

impl PrecisionFigures {
    /// Whether nothing was lost by it: the AUC within 0.002 of that of fp32, and no flagged case lost.
    #[must_use]
    pub fn is_without_loss(&self) -> bool {
        self.lost == 0 && self.auc_loss <= ACCEPTED_AUC_LOSS
    }
}

impl std::fmt::Display for Precisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:9} {:>7} {:>8} {:>6} {:>7} {:>11} {:>9}",
            "precision", "AUC", "flagged", "lost", "gained", "difference", "images/s"
        )?;
        for row in &self.figures {
            writeln!(
                f,
                "{:9} {:7.4} {:8} {:6} {:7} {:11.4} {:9.1}",
                row.precision.to_string(),
                row.auc,
                row.flagged,
                row.lost,
                row.gained,
                row.largest_difference,
                row.images_per_second
            )?;
        }
        write!(f, "on {} images, {} threads", self.images, self.threads)
    }
}
