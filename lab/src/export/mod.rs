//! A trained model in the forms that other programs load: ONNX, TorchScript, safetensors.
//!
//! Every form takes grey levels and answers calibrated probabilities (safetensors holds weights
//! only), carries the model's card inside, and is read back from its file and compared with the
//! plain network on the golden pictures before it gets its name.

mod onnx;
mod torchscript;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use lobar_model::card::{self, Approved, Card, CardError};
use lobar_model::engine::folded::{Head, Trunk};
use lobar_model::engine::outputs::Outputs;
use lobar_model::engine::{FOLDING_TOLERANCE, LoadError, fold, input, proof};
use lobar_model::golden;
use lobar_model::network::Network;
use lobar_model::novelty::NoveltyDetector;
use lobar_model::weights::{self, Precision, Weights, WeightsError};
use tch::{Device, TchError, nn};

/// What an exported model says of itself.
const MEANING: &str = "Decision support for research. A clinician must view every image.";
/// The input's name, and what it takes.
const INPUT: (&str, &str) = (
    "images",
    "8-bit grey levels as floating point numbers, 0 to 255, of chest X-rays resized straight to 224 by 224",
);
/// The outputs' names in order, and what they mean.
const OUTPUTS: [(&str, &str); 3] = [
    ("probability", "calibrated probability of pneumonia; the threshold stands in the card"),
    ("bacterial_probability", "experimental: probability of bacterial, given pneumonia"),
    ("logit", "logit of pneumonia before calibration"),
];
/// How far half precision may be from single, in probability.
const HALF_TOLERANCE: f64 = 1e-3;

/// The forms that a model can be exported in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A graph for onnxruntime and its like.
    Onnx,
    /// A module for libtorch and PyTorch.
    TorchScript,
    /// Weights under torchvision's names.
    Safetensors,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "onnx" => Ok(Self::Onnx),
            "torchscript" => Ok(Self::TorchScript),
            "safetensors" => Ok(Self::Safetensors),
            _ => Err(format!("format {text:?} is not onnx, torchscript or safetensors")),
        }
    }
}

/// What to export, and how.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The form.
    pub format: Format,
    /// Convolutions in half precision: safetensors only, which it makes half as large.
    pub half: bool,
    /// Read the file back and compare its answers with the plain network's.
    pub check: bool,
}

/// What was exported.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The card's version.
    pub version: String,
    /// Size of the file.
    pub bytes: u64,
    /// Largest difference in probability on the golden pictures, when it was checked.
    pub difference: Option<f64>,
    /// What was allowed.
    pub tolerance: f64,
}

/// Why a model could not be exported. Nothing is left at the path asked for.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The model that was to be exported, or a file that was read back.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The plain network could not answer, or a file that was read back is refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Options that contradict one another.
    #[error("only safetensors can be in half precision: leave out --half, or export safetensors")]
    Half,
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// What was written cannot be used.
    #[error("what was written to {} cannot be used: {why}", path.display())]
    Unusable {
        /// The file, gone by now.
        path: PathBuf,
        /// The reader's own words.
        why: String,
    },
    /// What was written answers otherwise.
    #[error(
        "the exported model's answers on the golden pictures are {difference} away from the network's, more than {tolerance}: nothing was exported"
    )]
    Unequal {
        /// Largest difference in probability; not a number when an answer is none.
        difference: f64,
        /// What is allowed.
        tolerance: f64,
    },
}

impl ExportError {
    fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}

/// The model that is exported.
struct SourceModel {
    weights: Weights,
    /// Silent on the check on novelty, which ONNX and TorchScript leave behind.
    card: Card,
    novelty: Option<card::Novelty>,
    check: Option<NoveltyDetector>,
    approved: Approved,
    sha256: String,
    trunk: Trunk,
    head: Head,
}

impl SourceModel {
    fn open(path: &Path) -> Result<Self, ExportError> {
        let weights = Weights::open(path)?;
        let (card, approved) = weights.approve()?;
        let (trunk, head) = fold::fold(&weights, approved.layout)?;
        let trunk = trunk.to(tch::Kind::Float, Device::Cpu).map_err(LoadError::Torch)?;
        let (mut card, sha256) = (card.clone(), weights.sha256().to_owned());
        let novelty = card.novelty.take();
        let check = NoveltyDetector::read(&weights, novelty.as_ref(), approved.layout)?;
        Ok(Self { weights, card, novelty, check, approved, sha256, trunk, head })
    }

