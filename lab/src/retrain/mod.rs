//! Retraining: from doctors' labels to a candidate, in one step that a scheduler takes again and again.
//!
//! 1. Exports the labelled images.
//! 2. With too few new labels, says so and ends.
//! 3. Fixes what the run learns and begins with (`OUT/run`), so that a killed one goes on as it was, whatever
//!    was labelled or activated meanwhile.
//! 4. Trains on the base and the new images; measures on the base's validation and test images.
//! 5. Registers the result as a candidate, and keeps the run in `OUT/runs/VERSION`.
//!
//! Each step that was done is left as it is the next time. Nothing is activated.

mod comparison;
mod course;
mod folder;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lobar_console::noteln;
use lobar_model::engine::EngineOptions;
use tch::Device;

use crate::error::LabError;
use crate::labelled::{Folder, LabelPorts, export};
use crate::training::ResolutionStage;

pub use course::check_base;
pub use folder::RetrainFolder;
use folder::{Labels, Run, RunInputs};

/// What to learn, and how.
#[derive(Clone, Debug)]
pub struct RetrainOptions {
    /// Data folder to learn beside the new labels; its validation and test images stay what is chosen and
    /// measured on.
    pub base: PathBuf,
    /// Labels, new or changed since the last candidate, below which nothing is done.
    pub at_least: usize,
    /// Weights to start from; the active model's when left out.
    pub init: Option<PathBuf>,
    /// Resolutions and their epochs in order; 3 epochs at 224 when empty.
    pub stages: Vec<ResolutionStage>,
    /// Images a step.
    pub batch: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Seed of everything random but the cut of the data.
    pub seed: u64,
    /// Seed by which validation is cut out of the base; that of the weights to start from when left out.
    pub split_seed: Option<u64>,
    /// Whom the images show; what the weights to start from say of theirs when left out.
    pub population: Option<String>,
    /// Compute in bf16 where that is quicker.
    pub bf16: bool,
    /// Threads that read and change images ahead of the network.
    pub loaders: usize,
    /// Threads that compute; all cores when left out.
    pub threads: Option<usize>,
    /// Where to train.
    pub device: Device,
    /// Revision of the program, for the record.
    pub revision: Option<String>,
    /// How the model that was active is run when it is compared.
    pub engine: EngineOptions,
}

/// The registered models, as retraining needs them.
#[async_trait]
pub trait Models: Sync {
    /// Writes the weights of the active model to `path`; its version, or none where the shipped weights were
    /// taken because no model ever was active.
    async fn active(&self, path: &Path) -> Result<Option<String>, LabError>;

    /// Stores the weights file `model` and registers it as a candidate; what to tell of it.
    async fn register(&self, model: &Path) -> Result<String, LabError>;
}

/// Takes all steps that are due. `tell` is given what came of it, a text at a time; progress goes to
/// standard error.
///
/// # Errors
/// When labels, images or models cannot be had, the training fails, or the candidate is refused. The next call
/// goes on where this one was.
pub async fn retrain(
    options: &RetrainOptions,
    source: &LabelPorts,
    models: &dyn Models,
    place: &RetrainFolder,
    tell: &dyn Fn(&str),
) -> Result<(), LabError> {
    let run = match place.run()? {
        Some(run) => {
            noteln!("going on with the run in {}", run.path().display());
            run
        }
        None => match begin(options, source, models, place, tell).await? {
            Some(run) => run,
            None => return Ok(()),
        },
    };
    // Hours: the runtime's other threads go on meanwhile.
    let (model, compared) = tokio::task::block_in_place(|| {
        let model = course::train(options, &run)?;
        Ok::<_, LabError>((model, comparison::compare(options, &run)))
    })?;
    let registered = models.register(&model).await?;
    match compared {
        Ok(compared) => tell(&compared),
        Err(error) => noteln!("lobar: the candidate is not compared: {error}"),
    }
    let kept = place.finish(&run, &model)?;
    tell(&registered);
    tell(&format!("Its report and its weights are in {}.", kept.display()));
    Ok(())
}

/// Begins a run; `None` while there is too little to learn.
async fn begin(
    options: &RetrainOptions,
    source: &LabelPorts,
    models: &dyn Models,
    place: &RetrainFolder,
    tell: &dyn Fn(&str),
) -> Result<Option<Run>, LabError> {
    let mut folder = Folder::open(&place.labelled())?;
    let exported = export(source, &mut folder).await?;
    exported.name_unreadable();
    noteln!("{exported}");
    exported.refuse_absence()?;
    let labels: Labels = folder
        .pictures
        .iter()
        .map(|(id, picture)| (id.to_string(), picture.class.folder().to_owned()))
        .collect();
    let learned = place.learned()?;
    let new = labels.iter().filter(|(id, label)| learned.get(*id) != Some(*label)).count();
    if new < options.at_least || labels.is_empty() {
        tell(&format!(
            "{new} new labels since the last candidate, fewer than {}: nothing was done.",
            options.at_least.max(1)
        ));
        return Ok(None);
    }
    let draft = place.draft()?;
    folder.link_to(&draft.data())?;
    let active = models.active(&draft.active()).await?;
    place.begin(draft, &RunInputs { active, new, labels }).map(Some)
}
