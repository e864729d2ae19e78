//! The training loop.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tch::{Kind, Tensor};

use super::learner::Learner;
use super::loader::DataLoader;
use super::plan::{Plan, State};
use super::schedule::{Position, Schedule};
use super::{
    Epoch, RunRecord, TrainError, TrainOptions, TrainReport, balance, checkpoint, conclude,
};
use crate::dataset::{self, Joined, Partition, Split};
use crate::evaluation;
use crate::novelty::{Outliers, Shown};

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
    lobar_model::allocator::keep_freed_memory();
    tch::set_num_threads(options.threads as i32);
    let samples = dataset::read(&options.data, &Split::ALL)?;
    let mut data = dataset::partition(&options.data, samples, options.split_seed)?;
    let mut more = Vec::new();
    for folder in &options.more {
        more.extend(dataset::read(folder, &[Split::Train])?);
    }
    let joined = data.join(more);
    // Before a night's work, not after it.
    let outliers = options.outliers.as_deref().map(Outliers::read).transpose()?;
    std::fs::create_dir_all(&options.out)
        .map_err(|source| TrainError::Write { path: options.out.clone(), source })?;
    let mut run = Run::new(options, &data, &joined)?;
    run.resume_or_start()?;
    let bar = progress_bar(options, run.schedule.steps());
    while let Some(place) = run.schedule.place(run.state.step) {
        run.stage(place.stage, &bar, &mut on_epoch)?;
    }
    bar.finish_and_clear();
    let concluded = conclude::conclude(
        options,
        Shown { data: &data, outliers: outliers.as_ref() },
        &run.best_path(),
        &run.state.plan,
    )?;
    run.record.finish(&concluded.card);
    run.record.write(&options.out)?;
    Ok(TrainReport {
        weights: run.best_path(),
        model: concluded.model,
        card: concluded.card,
        epochs: run.state.epochs,
        train: data.train.len(),
        validation: data.validation.len(),
        joined,
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
    learner: Learner<'a>,
    /// Of each training picture in the loss.
    weights: Vec<f32>,
    state: State,
    record: RunRecord,
}

impl<'a> Run<'a> {
    fn new(
        options: &'a TrainOptions,
        data: &'a Partition,
        joined: &Joined,
    ) -> Result<Self, TrainError> {
        let views = options.distillation.views;
        let steps_per_epoch = DataLoader::steps(data.train.len(), options.batch, views);
        if steps_per_epoch == 0 || data.validation.is_empty() {
            let (train, validation) = (data.train.len(), data.validation.len());
            return Err(TrainError::Options(format!(
                "{train} pictures to train on and {validation} for validation are too few for batches of {}",
                options.batch
            )));
        }
        let digest = dataset::digest(data.train.iter().chain(&data.validation));
        let mut state = State::new(Plan::new(options, digest, joined));
        let learner = Learner::new(options, &state.plan.data_digest)?;
        state.plan.teacher_sha256 = learner.teacher_sha256();
        let record =
            RunRecord::begin(options, &state.plan, data.train.len(), data.validation.len())?;
        Ok(Self {
            options,
            data,
            schedule: Schedule {
                stages: options.stages.clone(),
                steps_per_epoch,
                peak_rate: options.rate,
                decay: options.decay,
            },
            learner,
            weights: balance::weights(&data.train, options.balance_groups),
            state,
            record,
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
        if !path.is_file() {
            if !self.options.init.is_empty() {
                let sha256 = self.learner.begin_with(&self.options.init)?;
                self.record.settings.insert("init_sha256".to_owned(), sha256.clone().into());
                self.state.plan.init_sha256 = Some(sha256);
            }
            self.learner.average_anew()?;
            return self.record.write(&self.options.out);
        }
        let state = self.learner.restore(&path)?;
        // What it started from is told when it starts, not again when it goes on.
        self.state.plan.init_sha256.clone_from(&state.plan.init_sha256);
        if state.plan != self.state.plan {
            let reason = format!("it is a run of other settings or data: {:?}", state.plan);
            return Err(TrainError::Checkpoint { path, reason });
        }
        tracing::info!(step = state.step, "going on with the run that was found");
        self.state = state;
        // The record tells of the run as it began, but never of more than the checkpoint knows.
        if let Ok(record) = RunRecord::read(&self.options.out) {
            self.record = record;
        }
        self.record.epochs.clone_from(&self.state.epochs);
        Ok(())
    }

    fn save(&self) -> Result<(), TrainError> {
        self.learner.save(&self.checkpoint_path(), &self.state)
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
        self.learner.freeze(options.stages[stage].last_layers)?;
        let pictures = |samples: &[dataset::Sample]| {
            dataset::pictures(samples, side).map_err(TrainError::Options)
        };
        let weights = self.weights.clone();
        let source = DataLoader {
            samples: &data.train,
            pictures: pictures(&data.train)?,
            weights: &weights,
            side,
            batch: options.batch,
            views: options.distillation.views,
            seed: options.seed,
            augmentation: &options.augmentation,
        };
        let validation = pictures(&data.validation)?;
        let stage_start = self.schedule.stage_start(stage);
        while let Some(place) =
            self.schedule.place(self.state.step).filter(|place| place.stage == stage)
        {
            let started = Instant::now();
            let first = place.batch;
            std::thread::scope(|scope| {
                for batch in source.start(scope, place.epoch, first, options.loaders) {
                    let step = self.state.step;
                    let rate = self.rate(step);
                    let loss = self.learner.step(&batch, step, step - stage_start, rate)?;
                    self.state.step += 1;
                    self.state.loss_sum += loss;
                    self.state.loss_count += 1;
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

    fn rate(&self, step: usize) -> f64 {
        self.schedule.rate(step, self.state.epochs.iter().map(|epoch| epoch.best))
    }

    fn show(&self, bar: &ProgressBar, side: usize, started: Instant, first: usize) {
        bar.set_position(self.state.step as u64);
        let done = (self.state.step - 1) % self.schedule.steps_per_epoch + 1 - first;
        let speed = (done * self.options.batch) as f64 / started.elapsed().as_secs_f64();
        let loss = self.state.loss_sum / self.state.loss_count.max(1) as f64;
        bar.set_message(format!("{side} px, loss {loss:.4}, {speed:.1} images/s"));
    }

    fn finish_epoch(
        &mut self,
        place: Position,
        side: usize,
        started: Instant,
        validation: &[Vec<u8>],
    ) -> Result<Epoch, TrainError> {
        let training: Duration = started.elapsed();
        let kind = if self.options.bf16 { Kind::BFloat16 } else { Kind::Float };
        let scores = evaluation::score(
            &self.learner.averaged.network,
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
            rate: self.rate(self.state.step - 1),
            images_per_second: (steps * self.options.batch) as f64 / training.as_secs_f64(),
            seconds: started.elapsed().as_secs_f64(),
            auc,
            accuracy: scores.accuracy(),
            cross_entropy: scores.cross_entropy(),
            subtype_auc: scores.subtype_auc(),
            best,
        };
        if best {
            let averaged = &self.learner.averaged.variables;
            let tensors: Vec<(String, &Tensor)> =
                averaged.iter().map(|(name, value)| (name.clone(), value)).collect();
            checkpoint::write(&self.best_path(), &tensors, &epoch)?;
        }
        (self.state.loss_sum, self.state.loss_count) = (0.0, 0);
        self.state.epochs.push(epoch.clone());
        self.record.epochs.push(epoch.clone());
        self.record.write(&self.options.out)?;
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
