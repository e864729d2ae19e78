//! From a file to an engine that has proven itself.

use std::path::{Path, PathBuf};

use lobar_core::engine::{EngineError, EngineInfo, NoveltyPolicy};
use lobar_core::finding::ModelRef;
use lobar_core::population::Population;
use tch::{Device, Kind, TchError};

use super::form::{Backend, Head};
use super::input::GreyTable;
use super::int8::Ranges;
use super::outputs::Outputs;
use super::proof::{self, BF16_TOLERANCE, FOLDING_TOLERANCE, INT8_TOLERANCE};
use super::script::{self, ScriptFile};
use super::{CudaError, DeviceChoice, EngineOptions, TorchEngine, cores, device, fold};
use crate::card::{Approved, Card};
use crate::golden;
use crate::novelty::NoveltyDetector;
use crate::precision::{self, Precision, PrecisionChoice};
use crate::weights::{Weights, WeightsError};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The device.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// The engine does not compute what the model is.
    #[error("model {}: the engine's answers on the golden pictures are {difference} away from the plain network's, more than {tolerance}: the weights are damaged or this build computes wrongly", path.display())]
    Unequal {
        /// The model's file.
        path: PathBuf,
        /// Largest difference in probability; not a number when an answer is none.
        difference: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// A TorchScript module that does not do what a served one must.
    #[error("model {}: this TorchScript module cannot be served ({why}): docs/export.md says what a module needs", path.display())]
    Script {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// libtorch said no.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A precision that was asked for by name cannot be had.
    #[error("{precision} was asked for, and model {} cannot be run in it here: {why}; choose auto", path.display())]
    Precision {
        /// The model's file.
        path: PathBuf,
        /// What was asked for.
        precision: Precision,
        /// What is missing or wrong.
        why: String,
    },
    /// A device that was asked for by name does not compute what the model is.
    #[error(
        "{device} was asked for and fails on the golden pictures (see the warnings before): choose another device"
    )]
    Device {
        /// Where and how: `cuda:0`.
        device: String,
    },
    /// A batch of golden pictures failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl TorchEngine {
    /// Loads the model at `path`, safetensors or TorchScript by its content, proves and warms it.
    /// Takes seconds.
    ///
    /// # Errors
    /// When the file is not a model that may be served, the device cannot be used, or the proof
    /// fails.
    pub fn load(path: &Path, options: &EngineOptions) -> Result<Self, LoadError> {
        crate::allocator::keep_freed_memory();
        let device = device::resolve_device(options.device, options.cuda_library.as_deref())?;
        let split = cores::split(options.replicas, options.threads, cores::count());
        // Before weights are packed: they are packed for that number.
        tch::set_num_threads(i32::try_from(split.threads).unwrap_or(i32::MAX));
        let mut engine = if ScriptFile::is_one(path)? {
            if let PrecisionChoice::Only(precision @ (Precision::Bf16 | Precision::Int8)) =
                options.precision
            {
                let why = "a TorchScript module runs in fp32".to_owned();
                return Err(LoadError::Precision { path: path.to_owned(), precision, why });
            }
            Self::scripted(&ScriptFile::open(path, device)?, device, options)?
        } else {
            let weights = Weights::open(path)?;
            let (card, approved) = weights.approve()?;
            let info = EngineInfo {
                novelty_policy: card
                    .novelty
                    .as_ref()
                    .map_or(NoveltyPolicy::NoDetector, |_| options.novelty_policy),
                ..info(card, approved, weights.sha256(), options)
            };
            Self::proven(&weights, (card, approved), device, options, info)?
        };
        engine.explanations = options.explanations;
        // One engine keeps a GPU busy: its batches follow one another on the device anyway.
        engine.info.replicas = if device == Device::Cpu { split.replicas } else { 1 };
        engine.warm()?;
        Ok(engine)
    }

    /// The quickest engine that computes what the plain network computes.
    fn proven(
        weights: &Weights,
        (card, approved): (&Card, Approved),
        device: Device,
        options: &EngineOptions,
        info: EngineInfo,
    ) -> Result<Self, LoadError> {
        let expected = proof::plain_answers(weights, approved.layout, approved.temperature)?;
        let (trunk, head) = fold::fold(weights, approved.layout)?;
        let check = NoveltyDetector::read(weights, card.novelty.as_ref(), approved.layout)?;
        let ranges = Ranges::read(weights)?;
        let build = |trunk, precision: Precision, device| -> Result<Self, TchError> {
            let info = EngineInfo {
                device: device::describe(device, precision),
                tolerance: batching_tolerance(precision, device),
                ..info.clone()
            };
            let table = GreyTable::new(precision::kind(precision, device), device)?;
            let (head, temperature) = (Head::Folded(head.to(device)?), approved.temperature);
            let check = check.as_ref().map(|check| check.to(device)).transpose()?;
            let (explanations, threads) = (false, tch::get_num_threads());
            Ok(Self {
                info,
                precision,
                trunk,
                head,
                table,
                temperature,
                check,
                explanations,
                threads,
                told: None,
            })
        };
        let prove = |engine: &Self, tolerance| -> Result<(), LoadError> {
            let difference = proof::difference(&expected, &engine.golden_answers()?);
            if difference <= tolerance {
                return Ok(());
            }
            Err(LoadError::Unequal { path: weights.path().to_owned(), difference, tolerance })
        };
        // Folding is proven where fp32 means fp32; a GPU may round it.
        let exact = Backend::Plain(trunk.to(Kind::Float, Device::Cpu)?);
        let exact = build(exact, Precision::Fp32, Device::Cpu)?;
        prove(&exact, FOLDING_TOLERANCE)?;

        let mut why = "it needs a CPU and weights that `lobar quantize` wrote".to_owned();
        for precision in precision::candidates(options.precision, device, card.precisions.as_ref())
        {
            let forms =
                Backend::candidates(&trunk, ranges.as_ref(), precision, device, info.max_batch);
            for form in forms {
                let engine = build(form, precision, device)?;
                match prove(&engine, proof_tolerance(precision)) {
                    Ok(()) => return Ok(engine),
                    Err(error) => {
                        tracing::warn!(
                            %error,
                            device = engine.info.device,
                            fused = engine.is_fused(),
                            "backend failed its proof or could not be built; trying the next slower one"
                        );
                        why = error.to_string();
                    }
                }
            }
        }
        match (options.device, options.precision) {
            (DeviceChoice::Cuda(_), _) => {
                Err(LoadError::Device { device: options.device.to_string() })
            }
            (_, PrecisionChoice::Only(precision @ (Precision::Bf16 | Precision::Int8))) => {
                Err(LoadError::Precision { path: weights.path().to_owned(), precision, why })
            }
            _ => Ok(exact),
        }
    }

    /// The engine that runs a module, in fp32. Its parts, between which heatmaps are made, must answer
    /// what the whole answers.
    fn scripted(
        file: &ScriptFile,
        device: Device,
        options: &EngineOptions,
    ) -> Result<Self, LoadError> {
        let ScriptFile { path, script, card, approved, sha256 } = file;
        let temperature = approved.temperature;
        let engine = Self {
            info: EngineInfo {
                device: device::describe(device, Precision::Fp32),
                tolerance: batching_tolerance(Precision::Fp32, device),
                ..info(card, *approved, sha256, options)
            },
            precision: Precision::Fp32,
            trunk: Backend::Script(script.clone()),
            head: Head::Script(script.clone()),
            table: GreyTable::levels(device)?,
            temperature,
            check: None,
            explanations: false,
            threads: tch::get_num_threads(),
            told: None,
        };
        let parts = engine.golden_answers().map_err(|e| script::unusable(path, &e))?;
        let images = engine.table.batch(&golden::pictures())?;
        let whole = script.outputs(&images).map_err(|e| script::unusable(path, &e))?;
        let difference = whole.difference(&Outputs::from_answers(&parts, temperature), temperature);
        let tolerance = if device == Device::Cpu { FOLDING_TOLERANCE } else { BF16_TOLERANCE };
        if difference <= tolerance {
            Ok(engine)
        } else {
            let why = format!(
                "features and classify answer otherwise than forward on the golden pictures: {difference} away, more than {tolerance}"
            );
            Err(LoadError::Script { path: path.clone(), why })
        }
    }

    /// Runs the batch sizes that are powers of two, and the largest, once.
    fn warm(&mut self) -> Result<(), TchError> {
        let picture = golden::pictures().swap_remove(golden::COUNT - 1);
        let mut size = 1;
        loop {
            self.compute(&vec![picture.clone(); size])?;
            if size >= self.info.max_batch {
                return Ok(());
            }
            size = (size * 2).min(self.info.max_batch);
        }
    }
}

/// What an engine of this model says of itself, but for where and how it computes.
fn info(card: &Card, approved: Approved, sha256: &str, options: &EngineOptions) -> EngineInfo {
    EngineInfo {
        model: ModelRef {
            version: card.version.clone(),
            sha256: sha256.to_owned(),
            preprocessing: card.preprocessing.version.clone(),
        },
        threshold: approved.threshold,
        max_batch: options.max_batch.max(1),
        device: String::new(),
        replicas: 1,
        tolerance: 0.0,
        novelty_policy: NoveltyPolicy::NoDetector,
        population: Population { ages: card.ages() },
    }
}

/// How far two batchings of one image may differ in probability: another batch size may be summed
/// in another order. (On one CPU 1e-6 was measured in either precision.)
fn batching_tolerance(precision: Precision, device: Device) -> f64 {
    match (precision, device) {
        (Precision::Fp32, Device::Cpu) => 1e-4,
        (_, Device::Cpu) => 1e-3,
        _ => 0.02,
    }
}

/// How far an engine's answers on the golden pictures may be from the plain network's.
fn proof_tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => FOLDING_TOLERANCE,
        Precision::Bf16 => BF16_TOLERANCE,
        Precision::Int8 => INT8_TOLERANCE,
    }
}
