//! The network, loaded as the settings ask.

use std::path::PathBuf;

use lobar_core::compute::{DeviceChoice, PrecisionChoice};
use lobar_core::engine::NoveltyPolicy;
use lobar_model::engine::cores::{self, Split};
use lobar_model::engine::{EngineOptions, TorchEngine};

use crate::failure::{Failure, chain};
use crate::settings::{BatchSize, LocalPath, Replicas, Settings, Threads};
use crate::{cli, model_file};

/// What picks an engine, whichever command asks.
#[derive(Clone)]
pub struct EngineChoice {
    pub model: Option<LocalPath>,
    pub device: DeviceChoice,
    pub precision: PrecisionChoice,
    pub novelty_policy: NoveltyPolicy,
    pub threads: Option<Threads>,
    /// Engines that compute at once; 0 has them chosen for the machine.
    pub replicas: usize,
    pub batch: BatchSize,
}

impl From<&cli::Engine> for EngineChoice {
    fn from(args: &cli::Engine) -> Self {
        let cli::Engine { model, device, precision, unlike, threads, batch } = args.clone();
        Self { model, device, precision, novelty_policy: unlike, threads, replicas: 1, batch }
    }
}

impl From<&Settings> for EngineChoice {
    fn from(settings: &Settings) -> Self {
        Self {
            model: settings.model.clone(),
            device: settings.device,
            precision: settings.precision,
            novelty_policy: settings.unlike,
            threads: settings.threads,
            replicas: 1,
            batch: settings.batch,
        }
    }
}

impl EngineChoice {
    /// As a worker computes: on all cores, unless the settings say otherwise.
    pub fn of_worker(settings: &Settings) -> Self {
        let replicas = settings.replicas.map_or(0, Replicas::count);
        Self { replicas, ..Self::from(settings) }
    }
}

/// Loads, proves and warms the network. Takes seconds.
pub fn load(wanted: &EngineChoice) -> Result<TorchEngine, Failure> {
    let path = model_file::find(wanted.model.as_ref())?;
    TorchEngine::load(&path, &options(wanted)).map_err(|e| Failure::failed(chain(&e)))
}

/// The engine's options for these settings.
pub fn options(wanted: &EngineChoice) -> EngineOptions {
    EngineOptions {
        device: wanted.device,
        precision: wanted.precision,
        novelty_policy: wanted.novelty_policy,
        threads: wanted.threads.map_or(0, Threads::count),
        replicas: wanted.replicas,
        max_batch: wanted.batch.count(),
        cuda_library: cuda_library(),
        ..EngineOptions::default()
    }
}

/// How its engines share the cores of this machine, where they compute on the CPU.
pub fn split(wanted: &EngineChoice) -> Split {
    let options = options(wanted);
    cores::split(options.replicas, options.threads, cores::count())
}

/// `libtorch_cuda.so`, when `make run CUDA=1` fetched it and says where.
#[allow(clippy::disallowed_methods)] // set by the Makefile, not by a person
pub fn cuda_library() -> Option<PathBuf> {
    std::env::var_os("LOBAR_LIBTORCH_CUDA").map(PathBuf::from)
}
