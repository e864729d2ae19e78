//! A finding as stores keep it: JSON with a version.
//!
//! - Every release reads what every earlier one wrote: `core/tests/findings/` has a file of each shape.
//! - A new member is optional when it is read and keeps the version: earlier releases pass over it, as they do in
//!   the middle of a rolling upgrade.
//! - Another meaning of a member that is there raises the version. A release that meets a version above its own
//!   does not guess: the finding is unreadable to it, and its image needs a human until that process is upgraded.
//! - Model, probability, threshold and `flagged` are never guessed. A finding without one of them, or whose
//!   members contradict each other, is unreadable.
//! - The rest is shown where it can be read. Where it cannot, a warning says so.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};

use super::{Finding, Heatmap, Label, ModelRef, Subtype};

/// What this release writes, and the highest that it reads. Findings without a version are of the first releases,
/// whose shape is that of version 1.
const VERSION: u32 = 1;

/// The warning beside a finding of which something optional could not be read.
const INCOMPLETE: &str =
    "A part of the stored result cannot be read by this release and is not shown.";

/// Why a stored finding is unreadable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// A newer release wrote it.
    #[error("a finding of version {0}; this release reads up to {VERSION}")]
    TooNew(u32),
    /// Probability or threshold is none.
    #[error("a finding with a probability or threshold outside 0 to 1")]
    NotAProbability,
    /// `flagged` or `label` is not what probability and threshold say.
    #[error("a finding that contradicts itself")]
    Contradiction,
}

/// The members that are read, of all versions.
#[derive(Deserialize)]
pub(super) struct Stored {
    #[serde(default = "first")]
    v: u32,
    model: ModelRef,
    probability: f64,
    threshold: f64,
    flagged: bool,
    label: Option<Label>,
    subtype: Option<Part<Subtype>>,
    heatmap: Option<Part<Heatmap>>,
    warnings: Option<Part<Vec<String>>>,
    timings_ms: Option<Part<BTreeMap<String, f64>>>,
}

/// A member that a finding can be shown without.
#[derive(Deserialize)]
#[serde(untagged)]
enum Part<T> {
    Read(T),
    Unreadable(IgnoredAny),
}

fn first() -> u32 {
    1
}

impl TryFrom<Stored> for Finding {
    type Error = Unreadable;

    fn try_from(stored: Stored) -> Result<Self, Unreadable> {
        if stored.v > VERSION {
            return Err(Unreadable::TooNew(stored.v));
        }
        let (probability, threshold, flagged) =
            (stored.probability, stored.threshold, stored.flagged);
        if !(0.0..=1.0).contains(&probability) || !(0.0..=1.0).contains(&threshold) {
            return Err(Unreadable::NotAProbability);
        }
        let label = if flagged { Label::Pneumonia } else { Label::Normal };
        if flagged != (probability >= threshold) || stored.label.is_some_and(|other| other != label)
        {
            return Err(Unreadable::Contradiction);
        }
        let mut complete = true;
        let subtype = read(stored.subtype, &mut complete);
        let heatmap = read(stored.heatmap, &mut complete).filter(|heatmap| {
            let whole = heatmap.is_whole();
            complete &= whole;
            whole
        });
        let timings_ms = read(stored.timings_ms, &mut complete).unwrap_or_default();
        let mut warnings = read(stored.warnings, &mut complete).unwrap_or_default();
        if !complete {
            warnings.push(INCOMPLETE.to_owned());
        }
        let model = stored.model;
        Ok(Self {
            model,
            probability,
            threshold,
            flagged,
            label,
            subtype,
            heatmap,
            warnings,
            timings_ms,
        })
    }
}

/// What could be read of a member; `complete` becomes false where it is there and could not.
fn read<T>(part: Option<Part<T>>, complete: &mut bool) -> Option<T> {
    match part {
        None => None,
        Some(Part::Read(value)) => Some(value),
        Some(Part::Unreadable(_)) => {
            *complete = false;
            None
        }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            v: u32,
            model: &'a ModelRef,
            probability: f64,
            threshold: f64,
            flagged: bool,
            label: Label,
            subtype: &'a Option<Subtype>,
            heatmap: &'a Option<Heatmap>,
            warnings: &'a [String],
            timings_ms: &'a BTreeMap<String, f64>,
        }
        // By name, so that what is added to a finding and forgotten here does not compile.
        let &Finding {
            ref model,
            probability,
            threshold,
            flagged,
            label,
            ref subtype,
            ref heatmap,
            ref warnings,
            ref timings_ms,
        } = self;
        let written = Written {
            v: VERSION,
            model,
            probability,
            threshold,
            flagged,
            label,
            subtype,
            heatmap,
            warnings,
            timings_ms,
        };
        written.serialize(serializer)
    }
}
