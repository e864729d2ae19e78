//! The command line.

#[cfg(feature = "torch")]
mod learning;
mod model;
#[cfg(feature = "torch")]
mod training_data;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[cfg(feature = "torch")]
pub use learning::{DataExport, Retrain};
pub use model::Model;
#[cfg(feature = "torch")]
pub use training_data::TrainingData;

use crate::settings::{Given, Roles};

/// Watches a bucket of chest X-rays, runs each through a network, and shows doctors the results.
///
/// Decision support for research. A clinician must view every image.
#[derive(Parser)]
#[command(name = "lobar", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run everything in one process, with embedded parts.
    Up(Service),
    /// Run chosen roles on configured services.
    Run {
        /// Which: any of s3, ingest, worker, api, separated by commas.
        #[arg(long, value_name = "ROLES")]
        roles: Roles,
        #[command(flatten)]
        service: Service,
    },
    /// Upload files and folders: in parallel, resumable.
    Upload(Upload),
    /// Classify files here and now, without any service.
    #[cfg(feature = "torch")]
    Predict(Predict),
    /// Train a model.
    #[cfg(feature = "torch")]
    Train(Train),
    /// Train on with what doctors labelled, and register the result as a candidate. For a scheduler: given
    /// again, it goes on where it was, or does nothing while there is too little new. Nothing that is served
    /// changes.
    #[cfg(feature = "torch")]
    Retrain(Box<Retrain>),
    /// Compare training runs in a table.
    #[cfg(feature = "torch")]
    Runs {
        /// Folder that holds the runs' folders, at any depth.
        #[arg(value_name = "DIR", default_value = "runs")]
        folder: PathBuf,
        /// Print JSON: the whole record of each run, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Evaluate a model on labelled images.
    #[cfg(feature = "torch")]
    Evaluate(Evaluate),
    /// Registered models: list, register, activate, roll back, compare.
    #[command(subcommand)]
    Model(Box<Model>),
    /// The check that says which images are unlike those that a model was trained on.
    #[cfg(feature = "torch")]
    #[command(subcommand)]
    Novelty(Novelty),
    /// Make a model ready for 8-bit integers, and measure what each precision costs and gains.
    #[cfg(feature = "torch")]
    Quantize(Quantize),
    /// Look at training data, or make some of what doctors labelled.
    #[cfg(feature = "torch")]
    Data {
        #[command(subcommand)]
        what: DataWhat,
    },
    /// Write a model in a form that other programs load, its card inside.
    #[cfg(feature = "torch")]
    Export(Export),
    /// Measure this machine.
    Bench(Bench),
    /// Print the settings in force, secrets left out.
    Config(Service),
    /// Look at everything that the settings name, and say what to do about what is wrong.
    Doctor {
        /// The roles that are to run with these settings.
        #[arg(long, value_name = "ROLES")]
        roles: Option<Roles>,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Bring the databases to this release's schema. The system may run meanwhile.
    Migrate {
        /// Leave the migrations that take long for later, and name them.
        #[arg(long)]
        defer: bool,
        #[command(flatten)]
        service: Service,
    },
}

/// The settings of a service.
#[derive(Args)]
pub struct Service {
    /// Settings file; `lobar.toml` in the working directory when it exists.
    #[arg(long, env = "LOBAR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub given: Given,
}

#[derive(Args)]
pub struct Upload {
    /// Files and folders; folders are walked.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Lobar's address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub to: String,
    /// The uploading site.
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub site: String,
    /// Ask for the fast lane.
    #[arg(long)]
    pub stat: bool,
    /// Stay and print results as they arrive.
    #[arg(long)]
    pub watch: bool,
    /// Upload anew what was uploaded before.
    #[arg(long)]
    pub again: bool,
    /// How many files at once.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub parallel: usize,
}

#[cfg(feature = "torch")]
#[derive(Args)]
pub struct Predict {
    /// Image files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print one JSON object a line, in the order given.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub engine: Engine,
}

#[cfg(feature = "torch")]
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
    /// Resolutions and their epochs in order: `128:15,224:3`. A third number lets only so many of the
    /// last layers learn, 4 being the head: `224:3:4,224:10`.
    #[arg(long, value_name = "SIDE:EPOCHS[:LAST]", value_delimiter = ',')]
    pub stages: Vec<lobar_model::training::Stage>,
    /// Images a step.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 1e-3)]
    pub rate: f64,
    /// How the rate falls: `cosine`, or `plateau`: to a third whenever validation has not become better for
    /// 3 epochs.
    #[arg(long, default_value = "cosine")]
    pub decay: lobar_model::training::Decay,
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
    #[arg(long, env = "LOBAR_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// Threads that read and change images ahead of the network.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub loaders: usize,
    /// `auto`, `cpu` or `cuda:N`.
    #[arg(long, env = "LOBAR_DEVICE", value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    #[command(flatten)]
    pub mlflow: Mlflow,
}

