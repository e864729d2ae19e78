//! The training loop.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor, nn};

use super::loader::{Batch, Source, mixed};
use super::optimiser::AdamW;
use super::schedule::{Place, Schedule};
use super::{Epoch, Stage, TrainError, TrainOptions, TrainReport, average, checkpoint, conclude};
use crate::augmentation::Augmentation;
use crate::dataset::{self, Class, Partition, Split};
use crate::evaluation;
use crate::network::Network;
use crate::weights::Weights;

/// What a checkpoint keeps beside tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    /// What the run was asked for, as far as a change would make it another run.
    plan: Plan,
    /// Steps taken.
    step: usize,
    /// Sum of the losses of the running epoch.
    loss_sum: f64,
    /// Steps in that sum.
    loss_count: usize,
    epochs: Vec<Epoch>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    stages: Vec<Stage>,
    batch: usize,
    rate: f64,
    weight_decay: f64,
    smoothing: f64,
    subtype_weight: f64,
    average_decay: f64,
    seed: u64,
    /// Checkpoints written before it was kept were all cut with the first.
    #[serde(default = "first_seed")]
    split_seed: u64,
    bf16: bool,
    pub(super) data_digest: String,
    /// Checkpoints written before it was kept had the default.
    #[serde(default)]
    augmentation: Augmentation,
    /// The weights that it started from, none if from scratch.
    #[serde(default)]
    init_sha256: Option<String>,
}

fn first_seed() -> u64 {
    1
}

/// A network with its weights by name, sorted.
struct Weighted {
    network: Network,
    variables: Vec<(String, Tensor)>,
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

/// Trains until the plan is done, going on with the run in `options.out` if there is one.
/// `on_epoch` is told of every finished epoch.
///
/// # Errors
/// See [`TrainError`].
pub fn train(
    options: &TrainOptions,
    mut on_epoch: impl FnMut(&Epoch),
) -> Result<TrainReport, TrainError> {
    options.check()?;
    crate::allocator::keep_freed_memory();
    tch::set_num_threads(options.threads as i32);
    let samples = dataset::read(&options.data, &Split::ALL)?;
    let data = dataset::partition(&options.data, samples, options.split_seed)?;
    std::fs::create_dir_all(&options.out)
        .map_err(|source| TrainError::Write { path: options.out.clone(), source })?;
    let mut run = Run::new(options, &data)?;
    run.resume_or_start()?;
    let bar = progress_bar(options, run.schedule.steps());
    while let Some(place) = run.schedule.place(run.state.step) {
        run.stage(place.stage, &bar, &mut on_epoch)?;
    }
    bar.finish_and_clear();
    let concluded = conclude::conclude(options, &data, &run.best_path(), &run.state.plan)?;
    Ok(TrainReport {
        weights: run.best_path(),
        model: concluded.model,
        card: concluded.card,
        epochs: run.state.epochs,
        train: data.train.len(),
        validation: data.validation.len(),
        on_validation: concluded.validation,
        on_test: concluded.test,
    })
}

fn progress_bar(options: &TrainOptions, steps: usize) -> ProgressBar {
    let target =
        if options.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} step {pos}/{len}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

struct Run<'a> {
    options: &'a TrainOptions,
    data: &'a Partition,
    schedule: Schedule,
    live: Weighted,
    averaged: Weighted,
    optimiser: AdamW,
    class_weights: [f64; 2],
    state: State,
}

impl<'a> Run<'a> {
    fn new(options: &'a TrainOptions, data: &'a Partition) -> Result<Self, TrainError> {
        let steps_per_epoch = Source::steps(data.train.len(), options.batch);
        if steps_per_epoch == 0 || data.validation.is_empty() {
            let (train, validation) = (data.train.len(), data.validation.len());
            return Err(TrainError::Options(format!(
                "{train} pictures to train on and {validation} for validation are too few for batches of {}",
                options.batch
            )));
        }
        tch::manual_seed(options.seed as i64);
        let live = Weighted::new(options);
        let averaged = Weighted::new(options);
        let optimiser = AdamW::new(
            live.variables
                .iter()
                .map(|(name, value)| (name.clone(), value.shallow_clone()))
                .collect(),
            options.weight_decay,
        );
        let weight = |class: Class| {
            let count = data.train.iter().filter(|sample| sample.class == class).count();
            data.train.len() as f64 / (2.0 * count.max(1) as f64)
        };
        let plan = Plan {
            stages: options.stages.clone(),
            batch: options.batch,
            rate: options.rate,
            weight_decay: options.weight_decay,
            smoothing: options.smoothing,
            subtype_weight: options.subtype_weight,
            average_decay: options.average_decay,
            seed: options.seed,
            split_seed: options.split_seed,
            bf16: options.bf16,
            data_digest: dataset::digest(data.train.iter().chain(&data.validation)),
            augmentation: options.augmentation.clone(),
            init_sha256: None,
        };
        Ok(Self {
            options,
            data,
            schedule: Schedule {
                stages: options.stages.clone(),
                steps_per_epoch,
                peak_rate: options.rate,
            },
            live,
            averaged,
            optimiser,
            class_weights: Class::ALL.map(weight),
            state: State { plan, step: 0, loss_sum: 0.0, loss_count: 0, epochs: Vec::new() },
        })
    }

