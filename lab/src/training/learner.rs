//! What learns: the network, the moving average of its weights, and the optimiser.

use std::path::{Path, PathBuf};

use lobar_model::network::Network;
use lobar_model::weights::Weights;
use tch::{Kind, Reduction, Tensor, nn};

use super::loader::{Batch, mixed};
use super::optimiser::AdamW;
use super::plan::State;
use super::{TrainError, TrainOptions, average, checkpoint, frozen};
use crate::dataset::{Class, Sample};

/// A network with its weights by name, sorted.
pub(super) struct Weighted {
    pub(super) network: Network,
    pub(super) variables: Vec<(String, Tensor)>,
    store: nn::VarStore,
}

impl Weighted {
    fn new(options: &TrainOptions) -> Self {
        let store = nn::VarStore::new(options.device);
        let network = Network::with_layout(&store.root(), options.layout);
        let mut variables: Vec<(String, Tensor)> = store.variables().into_iter().collect();
        variables.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { network, variables, store }
    }
}

/// See the module's documentation.
pub(super) struct Learner<'a> {
    options: &'a TrainOptions,
    live: Weighted,
    /// What is evaluated and kept.
    pub(super) averaged: Weighted,
    optimiser: AdamW,
    /// By class index: each class weighs the same over the training set.
    class_weights: [f64; 2],
}

impl<'a> Learner<'a> {
    /// Freshly initialised weights.
    pub(super) fn new(options: &'a TrainOptions, train: &[Sample]) -> Self {
        tch::manual_seed(options.seed as i64);
        let (live, averaged) = (Weighted::new(options), Weighted::new(options));
        let variables =
            live.variables.iter().map(|(name, value)| (name.clone(), value.shallow_clone()));
        let optimiser = AdamW::new(variables.collect(), options.weight_decay);
        let weight = |class: Class| {
            let count = train.iter().filter(|sample| sample.class == class).count();
            train.len() as f64 / (2.0 * count.max(1) as f64)
        };
        Self { options, live, averaged, optimiser, class_weights: Class::ALL.map(weight) }
    }

    /// Takes the weights of a file as those to begin with, head and all if it has one of ours; of several
    /// files their mean, which of runs that began alike is often better than each (model soups, Wortsman et al.
    /// 2022, <https://arxiv.org/abs/2203.05482>). Says their SHA-256s.
    pub(super) fn begin_with(&mut self, files: &[PathBuf]) -> Result<String, TrainError> {
        let mut digests = Vec::new();
        for (place, file) in files.iter().enumerate() {
            let weights = Weights::open(file)?;
            let one = if place == 0 { &self.live } else { &Weighted::new(self.options) };
            let features = self.options.layout.features();
            if weights.tensor("head.bn0.weight", &[features]).is_ok() {
                weights.fill(&one.store)?;
            } else {
                weights.fill_trunk(&one.store)?;
            }
            if place > 0 {
                let share = 1.0 / (place + 1) as f64;
                let pairs = self.live.variables.iter().zip(&one.variables);
                for ((_, mean), (_, one)) in pairs {
                    tch::no_grad(|| mean.shallow_clone().f_lerp_(one, share).map(drop))?;
                }
            }
            digests.push(weights.sha256().to_owned());
        }
        Ok(digests.join(","))
    }

    /// Lets the average be the weights themselves.
    pub(super) fn average_anew(&mut self) -> Result<(), TrainError> {
        tch::no_grad(|| {
            let pairs = self.averaged.variables.iter_mut().zip(&self.live.variables);
            for ((_, average), (_, live)) in pairs {
                average.f_copy_(live)?;
            }
            Ok(())
        })
    }

    /// Lets the last layers learn, or all.
    pub(super) fn freeze(&self, last: Option<usize>) -> Result<(), TrainError> {
        Ok(frozen::freeze(&self.live.variables, last)?)
    }

