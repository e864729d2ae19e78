//! A network that the engine does not run, as an engine: how a teacher is measured.

use std::path::Path;

use lobar_core::engine::{
    Engine, EngineError, EngineInfo, NetworkInput, NoveltyPolicy, Prediction,
};
use lobar_core::finding::ModelRef;
use lobar_core::population::Population;
use lobar_model::card::Card;
use lobar_model::network::{Architecture, Network};
use lobar_model::preprocessing;
use lobar_model::weights::{Weights, WeightsError};
use tch::{Device, TchError, Tensor, nn};

/// Images computed at once.
const BATCH: usize = 16;

/// The network in fp32 as training computes it, at the serving resolution.
#[derive(Debug)]
pub(super) struct PlainNetwork {
    info: EngineInfo,
    network: Network,
    temperature: f64,
    device: Device,
    /// Owns the weights.
    _store: nn::VarStore,
}

impl PlainNetwork {
    /// The weights at `path`, which `card` speaks of.
    ///
    /// # Errors
    /// They are of another network, or cannot be read.
    pub(super) fn open(
        path: &Path,
        card: &Card,
        architecture: Architecture,
        device: Device,
    ) -> Result<Self, WeightsError> {
        let weights = Weights::open(path)?;
        let store = nn::VarStore::new(device);
        let network = Network::of(&store.root(), architecture);
        weights.fill(&store)?;
        let info = EngineInfo {
            model: ModelRef {
                version: card.version.clone(),
                sha256: weights.sha256().to_owned(),
                preprocessing: card.preprocessing.version.clone(),
            },
            threshold: card.threshold.unwrap_or(0.5),
            max_batch: BATCH,
            device: format!("{device:?} fp32, not the engine").to_lowercase(),
            replicas: 1,
            tolerance: 0.0,
            novelty_policy: NoveltyPolicy::NoDetector,
            population: Population { ages: card.ages() },
        };
        let temperature = card.temperature.unwrap_or(1.0);
        Ok(Self { info, network, temperature, device, _store: store })
    }

    fn logits(&self, batch: &[NetworkInput]) -> Result<[Vec<f64>; 2], TchError> {
        let levels: Vec<f32> = batch
            .iter()
            .flat_map(|input| input.pixels().iter().map(|&level| preprocessing::normalise(level)))
            .collect();
        let side = NetworkInput::SIDE as i64;
        let images = Tensor::f_from_slice(&levels)?
            .f_view([batch.len() as i64, 1, side, side])?
            .f_to_device(self.device)?;
        let output = tch::no_grad(|| self.network.forward(&images, false));
        let values = |tensor: &Tensor| Vec::<f64>::try_from(&tensor.f_to_kind(tch::Kind::Double)?);
        Ok([values(&output.pneumonia)?, values(&output.bacterial)?])
    }
}

impl Engine for PlainNetwork {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn infer(
        &mut self,
        batch: &[NetworkInput],
    ) -> Result<Vec<Result<Prediction, String>>, EngineError> {
        let mut answers = Vec::with_capacity(batch.len());
        for part in batch.chunks(BATCH) {
            let [pneumonia, bacterial] = self
                .logits(part)
                .map_err(|e| EngineError::Batch { size: batch.len(), why: e.to_string() })?;
            for (pneumonia, bacterial) in pneumonia.iter().zip(&bacterial) {
                let sigmoid = |logit: f64| 1.0 / (1.0 + (-logit).exp());
                let calibrated = pneumonia / self.temperature;
                answers.push(match calibrated.is_finite() && bacterial.is_finite() {
                    true => Ok(Prediction {
                        probability: sigmoid(calibrated),
                        bacterial: Some(sigmoid(*bacterial)),
                        heatmap: None,
                        novelty: None,
                    }),
                    false => Err("the network's answer is not a finite number".to_owned()),
                });
            }
        }
        Ok(answers)
    }
}
