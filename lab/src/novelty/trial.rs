//! What the check finds, and what the gate's rules had refused before it.

use std::fmt;

use lobar_core::engine::{Engine, EngineError, NetworkInput};
use lobar_imaging::{
    Chroma, Format, Radiograph, check_contrast, check_shape_and_colour, network_input,
};
use serde::Serialize;

use super::{Alteration, Drawing, Outlier, Outliers};
use crate::dataset::Sample;

/// Most X-rays that are altered, in each way; taken evenly from all.
const MOST_ALTERED: usize = 200;
/// Drawings of each kind.
const DRAWN: u32 = 24;

/// What became of the pictures of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What they are.
    pub pictures: String,
    /// How many.
    pub images: usize,
    /// Refused by the gate's rules, before the network.
    pub refused: usize,
    /// Let through by the rules, unlike the training data by the check.
    #[serde(rename = "unlike")]
    pub novel: usize,
    /// Let through by both, at or above the threshold.
    pub flagged: usize,
    /// Let through by both, below the threshold.
    pub not_flagged: usize,
}

/// What became of all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Version of the model.
    pub model: String,
    /// Where and how it computed.
    pub device: String,
    /// Where the X-rays are from: `validation`, `test`.
    pub split: String,
    /// X-rays as they are; then altered; then drawings; then films that were given as out of scope.
    pub rows: Vec<Row>,
}

/// Shows the engine `samples` as they are and altered, drawings, and of `outliers` those that are there to
/// measure on.
///
/// # Errors
/// A batch failed, or a picture has another size than the network reads.
pub fn trial(
    engine: &mut dyn Engine,
    split: &str,
    samples: &[Sample],
    outliers: Option<&Outliers>,
) -> Result<Trial, EngineError> {
    let mut rows = Vec::new();
    let input = |pixels: Vec<u8>| NetworkInput::new(pixels);
    let whole = samples.iter().map(|sample| input(sample.pixels.clone())).collect();
    rows.push(row(engine, "X-rays as they are", whole)?);
    let step = samples.len().div_ceil(MOST_ALTERED).max(1);
    for alteration in Alteration::IN_SCOPE.into_iter().chain(Alteration::OUT_OF_SCOPE) {
        let altered = samples.iter().step_by(step).enumerate();
        let altered = altered.map(|(which, s)| input(alteration.apply(&s.pixels, which)));
        rows.push(row(engine, alteration.name(), altered.collect())?);
    }
    for drawing in Drawing::ALL {
        let drawn = (0..DRAWN).map(|which| passed(drawing, which));
        rows.push(row(engine, drawing.name(), drawn.collect())?);
    }
    if let Some(outliers) = outliers {
        let films = outliers.measuring.iter().map(Outlier::input).collect();
        rows.push(row(engine, "films given as out of scope, not fitted to", films)?);
    }
    let info = engine.info();
    Ok(Trial {
        model: info.model.version.clone(),
        device: info.device.clone(),
        split: split.to_owned(),
        rows,
    })
}

/// A drawing as the network would read it; `None` when the gate refuses its shape.
pub(super) fn passed(drawing: Drawing, which: u32) -> Option<NetworkInput> {
    let (width, height) = drawing.size();
    let chroma = Chroma { mean: 0.0, strong: 0.0 };
    let pixels = drawing.draw(which);
    let warnings = Vec::new();
    let picture = Radiograph { width, height, pixels, chroma, format: Format::Png, warnings };
    check_shape_and_colour(&picture).ok()?;
    network_input(&picture).ok()
}

/// Asks about pictures of which some were refused already.
fn row(
    engine: &mut dyn Engine,
    name: &str,
    pictures: Vec<Option<NetworkInput>>,
) -> Result<Row, EngineError> {
    let images = pictures.len();
    let pictures: Vec<NetworkInput> =
        pictures.into_iter().flatten().filter(|input| check_contrast(input).is_ok()).collect();
    let refused = images - pictures.len();
    let mut row = Row { pictures: name.to_owned(), images, refused, ..Row::default() };
    for answer in engine.infer(&pictures)? {
        let answer = answer.map_err(|why| EngineError::Batch { size: pictures.len(), why })?;
        if answer.is_novel() {
            row.novel += 1;
        } else if answer.probability >= engine.info().threshold {
            row.flagged += 1;
        } else {
            row.not_flagged += 1;
        }
    }
    Ok(row)
}

impl fmt::Display for Trial {
    /// A table in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {}, X-rays of {} ({})\n", self.model, self.split, self.device)?;
        writeln!(
            f,
            "| pictures | shown | refused by rules | unlike the training data | flagged | not flagged |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let Row { pictures, images, refused, novel, flagged, not_flagged } = row;
            let share = 100.0 * *novel as f64 / (*images - *refused).max(1) as f64;
            writeln!(
                f,
                "| {pictures} | {images} | {refused} | {novel} ({share:.1} %) | {flagged} | {not_flagged} |"
            )?;
        }
        Ok(())
    }
}
