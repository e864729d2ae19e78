//! What learns: the network, the moving average of its weights, and the optimiser.

use std::path::{Path, PathBuf};

use lobar_model::network::Network;
use lobar_model::weights::Weights;
use tch::{Kind, Tensor, nn};

use super::loader::{Batch, mixed};
use super::loss::Loss;
use super::optimiser::AdamW;
use super::plan::State;
use super::teacher::Teachers;
use super::{TrainError, TrainOptions, average, checkpoint, frozen};

/// A network with its weights by name, sorted.
pub(super) struct Weighted {
    pub(super) network: Network,
    pub(super) variables: Vec<(String, Tensor)>,
    store: nn::VarStore,
}

impl Weighted {
    fn new(options: &TrainOptions) -> Self {
        let store = nn::VarStore::new(options.device);
        let network = Network::of(&store.root(), options.architecture);
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
    loss: Loss,
    teachers: Option<Teachers>,
}

impl<'a> Learner<'a> {
    /// Freshly initialised weights, and the teachers of a run on data of this digest.
    pub(super) fn new(options: &'a TrainOptions, data_sha256: &str) -> Result<Self, TrainError> {
        let teachers = Teachers::open(options, data_sha256)?;
        tch::manual_seed(options.seed as i64);
        let (live, averaged) = (Weighted::new(options), Weighted::new(options));
        let variables =
            live.variables.iter().map(|(name, value)| (name.clone(), value.shallow_clone()));
        let optimiser = AdamW::new(variables.collect(), options.weight_decay);
        let loss = Loss::new(options);
        Ok(Self { options, live, averaged, optimiser, loss, teachers })
    }

    /// SHA-256s of the teachers, none without any.
    pub(super) fn teacher_sha256(&self) -> Option<String> {
        self.teachers.as_ref().map(Teachers::sha256)
    }

    /// Takes the weights of a file as those to begin with, head and all if it has one of ours; of several
    /// files their mean, which of runs that began alike is often better than each (model soups, Wortsman et al.
    /// 2022, <https://arxiv.org/abs/2203.05482>). Says their SHA-256s.
    pub(super) fn begin_with(&mut self, files: &[PathBuf]) -> Result<String, TrainError> {
        let mut digests = Vec::new();
        for (place, file) in files.iter().enumerate() {
            let weights = Weights::open(file)?;
            let one = if place == 0 { &self.live } else { &Weighted::new(self.options) };
            let features = self.options.architecture.features();
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
        let told = match &self.teachers {
            Some(teachers) => Some(teachers.answers(&images, options.distillation.views)?),
            None => None,
        };
        let output = self.live.network.forward(&images, true);
        let loss = self.loss.of(batch, &output, told.as_ref())?;
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
