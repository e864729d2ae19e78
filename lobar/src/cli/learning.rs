//! The command line of learning from doctors.

use std::path::PathBuf;

use clap::Args;

use super::Service;

#[derive(Args)]
pub struct DataExport {
    /// Folder to write: `train/{NORMAL,PNEUMONIA}` and `manifest.csv`; that of an earlier export is brought
    /// up to date.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Which store and which bucket.
    #[command(flatten)]
    pub service: Service,
}

#[derive(Args)]
pub struct Retrain {
    /// Training data to learn beside the new labels: a folder as `lobar train --data` takes it, or
    /// `s3://BUCKET[/PREFIX]`. Its validation and test images stay what is chosen and measured on.
    #[arg(long, value_name = "DIR|URL")]
    pub base: PathBuf,
    /// Folder for the copy of a base in a bucket; below the user's cache folder when left out.
    #[arg(long, value_name = "DIR")]
    pub data_cache: Option<PathBuf>,
    /// Folder for the exported images, the run under way and the finished ones; one command at a time works
    /// in it.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Labels, new or changed since the last candidate of this folder, below which nothing is done.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub at_least: usize,
    /// Start from these weights instead of the active model's.
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Resolutions and their epochs in order, as for `lobar train`; `224:3` when left out.
    #[arg(long, value_name = "SIDE:EPOCHS[:LAST]", value_delimiter = ',')]
    pub stages: Vec<lobar_lab::training::ResolutionStage>,
    /// Images a step.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub images_a_step: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 1e-4)]
    pub rate: f64,
    /// Seed of everything random but the cut of the data.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Seed by which validation is cut out of the base; that of the weights to start from when left out.
    #[arg(long)]
    pub split_seed: Option<u64>,
    /// Whom the images show; what the weights to start from say of theirs when left out.
    #[arg(long, value_name = "TEXT")]
    pub population: Option<String>,
    /// Compute in fp32 even where bf16 is quicker.
    #[arg(long)]
    pub fp32: bool,
    /// Threads that read and change images ahead of the network.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub loaders: usize,
    /// Who registers the candidate, for the history.
    #[arg(long, env = "USER", hide_env = true, value_name = "NAME", default_value = "cli")]
    pub by: String,
    /// Which store, bucket and registry, and where to compute.
    #[command(flatten)]
    pub service: Service,
}
