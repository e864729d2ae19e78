//! A model that knows nothing: for tests of everything around the network, and for benchmarks.

use std::path::Path;

use tch::{Device, Kind, TchError, Tensor, nn};

use super::{WeightsError, torch, write};
use crate::card::{Card, Metrics, Preprocessing, Training};
use crate::golden;
use crate::network::{Layout, Network};

/// Standard deviation of a random model's logits over the golden pictures.
const LOGIT_SPREAD: f64 = 0.5;

/// Writes a complete model file with random weights to `path`: it loads, runs and answers like a
/// trained one, its answers differ between pictures, and it says in its card that they mean
/// nothing. The same seed gives the same model, up to rounding.
///
/// # Errors
/// When the file cannot be written.
pub fn random(path: &Path, layout: Layout, seed: u64) -> Result<(), WeightsError> {
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::with_layout(&vs.root(), layout);
    let _no_grad = tch::no_grad_guard();
    let mut variables: Vec<_> = vs.variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    let mut numbers = Numbers(seed);
    for (name, variable) in &mut variables {
        let shape = variable.size();
        let (low, high) = range(name, &shape);
        let values: Vec<f32> = (0..variable.numel()).map(|_| numbers.between(low, high)).collect();
        Tensor::f_from_slice(&values)
            .and_then(|values| variable.f_copy_(&values.f_reshape(shape.as_slice())?))
            .map_err(torch(path))?;
    }
    spread_answers(&network, &vs).map_err(torch(path))?;
    write(path, &vs, Some(&random_card(layout, seed)))
}

/// The card of a model of random weights.
#[must_use]
pub fn random_card(layout: Layout, seed: u64) -> Card {
    let chance = Metrics {
        images: 0,
        auc: 0.5,
        accuracy: 0.5,
        sensitivity: 0.5,
        specificity: 0.5,
        ..Metrics::default()
    };
    Card {
        version: format!("random-{seed}"),
        labels: ["NORMAL", "PNEUMONIA"].map(str::to_owned),
        sublabels: ["VIRAL", "BACTERIAL"].map(str::to_owned),
        preprocessing: Preprocessing::current(crate::preprocessing::SIDE as i64),
        architecture: None,
        blocks: layout.blocks,
        width: layout.width,
        threshold: Some(0.5),
        temperature: Some(1.0),
        training: Training::default(),
        validation: Some(chance.clone()),
        test: Some(chance),
        novelty: None,
        precisions: None,
        score_is_probability: None,
        site: None,
        population: "None: random weights that know nothing. For tests only.".to_owned(),
        ages: None,
        created_at: "1970-01-01T00:00:00Z".to_owned(),
    }
}

/// Where the values of a variable lie, so that activations neither vanish nor explode and no batch
/// norm is the identity.
fn range(name: &str, shape: &[i64]) -> (f32, f32) {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    match (leaf, shape) {
        ("running_mean", _) => (-0.3, 0.3),
        ("running_var", _) => (0.6, 1.8),
        ("bias", _) => (-0.2, 0.2),
        // A residual branch adds less than what it adds to.
        (_, [_]) if name.ends_with("bn3.weight") => (0.2, 0.6),
        (_, [_]) => (0.6, 1.4),
        // Kaiming's uniform: the variance survives a ReLU.
        (_, [_, inputs @ ..]) => {
            let bound = (6.0 / inputs.iter().product::<i64>() as f32).sqrt();
            (-bound, bound)
        }
        (_, []) => (0.0, 1.0),
    }
}

/// A random trunk gives nearly the same features for every picture. The head's first batch norm
/// is set to the statistics of the golden pictures, as training would have done, and the output
/// layers to a fixed spread over them: answers differ.
fn spread_answers(network: &Network, vs: &nn::VarStore) -> Result<(), TchError> {
    let variables = vs.variables();
    let set = |name: &str, value: &Tensor| match variables.get(name) {
        Some(variable) => variable.shallow_clone().f_copy_(value),
        None => Ok(()),
    };
    let over = [0i64];
    let map = network.trunk_features(&golden::plain_input()?);
    let pooled = map.f_mean_dim([2i64, 3].as_slice(), false, Kind::Float)?;
    set("head.bn0.running_mean", &pooled.f_mean_dim(over.as_slice(), false, Kind::Float)?)?;
    // Never so small that rounding is mistaken for a difference between pictures.
    let spread = pooled.f_var_dim(over.as_slice(), true, false)?;
    set("head.bn0.running_var", &spread.f_maximum(&spread.f_mean(Kind::Float)?)?)?;
    let logits = network.head_from_features(&map);
    for (output, logits) in [("pneumonia", logits.pneumonia), ("bacterial", logits.bacterial)] {
        let gain = LOGIT_SPREAD / logits.f_std(true)?.f_double_value(&[])?;
        let (weight, bias) = (format!("head.{output}.weight"), format!("head.{output}.bias"));
        let centred = variables[&bias].f_sub(&logits.f_mean(Kind::Float)?)?;
        set(&weight, &variables[&weight].f_mul_scalar(gain)?)?;
        set(&bias, &centred.f_mul_scalar(gain)?)?;
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn between(&mut self, low: f32, high: f32) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        low + (high - low) * ((z >> 40) as f32 / (1u64 << 24) as f32)
    }
}
