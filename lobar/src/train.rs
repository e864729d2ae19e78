//! `lobar train`.

use std::path::{Path, PathBuf};
use std::process::Command;

use lobar_console::noteln;
use lobar_lab::mlflow::{Log, Target};
use lobar_lab::training::{Distillation, TrainOptions, train};
use lobar_model::engine::resolve_device;

use crate::failure::{Failure, chain};
use crate::{cli, engine, training_data};

/// Trains, or goes on where an interrupted run in the same folder was.
pub fn run(args: cli::Train) -> Result<(), Failure> {
    let data = training_data::bring(&args.data)?;
    let log = log(&args.mlflow, &args.out)?;
    let options = options(args, data.folder)?;
    let report = train(&options, |epoch| {
        noteln!("{epoch}");
        if let Some(log) = &log {
            log.epoch(epoch);
        }
    });
    if let Some(log) = log {
        log.end();
    }
    let report = report.map_err(|e| Failure::failed(chain(&e)))?;
    noteln!("{report}");
    Ok(())
}

/// The log on an MLflow server, if one was named.
fn log(args: &cli::Mlflow, out: &Path) -> Result<Option<Log>, Failure> {
    let Some(url) = args.url.clone() else { return Ok(None) };
    let target = Target { url, experiment: args.experiment.clone(), token: args.token.clone() };
    Ok(Some(Log::begin(target, out)?))
}

fn options(args: cli::Train, data: PathBuf) -> Result<TrainOptions, Failure> {
    let mut options = TrainOptions::new(data, args.out);
    options.init = args.init;
    if !args.stages.is_empty() {
        options.stages = args.stages;
    }
    let cuda = engine::cuda_library();
    let device = resolve_device(args.device, cuda.as_deref());
    options.device = device.map_err(|e| Failure::failed(chain(&e)))?;
    options.architecture = args.architecture;
    options.distillation = Distillation {
        teachers: args.teachers,
        share: args.teacher_share,
        views: args.views,
        consistency: args.consistency,
    };
    options.balance_groups = args.balance_groups;
    options.batch = args.batch;
    options.rate = args.rate;
    options.decay = args.decay;
    options.patience = args.patience;
    options.seed = args.seed;
    options.split_seed = args.split_seed;
    options.subtype_weight = args.subtype_weight;
    options.loaders = args.loaders;
    options.bf16 = !args.fp32;
    options.version = args.name;
    options.revision = revision();
    if let Some(population) = args.population {
        options.population = population;
    }
    options.outliers = args.outliers.folder;
    if let Some(threads) = args.threads {
        options.threads = threads.count();
    }
    Ok(options)
}

/// The revision of the checkout that the command was given in, with `-dirty` where files have changed.
pub fn revision() -> Option<String> {
    let git = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    let told = Command::new("git").args(git).output().ok().filter(|told| told.status.success())?;
    Some(String::from_utf8(told.stdout).ok()?.trim().to_owned())
}
