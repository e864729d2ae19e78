//! What a run is asked to do.

use std::path::PathBuf;

use lobar_model::network::Architecture;
use tch::Device;

use super::{Decay, Distillation, ResolutionStage, TrainError};
use crate::augmentation::Augmentation;

/// Settings of a run. [`TrainOptions::new`] gives those that train a good model from scratch on a
/// CPU overnight; the shipped model's own are in its card.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// Data folder, see [`crate::dataset`].
    pub data: PathBuf,
    /// Further folders, whose `train/` is trained on as well. Validation and test are those of `data`.
    pub more: Vec<PathBuf>,
    /// Folder for checkpoint, best weights and history; made if absent. A run that is found there
    /// goes on.
    pub out: PathBuf,
    /// Weights to start from, torchvision's or this project's; the mean of several; from scratch if none.
    pub init: Vec<PathBuf>,
    /// Resolutions and their epochs, in order.
    pub stages: Vec<ResolutionStage>,
    /// Pictures in a batch.
    pub batch: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// How the rate falls from its peak.
    pub decay: Decay,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// Whether classes weigh alike within the films of each X-ray unit, told by burnt-in text, instead of over all.
    pub balance_groups: bool,
    /// Label smoothing: a label of 1 becomes `1 - smoothing / 2`.
    pub smoothing: f64,
    /// Weight of the bacterial-or-viral loss beside the pneumonia loss.
    pub subtype_weight: f64,
    /// Decay per step of the moving average of the weights.
    pub average_decay: f64,
    /// Epochs of a stage without a better validation AUC after which the stage ends.
    pub patience: usize,
    /// Seed of everything random but the cut of the data.
    pub seed: u64,
    /// Seed by which validation is cut out of the training pictures. Runs that shall be compared, and runs
    /// that start from one another's weights, need the same.
    pub split_seed: u64,
    /// libtorch's threads.
    pub threads: usize,
    /// Threads that read and change pictures ahead of the network. On a CPU they share the cores with
    /// it; a GPU wants all the cores there are.
    pub loaders: usize,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Convolutions in bf16. Pays where the processor has it (`avx512_bf16`, AMX) and on a GPU.
    pub bf16: bool,
    /// Where to compute.
    pub device: Device,
    /// Strength of the augmentation.
    pub augmentation: Augmentation,
    /// The network that learns. Any but a residual network ends as a teacher, which is not served.
    pub architecture: Architecture,
    /// What it learns from beside labels: teachers, and other views of the same picture.
    pub distillation: Distillation,
    /// Name of the finished model; made of the date and the weights if none.
    pub version: Option<String>,
    /// Revision of the sources that run, for the record.
    pub revision: Option<String>,
    /// Whom the pictures show: stands wherever a figure of the model is shown.
    pub population: String,
    /// Films that the model is not for, which the check on novelty is shown; see
    /// [`crate::novelty::Outliers`].
    pub outliers: Option<PathBuf>,
    /// Show a progress bar if standard error is a terminal.
    pub progress: bool,
}

impl TrainOptions {
    /// The settings to begin with, for a data folder and an output folder.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            more: Vec::new(),
            out: out.into(),
            init: Vec::new(),
            stages: vec![
                ResolutionStage::new(96, 10),
                ResolutionStage::new(128, 30),
                ResolutionStage::new(224, 10),
            ],
            batch: 32,
            rate: 1e-3,
            decay: Decay::Cosine,
            weight_decay: 0.05,
            balance_groups: false,
            smoothing: 0.05,
            subtype_weight: 1.0,
            average_decay: 0.998,
            patience: 8,
            seed: 1,
            split_seed: 1,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            loaders: 2,
            checkpoint_every: 200,
            bf16: true,
            device: Device::Cpu,
            augmentation: Augmentation::default(),
            architecture: Architecture::RESNET50,
            distillation: Distillation::default(),
            version: None,
            revision: None,
            population: "Not stated by whoever trained it.".to_owned(),
            outliers: None,
            progress: true,
        }
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let wrong = |what: &str| Err(TrainError::Options(what.to_owned()));
        if self.stages.is_empty() {
            return wrong("at least one stage is needed");
        }
        if self.batch < 2 {
            return wrong("the batch must hold at least 2 pictures: batch norms need a variance");
        }
        if self.rate <= 0.0 || !self.rate.is_finite() {
            return wrong("the learning rate must be above 0");
        }
        if self.checkpoint_every == 0
            || self.threads == 0
            || self.loaders == 0
            || self.patience == 0
        {
            return wrong(
                "threads, loaders, patience and the steps between checkpoints must be at least 1",
            );
        }
        if self.subtype_weight < 0.0 || !self.subtype_weight.is_finite() {
            return wrong("the weight of the second output's loss must be at least 0");
        }
        self.distillation.check(self.batch)?;
        if !(0.0..1.0).contains(&self.smoothing) || !(0.0..1.0).contains(&self.average_decay) {
            return wrong("smoothing and the average's decay must be at least 0 and below 1");
        }
        Ok(())
    }
}