    /// Learns from one batch at this rate, and says the loss. `step` is counted over the run, `since` from
    /// the stage's first.
    pub(super) fn step(
        &mut self,
        batch: &Batch,
        step: usize,
        since: usize,
        rate: f64,
    ) -> Result<f64, TrainError> {
        let options = self.options;
        // Dropout draws from libtorch's generator; seeding it by step makes a resumed run equal.
        tch::manual_seed(mixed(options.seed, step as u64, 0) as i64);
        let kind = if options.bf16 { Kind::BFloat16 } else { Kind::Float };
        let count = batch.pneumonia.len() as i64;
        let side = ((batch.images.len() / batch.pneumonia.len()) as f64).sqrt() as i64;
        let images = Tensor::f_from_slice(&batch.images)?.f_view([count, 1, side, side])?;
        let images = images.f_to_device(options.device)?.f_to_kind(kind)?;
        let output = self.live.network.forward(&images, true);
        let loss = self.loss(batch, &output.pneumonia, &output.bacterial)?;
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, loss: value });
        }
        let gradients = self.optimiser.gradients(&loss)?;
        self.optimiser.step(&gradients, step, rate)?;
        if step.is_multiple_of(average::EVERY) {
            let (averages, live) = (&mut self.averaged.variables, &self.live.variables);
            average::follow(averages, live, since, options.average_decay)?;
        }
        Ok(value)
    }

    /// Smoothed cross-entropy of pneumonia, each class weighing the same over the training set, plus
    /// that of bacterial against viral over the pictures where the label tells.
    fn loss(
        &self,
        batch: &Batch,
        pneumonia: &Tensor,
        bacterial: &Tensor,
    ) -> Result<Tensor, TrainError> {
        let options = self.options;
        let smoothing = options.smoothing as f32;
        let smooth = |labels: &[f32]| -> Vec<f32> {
            labels.iter().map(|label| label * (1.0 - smoothing) + smoothing / 2.0).collect()
        };
        let on_device = |values: &[f32]| Tensor::f_from_slice(values)?.f_to_device(options.device);
        let weights: Vec<f32> = batch
            .pneumonia
            .iter()
            .map(|&label| self.class_weights[usize::from(label > 0.5)] as f32)
            .collect();
        let main = pneumonia.f_binary_cross_entropy_with_logits(
            &on_device(&smooth(&batch.pneumonia))?,
            Some(&on_device(&weights)?),
            None::<&Tensor>,
            Reduction::Mean,
        )?;
        let told: Vec<f32> =
            batch.bacterial.iter().map(|&label| f32::from(u8::from(label != 0.5))).collect();
        let count = told.iter().sum::<f32>().max(1.0);
        let second = bacterial.f_binary_cross_entropy_with_logits(
            &on_device(&smooth(&batch.bacterial))?,
            Some(&on_device(&told)?),
            None::<&Tensor>,
            Reduction::Sum,
        )?;
        Ok(main.f_add(&second.f_mul_scalar(options.subtype_weight / f64::from(count))?)?)
    }

    /// Writes all of it, and the state, to a checkpoint.
    pub(super) fn save(&self, path: &Path, state: &State) -> Result<(), TrainError> {
        let mut tensors: Vec<(String, &Tensor)> = Vec::new();
        for (prefix, weighted) in [("live", &self.live), ("average", &self.averaged)] {
            let variables = weighted.variables.iter();
            tensors.extend(variables.map(|(name, value)| (format!("{prefix}.{name}"), value)));
        }
        for parameter in &self.optimiser.parameters {
            tensors.push((format!("first.{}", parameter.name), &parameter.first_moment));
            tensors.push((format!("second.{}", parameter.name), &parameter.second_moment));
        }
        checkpoint::write(path, &tensors, state)
    }

    /// Reads all of it from a checkpoint, and gives back the state.
    pub(super) fn restore(&mut self, path: &Path) -> Result<State, TrainError> {
        let mut into: Vec<(String, &mut Tensor)> = Vec::new();
        for (prefix, weighted) in [("live", &mut self.live), ("average", &mut self.averaged)] {
            let variables = weighted.variables.iter_mut();
            into.extend(variables.map(|(name, value)| (format!("{prefix}.{name}"), value)));
        }
        for parameter in &mut self.optimiser.parameters {
            into.push((format!("first.{}", parameter.name), &mut parameter.first_moment));
            into.push((format!("second.{}", parameter.name), &mut parameter.second_moment));
        }
        checkpoint::read(path, &mut into)
    }
}
