//! The command line.

mod audit;
#[cfg(feature = "torch")]
mod calibrate;
mod deidentify;
mod erase;
mod exposure;
mod image;
#[cfg(feature = "torch")]
mod learning;
#[cfg(feature = "torch")]
mod making;
mod model;
mod people;
mod plan;
mod quarantine;
mod queue;
#[cfg(feature = "torch")]
mod training_data;
mod whose;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use audit::{Audit, Format};
#[cfg(feature = "torch")]
pub use calibrate::Calibrate;
pub use deidentify::{DatesWanted, Deidentify};
pub use erase::{Erase, EraseArgs};
pub use exposure::{Exposure, ReportArgs};
pub use image::ImageStory;
#[cfg(feature = "torch")]
pub use learning::{DataExport, Retrain};
#[cfg(feature = "torch")]
pub use making::{
    DataReport, DataWhat, Evaluate, Export, Mlflow, Novelty, Outliers, Quantize, Train,
};
pub use model::Model;
pub use people::{GrantArgs, LinkArgs, PeopleArgs, Site, Token, User};
pub use plan::Plan;
pub use quarantine::{Quarantine, Which};
pub use queue::{Queue, QueueName};
#[cfg(feature = "torch")]
pub use training_data::TrainingData;
pub use whose::Whose;

#[cfg(feature = "torch")]
use crate::settings::{BatchSize, LocalPath, Threads, read};
use crate::settings::{PartialSettings, Roles};
#[cfg(feature = "torch")]
use lobar_core::compute::{DeviceChoice, PrecisionChoice};
#[cfg(feature = "torch")]
use lobar_core::engine::NoveltyPolicy;

/// Watches a bucket of chest X-rays, runs each through a network, and shows doctors the results.
///
/// Decision support for research. A clinician must view every image.
#[derive(Parser)]
// The last one given holds: `autoscale` gives a worker its own after those that it was given itself.
#[command(name = "lobar", version, max_term_width = 100, args_override_self = true)]
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
        /// Which: any of s3, ingest, dicom, worker, api, separated by commas.
        #[arg(long, value_name = "ROLES")]
        roles: Roles,
        /// Stop as at SIGTERM when standard input ends: for a process that starts this one.
        #[arg(long, hide = true)]
        stop_at_eof: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Run as many worker processes on this machine as the backlog asks for, one a GPU or a group of cores: starts them, and
    /// drains those that are not needed. Takes the settings of `run --roles worker`. docs/autoscaling.md.
    #[cfg(feature = "torch")]
    Autoscale(Service),
    /// Plan capacity: how many workers so many images need, how long they wait, and what that costs, by a simulation with the policy
    /// itself, beside other ways of sizing. Starts nothing. docs/planning.md.
    Plan(Box<Plan>),
    /// Upload files and folders: in parallel, resumable.
    Upload(Box<Upload>),
    /// Take persons out of DICOM files: PS3.15, Annex E. On this machine alone; docs/deidentify.md.
    Deidentify(Box<Deidentify>),
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
    /// Fit a model's threshold and calibration to one site, on what doctors said of its images or on labelled images, with
    /// intervals: a revision of the model, which nobody is shown before it is activated. docs/site-calibration.md.
    #[cfg(feature = "torch")]
    Calibrate(Box<Calibrate>),
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
    /// People: list, invite, grant, disable, reset, sign out.
    #[command(subcommand)]
    User(Box<User>),
    /// Machines' tokens: list, add, revoke.
    #[command(subcommand)]
    Token(Box<Token>),
    /// Sites: list, add, remove.
    #[command(subcommand)]
    Site(Box<Site>),
    /// Messages that ingest put aside: list, show, replay, discard.
    #[command(subcommand)]
    Quarantine(Box<Quarantine>),
    /// The queues: how many messages they have, and their dead letters: list, dead, redrive.
    #[command(subcommand)]
    Queue(Box<Queue>),
    /// What became of one image: its state, attempts, times and events. docs/operating.md.
    Image(Box<ImageStory>),
    /// The record of who saw and did what: verify, export, checkpoint.
    #[command(subcommand)]
    Audit(Box<Audit>),
    /// Erase images for good, with their objects, results and verdicts: docs/erasure.md.
    #[command(subcommand)]
    Erase(Box<Erase>),
    /// What readers met of the network's answers, and what that did to their opinions: report.
    #[command(subcommand)]
    Exposure(Box<Exposure>),
    /// Compare the bucket with the store: admit objects that have no image, and mark images whose object is gone. The
    /// answer to a lost database and to lost notifications; an ingest that runs does it once a day.
    Reconcile(Box<Reconcile>),
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
    /// Decode DICOM files for the process at the other end of standard input: started by that process, not by people.
    #[command(hide = true)]
    DecodeDicom,
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
        /// Also put an object into the uploads bucket, see its notification arrive at the ingest that runs, and
        /// remove it. No image comes of it.
        #[arg(long)]
        probe: bool,
        /// How long the notification may take, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        probe_patience: u64,
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
#[derive(Args, Clone)]
pub struct Service {
    /// Settings file; `lobar.toml` in the working directory when it exists.
    #[arg(long, env = "LOBAR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub given: PartialSettings,
}

