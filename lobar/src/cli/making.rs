//! The command line of a model's making: training, evaluation, what is fitted to it, and its export.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use lobar_core::compute::DeviceChoice;
use lobar_model::network::Architecture;

use super::{DataExport, Engine, TrainingData};
use crate::settings::{LocalPath, Threads, read};

#[derive(Args)]
pub struct Train {
    #[command(flatten)]
    pub data: TrainingData,
    /// Folder for checkpoints, history and the finished model; an interrupted run there goes on.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Start from these weights (safetensors, torchvision's names); from the mean of several files, of runs
    /// that began alike: `FILE,FILE`.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub init: Vec<PathBuf>,
    /// The network: `resnet50`, which is served, or `efficientnet-lite0`, which only teaches and for which
    /// ImageNet weights can be had.
    #[arg(long, value_name = "NAME", default_value = "resnet50")]
    pub architecture: Architecture,
    /// Learn from these models as well, from the mean of their answers: `FILE,FILE`.
    #[arg(long = "teacher", value_name = "FILE", value_delimiter = ',')]
    pub teachers: Vec<PathBuf>,
    /// Share of the teachers' word in what is learnt, 0 to 1; the rest is the label's.
    #[arg(long, value_name = "SHARE", default_value_t = 0.7)]
    pub teacher_share: f64,
    /// How often each image is in a batch, changed differently.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub views: usize,
    /// Weight of the loss that makes the answers to the views of one image alike; needs two views or more.
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0)]
    pub consistency: f64,
    /// Let normal and ill weigh alike within the films of each X-ray unit, told by the text burnt into their corners,
    /// so that the unit does not tell the class.
    #[arg(long)]
    pub balance_groups: bool,
    /// Resolutions and their epochs in order: `128:15,224:3`. A third number lets only so many of the
    /// last layers learn, 4 being the head: `224:3:4,224:10`.
    #[arg(long, value_name = "SIDE:EPOCHS[:LAST]", value_delimiter = ',')]
    pub stages: Vec<lobar_lab::training::ResolutionStage>,
    /// Images a step.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 1e-3)]
    pub rate: f64,
    /// How the rate falls: `cosine`, or `plateau`: to a third whenever validation has not become better for
    /// 3 epochs.
    #[arg(long, default_value = "cosine")]
    pub decay: lobar_lab::training::Decay,
    /// Epochs of a stage without a better validation AUC after which the stage ends.
    #[arg(long, default_value_t = 8)]
    pub patience: usize,
    /// Seed of everything random but the cut of the data.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Seed by which validation is cut out of the training images, patient by patient; the same for runs
    /// that are compared or start from one another's weights.
    #[arg(long, default_value_t = 1)]
    pub split_seed: u64,
    /// Weight of the loss of the second output, bacterial or viral, beside that of pneumonia.
    #[arg(long, default_value_t = 1.0)]
    pub subtype_weight: f64,
    /// Name of the finished model; made of the date and the weights when left out.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Whom the images show: stands wherever a figure of the model is shown.
    #[arg(long, value_name = "TEXT")]
    pub population: Option<String>,
    /// Compute in fp32 even where bf16 is quicker.
    #[arg(long)]
    pub fp32: bool,
    /// Threads; all cores when left out.
    #[arg(long, env = "LOBAR_THREADS", value_name = "N", value_parser = read::<Threads>())]
    pub threads: Option<Threads>,
    /// Threads that read and change images ahead of the network.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub loaders: usize,
    /// `auto`, `cpu` or `cuda:N`.
    #[arg(long, env = "LOBAR_DEVICE", value_name = "DEVICE", default_value = "auto", value_parser = read::<DeviceChoice>())]
    pub device: DeviceChoice,
    #[command(flatten)]
    pub outliers: Outliers,
    #[command(flatten)]
    pub mlflow: Mlflow,
}

/// Where a run is logged besides its folder.
#[derive(Args)]
pub struct Mlflow {
    /// MLflow server to log the run to as well.
    #[arg(long = "mlflow", env = "MLFLOW_TRACKING_URI", value_name = "URL")]
    pub url: Option<String>,
    /// Experiment there; made if absent.
    #[arg(long = "mlflow-experiment", value_name = "NAME", default_value = "lobar")]
    pub experiment: String,
    /// Bearer token of that server.
    #[arg(
        long = "mlflow-token",
        env = "MLFLOW_TRACKING_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
}

