//! The engine: the port of [`lobar_core::engine`] on libtorch.
//!
//! At load it folds batch norms into convolutions and the three equal grey channels into one, goes
//! channels-last, and to bf16 where the hardware computes in it; proves on the golden pictures that
//! the answers are still the plain network's; and runs every batch size it will meet once, since
//! the first run of a size is slow.
//!
//! libtorch's number of threads is one for the whole process: two engines in one process should be
//! given the same.

mod device;
mod fold;
mod folded;
mod input;
mod plain;
mod proof;

use std::path::{Path, PathBuf};
use std::thread::ThreadId;

use lobar_core::engine::{Engine, EngineError, EngineInfo, NetworkInput, Prediction};
use lobar_core::finding::{Heatmap, ModelRef};
use tch::{Device, Kind, TchError, Tensor};

pub use device::{CudaError, DeviceChoice};
pub use plain::PlainForward;
pub use proof::{BF16_TOLERANCE, FOLDING_TOLERANCE};

use crate::card::Approved;
use crate::golden;
use crate::gradcam;
use crate::weights::{Weights, WeightsError};
use folded::{Head, Trunk};
use input::GreyTable;
use proof::sigmoid;

/// How far two batchings of one image may differ in probability: another batch size may be summed
/// in another order. (On one CPU 1e-6 was measured in either precision.)
fn batching_tolerance(kind: Kind, device: Device) -> f64 {
    match (kind, device) {
        (Kind::Float, Device::Cpu) => 1e-4,
        (_, Device::Cpu) => 5e-3,
        _ => 0.02,
    }
}

/// How an engine is to run.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where to compute.
    pub device: DeviceChoice,
    /// libtorch's threads on the CPU; 0 lets [`default_threads`] choose.
    pub threads: usize,
    /// Largest batch computed at once; larger ones are cut. At least 1.
    pub max_batch: usize,
    /// Whether answers carry a heatmap.
    pub explanations: bool,
    /// Compute in fp32 even where bf16 is quicker.
    pub fp32: bool,
    /// `libtorch_cuda.so` of a CUDA build of libtorch, to be loaded into the process.
    pub cuda_library: Option<PathBuf>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            threads: 0,
            max_batch: 16,
            explanations: true,
            fp32: false,
            cuda_library: None,
        }
    }
}

/// Three quarters of the cores, at least one: the rest decodes. On a machine shared with others
/// one is steadier, because libtorch's threads wait for one another.
#[must_use]
pub fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores * 3 / 4).max(1)
}

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
    /// libtorch said no.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A batch of golden pictures failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// ResNet-50 on libtorch, ready to answer. Owned by one thread at a time.
#[derive(Debug)]
pub struct TorchEngine {
    info: EngineInfo,
    trunk: Trunk,
    head: Head,
    table: GreyTable,
    temperature: f64,
    explanations: bool,
    threads: i32,
    /// The thread that was last told how many threads to use: OpenMP keeps it per thread.
    told: Option<ThreadId>,
}

impl TorchEngine {
    /// Loads the model at `path`, proves and warms it. Takes seconds.
    ///
    /// # Errors
    /// When the file is not a model that may be served, the device cannot be used, or the proof
    /// fails.
    pub fn load(path: &Path, options: &EngineOptions) -> Result<Self, LoadError> {
        crate::allocator::keep_freed_memory();
        let threads = if options.threads == 0 { default_threads() } else { options.threads };
        let threads = i32::try_from(threads).unwrap_or(i32::MAX);
        tch::set_num_threads(threads);
        let device = options.device.resolve(options.cuda_library.as_deref())?;
        let weights = Weights::open(path)?;
        let (card, approved) = weights.approve()?;
        let info = EngineInfo {
            model: ModelRef {
                version: card.version.clone(),
                sha256: weights.sha256().to_owned(),
                preprocessing: card.preprocessing.version.clone(),
            },
            threshold: approved.threshold,
            max_batch: options.max_batch.max(1),
            device: String::new(),
            tolerance: 0.0,
        };
        let mut engine = Self::proven(&weights, approved, device, options.fp32, info, threads)?;
        engine.explanations = options.explanations;
        engine.warm()?;
        Ok(engine)
    }

    /// libtorch's threads on the CPU.
    #[must_use]
    pub fn threads(&self) -> i32 {
        self.threads
    }

