//! Figures of the engine, against the same network in plain libtorch.

mod plain;

use std::path::Path;
use std::time::Instant;

use lobar_core::engine::{Engine, NetworkInput};
use lobar_model::engine::{EngineOptions, LoadError, TorchEngine};
use lobar_model::golden;
use serde::Serialize;
use tch::Kind;

use plain::PlainForward;

/// What was measured: images a second, medians over the rounds. All variants take turns within
/// each round, so that what else the machine does meets all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Where and how the engine computed: `cpu bf16`.
    pub device: String,
    /// Whether bias, sum and ReLU were computed inside the convolutions.
    pub fused: bool,
    /// libtorch's threads.
    pub threads: i32,
    /// Images a batch.
    pub batch: usize,
    /// Timed rounds.
    pub rounds: usize,
    /// The engine, from pictures to answers without heatmaps.
    pub engine: f64,
    /// The engine, from pictures to answers with heatmaps.
    pub engine_explained: f64,
    /// The best known settings of plain libtorch in the engine's precision: batch norms folded,
    /// channels-last; from a prepared tensor to logits.
    pub plain: f64,
    /// The same in fp32.
    pub plain_fp32: f64,
    /// `engine` over `plain`, the median of the rounds' own ratios.
    pub ratio: f64,
}

/// Measures the model at `path`, run as `options` say in batches of `options.max_batch`. Answers are
/// timed with and without heatmaps, whatever the options say.
///
/// # Errors
/// When the model cannot be loaded, or a batch fails.
pub fn engine(path: &Path, options: &EngineOptions, rounds: usize) -> Result<Figures, LoadError> {
    let bare = EngineOptions { explanations: false, ..options.clone() };
    let mut engine = TorchEngine::load(path, &bare)?;
    let mut explained = TorchEngine::load(path, &EngineOptions { explanations: true, ..bare })?;
    let quick = PlainForward::like(&engine, path, None)?;
    let fp32 = PlainForward::like(&engine, path, Some(Kind::Float))?;

    let batch: Vec<NetworkInput> =
        golden::pictures().into_iter().cycle().take(engine.info().max_batch).collect();
    let (quick_input, fp32_input) = (quick.input(&batch)?, fp32.input(&batch)?);
    let rounds = rounds.max(1);
    let mut rates: [Vec<f64>; 4] = Default::default();
    // The first round finds caches cold.
    for round in 0..=rounds {
        let times = [
            timed(|| engine.infer(&batch).map(drop).map_err(LoadError::from))?,
            timed(|| quick.logits(&quick_input).map(drop).map_err(LoadError::from))?,
            timed(|| explained.infer(&batch).map(drop).map_err(LoadError::from))?,
            timed(|| fp32.logits(&fp32_input).map(drop).map_err(LoadError::from))?,
        ];
        if round > 0 {
            for (rates, time) in rates.iter_mut().zip(times) {
                rates.push(batch.len() as f64 / time);
            }
        }
    }
    let mut ratios: Vec<f64> =
        rates[0].iter().zip(&rates[1]).map(|(ours, plain)| ours / plain).collect();
    let ratio = median(&mut ratios);
    let [ours, plain, with_heatmaps, plain_fp32] = rates.each_mut().map(|rates| median(rates));
    Ok(Figures {
        device: engine.info().device.clone(),
        fused: engine.is_fused(),
        threads: engine.threads(),
        batch: batch.len(),
        rounds,
        engine: ours,
        engine_explained: with_heatmaps,
        plain,
        plain_fp32,
        ratio,
    })
}

/// Seconds that `work` took.
fn timed(work: impl FnOnce() -> Result<(), LoadError>) -> Result<f64, LoadError> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64())
}

/// The middle value; of an even number, the upper of the two.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_model::network::Layout;

    #[test]
    fn every_figure_of_a_small_network_is_a_rate() {
        let path =
            std::env::temp_dir().join(format!("lobar-bench-{}.safetensors", std::process::id()));
        lobar_model::weights::random(&path, Layout { blocks: [1, 1, 1, 1], width: 4 }, 1).unwrap();
        let options = EngineOptions { threads: 1, max_batch: 2, ..EngineOptions::default() };
        let figures = engine(&path, &options, 2).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!((figures.batch, figures.rounds, figures.threads), (2, 2, 1));
        let rates = [figures.engine, figures.engine_explained, figures.plain, figures.plain_fp32];
        assert!(
            rates.iter().chain([&figures.ratio]).all(|r| r.is_finite() && *r > 0.0),
            "{figures:?}"
        );
    }
}