#[derive(Args)]
pub struct Evaluate {
    #[command(flatten)]
    pub data: TrainingData,
    /// Which images: the folder `train`, `val` or `test`, or `validation`, as training cuts it out of the first two.
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Seed by which validation was cut out when the model was trained.
    #[arg(long, default_value_t = 1)]
    pub split_seed: u64,
    /// Write `evaluation.json`, `model-card.md` and `report.html` into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Leave out the stress table: the same images turned, cropped, padded, lighter, darker, coarser, which takes
    /// 22 times as long.
    #[arg(long)]
    pub no_stress: bool,
    /// Show file names in the report.
    #[arg(long, requires = "out")]
    pub names: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub engine: Engine,
}

#[derive(Subcommand)]
pub enum Novelty {
    /// Fit the check to the images that a model was trained on, and write the model with it.
    Fit {
        #[command(flatten)]
        data: TrainingData,
        /// The model file to write. It is another model, with another name, although it answers the
        /// same.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Seed by which validation was cut out of the training images when the model was trained.
        #[arg(long, default_value_t = 1)]
        split_seed: u64,
        /// Name of the model with the check; the model's own and `-novelty` when left out. A model that has
        /// a check already gets a new one only under a new name.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        outliers: Outliers,
        #[command(flatten)]
        engine: Engine,
    },
    /// Say what the check finds: on images as they are, on altered ones, on pictures that are no
    /// X-rays.
    Report {
        #[command(flatten)]
        data: TrainingData,
        /// Which images: `validation`, as training cuts it, or `test`.
        #[arg(long, default_value = "validation")]
        split: String,
        /// Seed by which validation was cut out of the training images when the model was trained.
        #[arg(long, default_value_t = 1)]
        split_seed: u64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        outliers: Outliers,
        #[command(flatten)]
        engine: Engine,
    },
}

/// Films that a model is not for.
#[derive(Args)]
pub struct Outliers {
    /// Films that the model is not for, such as adults' where it knows children: JPEG, PNG and DICOM files in
    /// this folder and those below it. The check is fitted to half of them, by a fixed rule that keeps
    /// films whose names begin with one number together; the other half is what a report measures.
    #[arg(long = "outliers", value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

#[derive(Args)]
pub struct Quantize {
    #[command(flatten)]
    pub data: TrainingData,
    /// The model file to write. It is another model, with another name, although its network is the same.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Seed by which validation was cut out of the training images when the model was trained.
    #[arg(long, default_value_t = 1)]
    pub split_seed: u64,
    /// Name of the model; the model's own and `-int8` when left out.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub engine: Engine,
}

#[derive(Subcommand)]
pub enum DataWhat {
    /// What a scientist wants to know of a data folder before training: balance, patients, sizes,
    /// intensity, duplicates, shortcuts.
    Report(DataReport),
    /// Write the images that doctors labelled as a folder to train on: pictures as the network gets them,
    /// under opaque names. Given again, it adds what is new and takes up labels that changed.
    Export(Box<DataExport>),
}

#[derive(Args)]
pub struct DataReport {
    #[command(flatten)]
    pub data: TrainingData,
    /// Write the page to this file.
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<PathBuf>,
    /// Show file names instead of numbers.
    #[arg(long)]
    pub names: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Export {
    /// Model file (safetensors); the shipped one when left out.
    #[arg(long, env = "LOBAR_MODEL", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub model: Option<LocalPath>,
    /// `onnx`, `torchscript` or `safetensors`.
    #[arg(long, value_name = "FORMAT")]
    pub format: lobar_lab::export::Format,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Convolutions in half precision; safetensors only.
    #[arg(long)]
    pub half: bool,
    /// Read the file back and compare its answers with the network's (the default).
    #[arg(long, overrides_with = "no_check")]
    pub check: bool,
    /// Leave that out.
    #[arg(long, overrides_with = "check")]
    pub no_check: bool,
}