    fn best_path(&self) -> PathBuf {
        self.options.out.join("best.safetensors")
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.options.out.join("checkpoint.safetensors")
    }

    fn resume_or_start(&mut self) -> Result<(), TrainError> {
        let path = self.checkpoint_path();
        if path.is_file() {
            let mut into: Vec<(String, &mut Tensor)> = Vec::new();
            into.extend(
                self.live.variables.iter_mut().map(|(name, value)| (format!("live.{name}"), value)),
            );
            into.extend(
                self.averaged
                    .variables
                    .iter_mut()
                    .map(|(name, value)| (format!("average.{name}"), value)),
            );
            for parameter in &mut self.optimiser.parameters {
                into.push((format!("first.{}", parameter.name), &mut parameter.first_moment));
                into.push((format!("second.{}", parameter.name), &mut parameter.second_moment));
            }
            let state: State = checkpoint::read(&path, &mut into)?;
            // What it started from is told when it starts, not again when it goes on.
            self.state.plan.init_sha256.clone_from(&state.plan.init_sha256);
            if state.plan != self.state.plan {
                let reason = format!("it is a run of other settings or data: {:?}", state.plan);
                return Err(TrainError::Checkpoint { path, reason });
            }
            tracing::info!(step = state.step, "going on with the run that was found");
            self.state = state;
            return Ok(());
        }
        let options = self.options;
        if let Some(init) = &options.init {
            let weights = Weights::open(init)?;
            self.state.plan.init_sha256 = Some(weights.sha256().to_owned());
            // Weights of this project start the head too; torchvision's have none.
            let features = options.layout.features();
            if weights.tensor("head.bn0.weight", &[features]).is_ok() {
                weights.fill(&self.live.store)?;
            } else {
                weights.fill_trunk(&self.live.store)?;
            }
        }
        tch::no_grad(|| {
            for ((_, average), (_, live)) in
                self.averaged.variables.iter_mut().zip(&self.live.variables)
            {
                average.f_copy_(live)?;
            }
            Ok(())
        })
    }

    fn save(&self) -> Result<(), TrainError> {
        let mut tensors: Vec<(String, &Tensor)> = Vec::new();
        tensors.extend(
            self.live.variables.iter().map(|(name, value)| (format!("live.{name}"), value)),
        );
        tensors.extend(
            self.averaged.variables.iter().map(|(name, value)| (format!("average.{name}"), value)),
        );
        for parameter in &self.optimiser.parameters {
            tensors.push((format!("first.{}", parameter.name), &parameter.first_moment));
            tensors.push((format!("second.{}", parameter.name), &parameter.second_moment));
        }
        checkpoint::write(&self.checkpoint_path(), &tensors, &self.state)
    }

    /// Runs what is left of one stage.
    fn stage(
        &mut self,
        stage: usize,
        bar: &ProgressBar,
        on_epoch: &mut impl FnMut(&Epoch),
    ) -> Result<(), TrainError> {
        let (data, options) = (self.data, self.options);
        let side = options.stages[stage].side;
        let pictures = |samples: &[dataset::Sample]| {
            dataset::pictures(samples, side).map_err(TrainError::Options)
        };
        let source = Source {
            samples: &data.train,
            pictures: pictures(&data.train)?,
            side,
            batch: options.batch,
            seed: options.seed,
            augmentation: &options.augmentation,
        };
        let validation = pictures(&data.validation)?;
        while let Some(place) =
            self.schedule.place(self.state.step).filter(|place| place.stage == stage)
        {
            let started = Instant::now();
            let first = place.batch;
            std::thread::scope(|scope| {
                let batches = source.start(scope, place.epoch, first);
                for batch in batches {
                    self.step(&batch, side)?;
                    self.show(bar, side, started, first);
                    // The end of an epoch is saved once its validation is known.
                    let inside = !self.state.step.is_multiple_of(self.schedule.steps_per_epoch);
                    if inside && self.state.step.is_multiple_of(options.checkpoint_every) {
                        self.save()?;
                    }
                }
                Ok::<(), TrainError>(())
            })?;
            let epoch = self.finish_epoch(place, side, started, &validation)?;
            bar.suspend(|| on_epoch(&epoch));
            if self.is_stale(stage) {
                self.state.step = self.schedule.stage_start(stage + 1);
            }
            self.save()?;
        }
        Ok(())
    }