    /// Attaches the model's file to an error of libtorch.
    fn torch(&self) -> impl Fn(TchError) -> ExportError + '_ {
        |source| WeightsError::Torch { path: self.weights.path().to_owned(), source }.into()
    }

    /// Attaches the model's file to an error of its card.
    fn card_error(&self) -> impl Fn(CardError) -> ExportError + '_ {
        |source| WeightsError::Card { path: self.weights.path().to_owned(), source }.into()
    }
}

/// Exports the safetensors model at `model` to `out`, which appears whole and checked or not at
/// all; what was there before is replaced. Takes seconds.
///
/// # Errors
/// When the model may not be served, the file cannot be written, or its answers are not the
/// network's.
pub fn export(model: &Path, out: &Path, options: &ExportOptions) -> Result<Exported, ExportError> {
    if options.half && options.format != Format::Safetensors {
        return Err(ExportError::Half);
    }
    let source = SourceModel::open(model)?;
    let partial = Partial::beside(out);
    match options.format {
        Format::Onnx => onnx::write(&source, &partial.0)?,
        Format::TorchScript => torchscript::write(&source, &partial.0)?,
        Format::Safetensors => write_weights(&source, &partial.0, options.half)?,
    }
    let tolerance = if options.half { HALF_TOLERANCE } else { FOLDING_TOLERANCE };
    let mut difference = None;
    if options.check {
        let found = check(&source, options.format, &partial.0)?;
        if found > tolerance || found.is_nan() {
            return Err(ExportError::Unequal { difference: found, tolerance });
        }
        difference = Some(found);
    }
    let bytes = partial.keep(out).map_err(|e| ExportError::write(out, e))?;
    Ok(Exported { version: source.card.version, bytes, difference, tolerance })
}

fn write_weights(source: &SourceModel, path: &Path, half: bool) -> Result<(), ExportError> {
    let vs = nn::VarStore::new(Device::Cpu);
    let _network = Network::with_layout(&vs.root(), source.approved.layout);
    source.weights.fill(&vs)?;
    let precision = if half { Precision::Half } else { Precision::Single };
    weights::write_in(path, &vs, Some(&source.card), precision)?;
    if let Some(check) = &source.check {
        let card = Card { novelty: source.novelty.clone(), ..source.card.clone() };
        check.write(path, path, &card)?;
    }
    Ok(())
}

/// How far the answers of the file at `path` are from the plain network's, alone and in a batch.
fn check(source: &SourceModel, format: Format, path: &Path) -> Result<f64, ExportError> {
    let Approved { temperature, layout, .. } = source.approved;
    let plain = proof::plain_answers(&source.weights, layout, temperature)?;
    let expected = Outputs::from_answers(&plain, temperature);
    let levels = input::GreyTable::levels(Device::Cpu).map_err(source.torch())?;
    let images = levels.batch(&golden::pictures()).map_err(source.torch())?;
    let found = match format {
        Format::Onnx => onnx::answers(path, &images)?,
        Format::TorchScript => torchscript::answers(path, &images)?,
        Format::Safetensors => {
            let weights = Weights::open(path)?;
            let (_, approved) = weights.approve()?;
            let answers = proof::plain_answers(&weights, approved.layout, approved.temperature)?;
            Outputs::from_answers(&answers, approved.temperature)
        }
    };
    Ok(expected.difference(&found, temperature))
}

/// A file that is not done yet, removed unless it is kept.
struct Partial(PathBuf);

impl Partial {
    fn beside(out: &Path) -> Self {
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        Self(out.with_file_name(name))
    }

    /// Gives it its name; its size.
    fn keep(self, out: &Path) -> std::io::Result<u64> {
        let file = std::fs::File::open(&self.0)?;
        file.sync_all()?;
        std::fs::rename(&self.0, out)?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests;
