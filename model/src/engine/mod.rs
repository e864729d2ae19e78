//! The engine: the port of [`lobar_core::engine`] on libtorch.
//!
//! At load it folds batch norms into convolutions and the three equal grey channels into one, goes
//! channels-last, to bf16 or 8-bit integers where the hardware computes in them and the model's card says
//! that nothing is lost by it, and to oneDNN's fused convolutions on a CPU; proves on the golden pictures that the answers are still the plain network's; and runs every batch size it will meet once, since
//! the first run of a size is slow.
//!
//! A TorchScript module is run as it is, in fp32; it must answer by its parts as by its whole.
//!
//! libtorch's number of threads is one for the whole process: two engines in one process should be
//! given the same. [`cores`] says how an engine and its replicas share the cores.

pub mod cores;
mod device;
pub mod fold;
pub mod folded;
mod form;
mod fused;
pub mod input;
pub mod int8;
mod load;
pub mod outputs;
pub mod proof;
pub mod script;

use std::path::PathBuf;
use std::thread::ThreadId;

use lobar_core::engine::{
    Engine, EngineError, EngineInfo, NetworkInput, NoveltyPolicy, Prediction,
};
use lobar_core::finding::Heatmap;
use tch::{Device, Kind, TchError, Tensor};

pub use device::{CudaError, cuda_devices, resolve_device};
pub use load::LoadError;
pub use lobar_core::compute::DeviceChoice;
pub use proof::{BF16_TOLERANCE, FOLDING_TOLERANCE, INT8_TOLERANCE};

use crate::golden;
use crate::gradcam;
use crate::novelty::{self, NoveltyDetector};
use crate::precision::{Precision, PrecisionChoice};
use form::{Backend, Head};
use input::GreyTable;
use proof::sigmoid;

/// How an engine is to run.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where to compute.
    pub device: DeviceChoice,
    /// libtorch's threads on the CPU, for each engine; 0 lets [`cores::split`] choose.
    pub threads: usize,
    /// Engines that compute at once on the CPU: this one and its replicas; 0 lets [`cores::split`] choose.
    pub replicas: usize,
    /// Largest batch computed at once; larger ones are cut. At least 1.
    pub max_batch: usize,
    /// Whether answers carry a heatmap.
    pub explanations: bool,
    /// The arithmetic to compute in.
    pub precision: PrecisionChoice,
    /// What becomes of images that the model's check finds unlike its training images.
    pub novelty_policy: NoveltyPolicy,
    /// `libtorch_cuda.so` of a CUDA build of libtorch, to be loaded into the process.
    pub cuda_library: Option<PathBuf>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            threads: 0,
            replicas: 1,
            max_batch: 16,
            explanations: true,
            precision: PrecisionChoice::Auto,
            novelty_policy: NoveltyPolicy::NeedsHuman,
            cuda_library: None,
        }
    }
}

/// ResNet-50 on libtorch, ready to answer. Owned by one thread at a time.
#[derive(Debug)]
pub struct TorchEngine {
    info: EngineInfo,
    precision: Precision,
    trunk: Backend,
    head: Head,
    table: GreyTable,
    temperature: f64,
    /// None for a model that cannot tell what it was not trained for.
    check: Option<NoveltyDetector>,
    explanations: bool,
    threads: i32,
    /// The thread that was last told how many threads to use: OpenMP keeps it per thread.
    told: Option<ThreadId>,
}

impl TorchEngine {
    /// Whether bias, sum and ReLU are computed inside the convolutions.
    #[must_use]
    pub fn is_fused(&self) -> bool {
        matches!(self.trunk, Backend::Fused(_) | Backend::Int8(_))
    }

    /// The arithmetic of the trunk.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// libtorch's threads on the CPU.
    #[must_use]
    pub fn threads(&self) -> i32 {
        self.threads
    }

    /// The same for another thread, on the same tensors, computing with so many threads of libtorch's. The weights stay packed for the
    /// number that they were loaded with.
    #[must_use]
    pub fn with_threads(&self, threads: usize) -> Self {
        Self { threads: i32::try_from(threads).unwrap_or(i32::MAX), ..self.share() }
    }

