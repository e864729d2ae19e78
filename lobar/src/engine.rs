//! The network, loaded as the settings ask.

use std::path::{Path, PathBuf};

use lobar_model::engine::{DeviceChoice, EngineOptions, TorchEngine};
use lobar_model::precision::PrecisionChoice;

use crate::failure::{Failure, chain};
use crate::settings::Settings;
use crate::{cli, model_file};

/// What picks an engine, whichever command asks.
pub struct Wanted<'a> {
    pub model: Option<&'a Path>,
    pub device: &'a str,
    pub precision: &'a str,
    pub unlike: &'a str,
    pub threads: Option<usize>,
    pub batch: usize,
}

impl<'a> From<&'a cli::Engine> for Wanted<'a> {
    fn from(args: &'a cli::Engine) -> Self {
        let cli::Engine { model, device, precision, unlike, threads, batch } = args;
        Self {
            model: model.as_deref(),
            device,
            precision,
            unlike,
            threads: *threads,
            batch: *batch,
        }
    }
}

impl<'a> Wanted<'a> {
    /// What a service's settings ask for.
    pub fn of(settings: &'a Settings) -> Self {
        Self {
            model: settings.model.as_deref(),
            device: &settings.device,
            precision: &settings.precision,
            unlike: &settings.unlike,
            threads: settings.threads,
            batch: settings.batch,
        }
    }
}

/// Loads, proves and warms the network. Takes seconds.
pub fn load(wanted: &Wanted<'_>) -> Result<TorchEngine, Failure> {
    let path = model_file::find(wanted.model)?;
    TorchEngine::load(&path, &options(wanted)?).map_err(|e| Failure::failed(chain(&e)))
}

/// The engine's options for these settings.
pub fn options(wanted: &Wanted<'_>) -> Result<EngineOptions, Failure> {
    let device: DeviceChoice = wanted.device.parse().map_err(Failure::usage)?;
    let precision: PrecisionChoice = wanted.precision.parse().map_err(Failure::usage)?;
    Ok(EngineOptions {
        device,
        precision,
        unlike: wanted.unlike.parse().map_err(Failure::usage)?,
        threads: wanted.threads.unwrap_or(0),
        max_batch: wanted.batch.max(1),
        cuda_library: cuda_library(),
        ..EngineOptions::default()
    })
}

/// `libtorch_cuda.so`, when `make run CUDA=1` fetched it and says where.
#[allow(clippy::disallowed_methods)] // set by the Makefile, not by a person
pub fn cuda_library() -> Option<PathBuf> {
    std::env::var_os("LOBAR_LIBTORCH_CUDA").map(PathBuf::from)
}