    fn show(&self, bar: &ProgressBar, side: usize, started: Instant, first: usize) {
        bar.set_position(self.state.step as u64);
        let done = (self.state.step - 1) % self.schedule.steps_per_epoch + 1 - first;
        let speed = (done * self.options.batch) as f64 / started.elapsed().as_secs_f64();
        let loss = self.state.loss_sum / self.state.loss_count.max(1) as f64;
        bar.set_message(format!("{side} px, loss {loss:.4}, {speed:.1} images/s"));
    }

    /// Learns from one batch.
    fn step(&mut self, batch: &Batch, side: usize) -> Result<(), TrainError> {
        let options = self.options;
        let step = self.state.step;
        // Dropout draws from libtorch's generator; seeding it by step makes a resumed run equal.
        tch::manual_seed(mixed(options.seed, step as u64, 0) as i64);
        let kind = if options.bf16 { Kind::BFloat16 } else { Kind::Float };
        let count = batch.pneumonia.len() as i64;
        let images =
            Tensor::f_from_slice(&batch.images)?.f_view([count, 1, side as i64, side as i64])?;
        let images = images.f_to_device(options.device)?.f_to_kind(kind)?;
        let output = self.live.network.forward(&images, true);
        let loss = self.loss(batch, &output.pneumonia, &output.bacterial)?;
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, loss: value });
        }
        let gradients = self.optimiser.gradients(&loss)?;
        self.optimiser.step(&gradients, step, self.schedule.rate(step))?;
        let stage_start =
            self.schedule.place(step).map_or(0, |place| self.schedule.stage_start(place.stage));
        if step.is_multiple_of(average::EVERY) {
            average::follow(
                &mut self.averaged.variables,
                &self.live.variables,
                step - stage_start,
                options.average_decay,
            )?;
        }
        self.state.step += 1;
        self.state.loss_sum += value;
        self.state.loss_count += 1;
        Ok(())
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

    fn finish_epoch(
        &mut self,
        place: Place,
        side: usize,
        started: Instant,
        validation: &[Vec<u8>],
    ) -> Result<Epoch, TrainError> {
        let training: Duration = started.elapsed();
        let kind = if self.options.bf16 { Kind::BFloat16 } else { Kind::Float };
        let scores = evaluation::score(
            &self.averaged.network,
            &self.data.validation,
            validation,
            side,
            kind,
            self.options.device,
        )?;
        let auc = scores.auc().unwrap_or(0.5);
        let best = self.of_stage(place.stage).all(|epoch| auc > epoch.auc);
        let steps = self.schedule.steps_per_epoch - place.batch;
        let epoch = Epoch {
            epoch: place.epoch + 1,
            of: self.schedule.epochs(),
            side,
            loss: self.state.loss_sum / self.state.loss_count.max(1) as f64,
            rate: self.schedule.rate(self.state.step - 1),
            images_per_second: (steps * self.options.batch) as f64 / training.as_secs_f64(),
            seconds: started.elapsed().as_secs_f64(),
            auc,
            accuracy: scores.accuracy(),
            cross_entropy: scores.cross_entropy(),
            subtype_auc: scores.subtype_auc(),
            best,
        };
        if best {
            let tensors: Vec<(String, &Tensor)> =
                self.averaged.variables.iter().map(|(name, value)| (name.clone(), value)).collect();
            checkpoint::write(&self.best_path(), &tensors, &epoch)?;
        }
        (self.state.loss_sum, self.state.loss_count) = (0.0, 0);
        self.state.epochs.push(epoch.clone());
        Ok(epoch)
    }

    /// The finished epochs of a stage.
    fn of_stage(&self, stage: usize) -> impl Iterator<Item = &Epoch> {
        let (from, to) = (self.schedule.stage_start(stage), self.schedule.stage_start(stage + 1));
        let per_epoch = self.schedule.steps_per_epoch;
        self.state
            .epochs
            .iter()
            .filter(move |epoch| (from / per_epoch + 1..=to / per_epoch).contains(&epoch.epoch))
    }

    /// Whether a stage has gone on for too long without a better validation AUC.
    fn is_stale(&self, stage: usize) -> bool {
        let since_best = self
            .of_stage(stage)
            .collect::<Vec<_>>()
            .iter()
            .rev()
            .take_while(|epoch| !epoch.best)
            .count();
        since_best >= self.options.patience
    }
}