    /// The same for another thread, on the same tensors.
    fn share(&self) -> Self {
        Self {
            info: self.info.clone(),
            precision: self.precision,
            trunk: self.trunk.share(),
            head: self.head.share(),
            table: self.table.clone(),
            temperature: self.temperature,
            check: self.check.as_ref().map(NoveltyDetector::share),
            explanations: self.explanations,
            threads: self.threads,
            told: None,
        }
    }

    fn golden_answers(&self) -> Result<proof::Answers, TchError> {
        let _no_grad = tch::no_grad_guard();
        let maps = self.trunk.forward(&self.table.batch(&golden::pictures())?)?;
        let logits: Vec<Vec<f32>> = self.head.forward(&pool(&maps)?)?.try_into()?;
        Ok(logits.iter().map(|l| self.calibrated(l)).collect())
    }

    /// Calibrated logit of pneumonia, and that of bacterial given pneumonia.
    fn calibrated(&self, logits: &[f32]) -> [f64; 2] {
        let logit = |index: usize| logits.get(index).map_or(f64::NAN, |&l| f64::from(l));
        [logit(0) / self.temperature, logit(1)]
    }

    /// Answers for a batch that is computed at once.
    fn compute(&self, batch: &[NetworkInput]) -> Result<Vec<Result<Prediction, String>>, TchError> {
        let maps = {
            let _no_grad = tch::no_grad_guard();
            self.trunk.forward(&self.table.batch(batch)?)?
        };
        let novelty = match &self.check {
            Some(check) => tch::no_grad(|| check.novelty(&maps))?,
            None => Vec::new(),
        };
        let (logits, heatmaps) = if self.explanations {
            tch::with_grad(|| self.explained(&maps))?
        } else {
            let _no_grad = tch::no_grad_guard();
            (self.head.forward(&pool(&maps)?)?, Vec::new())
        };
        let logits: Vec<Vec<f32>> = logits.try_into()?;
        let (mut heatmaps, mut novelty) = (heatmaps.into_iter(), novelty.into_iter());
        let mut answer = |logits: &Vec<f32>| {
            let mut prediction = self.answer(logits, heatmaps.next());
            let novelty = novelty.next();
            if let Ok(prediction) = &mut prediction {
                prediction.novelty = novelty;
            }
            prediction
        };
        Ok(logits.iter().map(&mut answer).collect())
    }

    /// Device and kind of the images that the trunk takes.
    #[must_use]
    pub fn input_options(&self) -> (Device, Kind) {
        (self.table.device(), self.table.kind())
    }

    /// The features that the check on novelty compares, as this engine computes them: fp32
    /// `[N, 9, features]` on the CPU.
    ///
    /// # Errors
    /// libtorch's.
    pub fn grid_features(&mut self, batch: &[NetworkInput]) -> Result<Tensor, TchError> {
        self.tell_threads();
        let _no_grad = tch::no_grad_guard();
        let maps = self.trunk.forward(&self.table.batch(batch)?)?;
        novelty::grid(&maps)?.f_to_device(Device::Cpu)?.f_contiguous()
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
        // Infinite logits would make finite probabilities of 0 or 1.
        let calibrated = self.calibrated(logits);
        if calibrated.iter().all(|logit| logit.is_finite()) {
            let [probability, bacterial] = calibrated.map(sigmoid);
            Ok(Prediction { probability, bacterial: Some(bacterial), heatmap, novelty: None })
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
///
/// # Errors
/// libtorch's.
pub fn pool(maps: &Tensor) -> Result<Tensor, TchError> {
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

    fn replica(&self) -> Option<Box<dyn Engine + Send>> {
        Some(Box::new(self.share()))
    }
}

/// An error of libtorch as the port knows it. After most errors of CUDA every later call fails
/// too; running out of memory is the exception.
fn failure(size: usize, error: &TchError) -> EngineError {
    // After the first line libtorch lists its call stack.
    let why = error.to_string().lines().next().unwrap_or_default().to_owned();
    if why.contains("CUDA error") && !why.contains("out of memory") {
        EngineError::DeviceLost(why)
    } else {
        EngineError::Batch { size, why }
    }
}

#[cfg(test)]
mod tests;