#[derive(Args)]
pub struct Reconcile {
    /// Only count what differs.
    #[arg(long)]
    pub dry_run: bool,
    /// Mark images also where most of them have no object: the bucket is taken for another one otherwise.
    #[arg(long)]
    pub force: bool,
    /// Compare only keys that begin so.
    #[arg(long, value_name = "PREFIX", default_value = "incoming/")]
    pub prefix: String,
    /// Leave alone what is younger than so many seconds: its notification may be on its way.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub grace: u64,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub service: Service,
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
    /// File with a token (`lobar token add`), where people have to sign in; or LOBAR_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub whose: Whose,
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

/// Which network, and where it runs.
#[cfg(feature = "torch")]
#[derive(Args, Clone)]
#[group(skip)] // `bench engine` has the group of this name
pub struct Engine {
    /// Model file; the shipped one when left out.
    #[arg(long, env = "LOBAR_MODEL", value_name = "FILE", value_parser = read::<LocalPath>())]
    pub model: Option<LocalPath>,
    /// `auto`, `cpu` or `cuda:N`.
    #[arg(long, env = "LOBAR_DEVICE", value_name = "DEVICE", default_value = "auto", value_parser = read::<DeviceChoice>())]
    pub device: DeviceChoice,
    /// `auto`, `fp32`, `bf16` or `int8`.
    #[arg(long, env = "LOBAR_PRECISION", value_name = "PRECISION", default_value = "auto", value_parser = read::<PrecisionChoice>())]
    pub precision: PrecisionChoice,
    /// An image unlike those that the model was trained on: `human` leaves it to a person, `warn` answers
    /// it with a warning.
    #[arg(long, env = "LOBAR_UNLIKE", value_name = "WHAT", default_value = "human", value_parser = read::<NoveltyPolicy>())]
    pub unlike: NoveltyPolicy,
    /// Threads on a CPU.
    #[arg(long, env = "LOBAR_THREADS", value_name = "N", value_parser = read::<Threads>())]
    pub threads: Option<Threads>,
    /// Most images in one batch.
    #[arg(long, env = "LOBAR_BATCH", value_name = "N", default_value = "16", value_parser = read::<BatchSize>())]
    pub batch: BatchSize,
}

#[derive(Args)]
pub struct Bench {
    /// What to measure.
    #[command(subcommand)]
    pub what: BenchWhat,
}

#[derive(Subcommand)]
pub enum BenchWhat {
    /// Everything below in one run, with the machine that it ran on: medians of several rounds.
    #[cfg(feature = "torch")]
    All(Box<BenchAll>),
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
    /// How a worker's engines best share the cores: each split in turn, with decoding beside. What a worker does by itself where it
    /// has four cores or more and nobody chose.
    #[cfg(feature = "torch")]
    Split {
        #[command(flatten)]
        engine: Engine,
        /// Rounds; the median is given.
        #[arg(long, default_value_t = 3)]
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
    /// How long urgent images take while routine ones keep the worker full: open loop, from the answer to the upload to the
    /// committed result, against fetching, decoding and two batches.
    #[cfg(feature = "torch")]
    Stat(Box<BenchStat>),
    /// How long the images of a quiet site take, all of them routine: alone, and while another site's bulk upload waits.
    #[cfg(feature = "torch")]
    Site(Box<BenchSite>),
}

#[derive(Args)]
pub struct BenchSite {
    /// Image files; a synthetic radiograph when left out.
    pub files: Vec<PathBuf>,
    /// How many images of the quiet site, alone and again beside the bulk upload.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub images: u64,
    /// How many images the other site has uploaded before the quiet one goes on.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub bulk: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The engine, and where queues and store are; embedded ones in a temporary folder when left out.
    #[command(flatten)]
    pub service: Service,
}

#[derive(Args)]
pub struct BenchStat {
    /// Image files; a synthetic radiograph when left out.
    pub files: Vec<PathBuf>,
    /// How many urgent images, one every quarter of a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub images: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The engine, and where queues and store are; embedded ones in a temporary folder when left out.
    #[command(flatten)]
    pub service: Service,
}

#[derive(Args)]
pub struct BenchAll {
    /// Image files; a synthetic radiograph when left out.
    pub files: Vec<PathBuf>,
    /// How many images go through the whole journey in a round; through queues and store alone, ten times as many.
    #[arg(long, default_value_t = 300)]
    pub images: usize,
    /// Rounds; the median is given.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=99))]
    pub rounds: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The engine, and where queues and store are; embedded ones in a temporary folder when left out.
    #[command(flatten)]
    pub service: Service,
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