/// Where a run is logged besides its folder.
#[cfg(feature = "torch")]
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

#[cfg(feature = "torch")]
#[derive(Args)]
pub struct Evaluate {
    #[command(flatten)]
    pub data: TrainingData,
    /// Which split.
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Write `evaluation.json`, `model-card.md` and `report.html` into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Show file names in the report.
    #[arg(long, requires = "out")]
    pub names: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub engine: Engine,
}

#[cfg(feature = "torch")]
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
        /// Name of the model with the check; the model's own and `-novelty` when left out.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
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
        engine: Engine,
    },
}

#[cfg(feature = "torch")]
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

#[cfg(feature = "torch")]
#[derive(Subcommand)]
pub enum DataWhat {
    /// What a scientist wants to know of a data folder before training: balance, patients, sizes,
    /// intensity, duplicates, shortcuts.
    Report(DataReport),
    /// Write the images that doctors labelled as a folder to train on: pictures as the network gets them,
    /// under opaque names. Given again, it adds what is new and takes up labels that changed.
    Export(Box<DataExport>),
}

#[cfg(feature = "torch")]
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

#[cfg(feature = "torch")]
#[derive(Args)]
pub struct Export {
    /// Model file (safetensors); the shipped one when left out.
    #[arg(long, env = "LOBAR_MODEL", value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// `onnx`, `torchscript` or `safetensors`.
    #[arg(long, value_name = "FORMAT")]
    pub format: lobar_model::export::Format,
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

/// Which network, and where it runs.
#[derive(Args)]
#[group(skip)] // `bench engine` has the group of this name
pub struct Engine {
    /// Model file; the shipped one when left out.
    #[arg(long, env = "LOBAR_MODEL", value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// `auto`, `cpu` or `cuda:N`.
    #[arg(long, env = "LOBAR_DEVICE", value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// `auto`, `fp32`, `bf16` or `int8`.
    #[arg(long, env = "LOBAR_PRECISION", value_name = "PRECISION", default_value = "auto")]
    pub precision: String,
    /// An image unlike those that the model was trained on: `human` leaves it to a person, `warn` answers
    /// it with a warning.
    #[arg(long, env = "LOBAR_UNLIKE", value_name = "WHAT", default_value = "human")]
    pub unlike: String,
    /// Threads on a CPU.
    #[arg(long, env = "LOBAR_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// Most images in one batch.
    #[arg(long, env = "LOBAR_BATCH", value_name = "N", default_value_t = 16)]
    pub batch: usize,
}

#[derive(Args)]
pub struct Bench {
    /// What to measure.
    #[command(subcommand)]
    pub what: BenchWhat,
}

#[derive(Subcommand)]
pub enum BenchWhat {
    /// The network's forward pass against the same network in plain libtorch.
    #[cfg(feature = "torch")]
    Engine {
        #[command(flatten)]
        engine: Engine,
        /// Timed rounds; the median is given.
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Decoding and resizing, on given files or on a synthetic radiograph.
    Decode {
        /// Image files.
        files: Vec<PathBuf>,
        /// Timed rounds; the median is given.
        #[arg(long, default_value_t = 20)]
        rounds: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The whole journey, from stored JPEG to committed result, against the sum of its parts; or, with
    /// `--null`, the path of queues and store alone, on the services that the settings name.
    Pipeline(Box<Pipeline>),
}

#[derive(Args)]
pub struct Pipeline {
    /// Image files to repeat; a synthetic radiograph when left out.
    pub files: Vec<PathBuf>,
    /// How many images.
    #[arg(long, default_value_t = 300)]
    pub images: usize,
    /// Without fetching, decoding a photograph, or the network: what queues and store take.
    #[arg(long)]
    pub null: bool,
    /// With `--null`: how many workers, one run each.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1")]
    pub workers: Vec<usize>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Where queues and store are; embedded ones in a temporary folder when left out.
    #[command(flatten)]
    pub service: Service,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn no_command_has_two_flags_of_one_name() {
        super::Cli::command().debug_assert();
    }
}