    /// The quickest engine that computes what the plain network computes.
    fn proven(
        weights: &Weights,
        approved: Approved,
        device: Device,
        fp32: bool,
        info: EngineInfo,
        threads: i32,
    ) -> Result<Self, LoadError> {
        let expected = proof::plain_answers(weights, approved.layout, approved.temperature)?;
        let (trunk, head) = fold::fold(weights, approved.layout)?;
        let build = |kind, device| -> Result<Self, TchError> {
            let (place, tolerance) =
                (device::describe(device, kind), batching_tolerance(kind, device));
            Ok(Self {
                info: EngineInfo { device: place, tolerance, ..info.clone() },
                trunk: trunk.to(kind, device)?,
                head: head.to(device)?,
                table: GreyTable::new(kind, device)?,
                temperature: approved.temperature,
                explanations: false,
                threads,
                told: None,
            })
        };
        let away = |engine: &Self| -> Result<f64, TchError> {
            Ok(proof::difference(&expected, &engine.golden_answers()?))
        };
        // Folding is proven where fp32 means fp32; a GPU may round it.
        let exact = build(Kind::Float, Device::Cpu)?;
        let difference = away(&exact)?;
        if difference.is_nan() || difference > FOLDING_TOLERANCE {
            let (path, tolerance) = (weights.path().to_owned(), FOLDING_TOLERANCE);
            return Err(LoadError::Unequal { path, difference, tolerance });
        }
        let kind = if fp32 { Kind::Float } else { device::fastest_kind(device) };
        if (kind, device) == (Kind::Float, Device::Cpu) {
            return Ok(exact);
        }
        let quick = build(kind, device)?;
        let difference = away(&quick)?;
        if difference <= BF16_TOLERANCE {
            tracing::debug!(
                difference,
                device = quick.info.device,
                "proven on the golden pictures"
            );
            return Ok(quick);
        }
        tracing::warn!(
            difference,
            tolerance = BF16_TOLERANCE,
            "this model loses too much in {}: computing on the CPU in fp32",
            quick.info.device
        );
        Ok(exact)
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

    fn golden_answers(&self) -> Result<proof::Answers, TchError> {
        let _no_grad = tch::no_grad_guard();
        let maps = self.trunk.forward(&self.table.batch(&golden::pictures())?)?;
        let logits: Vec<Vec<f32>> = self.head.forward(&pool(&maps)?)?.try_into()?;
        Ok(logits.iter().map(|l| self.probabilities(l)).collect())
    }

    /// Calibrated probability of pneumonia, and that of bacterial given pneumonia.
    fn probabilities(&self, logits: &[f32]) -> [f64; 2] {
        let logit = |index: usize| logits.get(index).map_or(f64::NAN, |&l| f64::from(l));
        [sigmoid(logit(0) / self.temperature), sigmoid(logit(1))]
    }

    /// Answers for a batch that is computed at once.
    fn compute(&self, batch: &[NetworkInput]) -> Result<Vec<Result<Prediction, String>>, TchError> {
        let maps = {
            let _no_grad = tch::no_grad_guard();
            self.trunk.forward(&self.table.batch(batch)?)?
        };
        let (logits, heatmaps) = if self.explanations {
            self.explained(&maps)?
        } else {
            let _no_grad = tch::no_grad_guard();
            (self.head.forward(&pool(&maps)?)?, Vec::new())
        };
        let logits: Vec<Vec<f32>> = logits.try_into()?;
        let mut heatmaps = heatmaps.into_iter();
        Ok(logits.iter().map(|logits| self.answer(logits, heatmaps.next())).collect())
    }

    /// Logits and heatmaps: the head again, this time watched by autograd.
    fn explained(&self, maps: &Tensor) -> Result<(Tensor, Vec<Heatmap>), TchError> {
        let pooled = pool(maps)?.f_set_requires_grad(true)?;
        let logits = self.head.forward(&pooled)?;
        // No image's score depends on another's features: the gradient of the sum is each one's.
        let score = logits.f_select(1, 0)?.f_sum(Kind::Float)?;
        let gradients = Tensor::f_run_backward(&[score], &[&pooled], false, false)?;
        let gradient = gradients.first().ok_or_else(|| TchError::Torch("no gradient".into()))?;
        Ok((logits.f_detach()?, gradcam::heatmaps(maps, gradient)?))
    }

    fn answer(&self, logits: &[f32], heatmap: Option<Heatmap>) -> Result<Prediction, String> {
        let [probability, bacterial] = self.probabilities(logits);
        if probability.is_finite() && bacterial.is_finite() && logits.iter().all(|l| l.is_finite())
        {
            Ok(Prediction { probability, bacterial: Some(bacterial), heatmap })
        } else {
            Err("the network's answer is not a finite number".to_owned())
        }
    }

    /// OpenMP keeps its number of threads for each thread that calls it.
    fn tell_threads(&mut self) {
        let current = std::thread::current().id();
        if self.told != Some(current) {
            tch::set_num_threads(self.threads);
            self.told = Some(current);
        }
    }
}

/// The mean over space of feature maps `[N, C, h, w]`, fp32 `[N, C]`.
fn pool(maps: &Tensor) -> Result<Tensor, TchError> {
    maps.f_mean_dim([2i64, 3].as_slice(), false, Kind::Float)
}

impl Engine for TorchEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn infer(
        &mut self,
        batch: &[NetworkInput],
    ) -> Result<Vec<Result<Prediction, String>>, EngineError> {
        self.tell_threads();
        let mut answers = Vec::with_capacity(batch.len());
        for part in batch.chunks(self.info.max_batch) {
            answers.extend(self.compute(part).map_err(|error| failure(batch.len(), &error))?);
        }
        Ok(answers)
    }
}

/// An error of libtorch as the port knows it. After most errors of CUDA every later call fails
/// too; running out of memory is the exception.
fn failure(size: usize, error: &TchError) -> EngineError {
    let why = error.to_string();
    if why.contains("CUDA error") && !why.contains("out of memory") {
        EngineError::DeviceLost(why)
    } else {
        EngineError::Batch { size, why }
    }
}

#[cfg(test)]
mod tests;
