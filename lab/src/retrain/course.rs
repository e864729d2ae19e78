//! The training of a run.

use std::path::{Path, PathBuf};

use lobar_console::noteln;
use lobar_core::failure::chain;
use lobar_model::card::Card;
use lobar_model::network::{Architecture, Layout};
use lobar_model::weights::Weights;

use super::RetrainOptions;
use super::folder::Run;
use crate::dataset::{Class, Split};
use crate::error::LabError;
use crate::training::{ResolutionStage, RunRecord, TrainOptions, train as run_to_its_end};

/// What is said of the population once doctors' labels are among the training images.
const AND_LABELLED_HERE: &str = "And images of this installation, as its doctors labelled them.";

/// Refuses a base without test images: a model without figures on them cannot be registered.
pub fn check_base(base: &Path) -> Result<(), LabError> {
    for split in [Split::Train, Split::Test] {
        for class in Class::ALL {
            let at = base.join(split.name()).join(class.folder());
            if !std::fs::read_dir(&at).is_ok_and(|mut files| files.next().is_some()) {
                return Err(LabError::usage(format!(
                    "--base: {} holds no images; a base has {{train,test}}/{{NORMAL,PNEUMONIA}}",
                    at.display()
                )));
            }
        }
    }
    Ok(())
}

/// Trains until the plan is done, or goes on; where the model is.
pub(crate) fn train(args: &RetrainOptions, run: &Run) -> Result<PathBuf, LabError> {
    let finished = RunRecord::read(&run.training()).is_ok_and(|record| record.result.is_some());
    if finished {
        return Ok(run.training().join("model.safetensors"));
    }
    let options = options(args, run)?;
    let report = run_to_its_end(&options, |epoch| noteln!("{epoch}"));
    let report = report.map_err(|e| LabError::failed(chain(&e)))?;
    let joined = &report.joined;
    noteln!(
        "trained on {} images, {} of them labelled here; {} were left out because validation or test has \
         them, {} because the base has them to train on",
        report.train,
        joined.added,
        joined.held_out,
        joined.known
    );
    Ok(report.model)
}

fn options(args: &RetrainOptions, run: &Run) -> Result<TrainOptions, LabError> {
    let card = card_to_begin_with(args, run)?;
    let mut options = TrainOptions::new(&args.base, run.training());
    options.more = vec![run.data()];
    options.split_seed = split_seed(args, card.as_ref());
    options.stages = match args.stages.is_empty() {
        true => vec![ResolutionStage::new(224, 3)],
        false => args.stages.clone(),
    };
    options.batch = args.batch;
    options.rate = args.rate;
    options.seed = args.seed;
    options.loaders = args.loaders;
    options.bf16 = args.bf16;
    options.revision = args.revision.clone();
    if let Some(threads) = args.threads {
        options.threads = threads;
    }
    options.device = args.device;
    if let Some(card) = &card {
        options.architecture =
            Architecture::ResNet(Layout { blocks: card.blocks, width: card.width });
        options.population.clone_from(&card.population);
    }
    if !options.population.ends_with(AND_LABELLED_HERE) {
        options.population = format!("{} {AND_LABELLED_HERE}", options.population);
    }
    if let Some(population) = &args.population {
        options.population.clone_from(population);
    }
    options.init = vec![init(args, run)];
    Ok(options)
}

/// The weights that the run starts from.
fn init(args: &RetrainOptions, run: &Run) -> PathBuf {
    args.init.clone().unwrap_or_else(|| run.active())
}

/// Their card, if they carry one.
pub(crate) fn card_to_begin_with(
    args: &RetrainOptions,
    run: &Run,
) -> Result<Option<Card>, LabError> {
    let weights = Weights::open(&init(args, run)).map_err(|e| LabError::failed(chain(&e)))?;
    Ok(weights.card().cloned())
}

/// The seed by which validation is cut out of the base: the one that the weights were trained with, since they
/// have learned the rest.
pub(crate) fn split_seed(args: &RetrainOptions, card: Option<&Card>) -> u64 {
    let of_card = card.and_then(|card| card.training.settings.get("split_seed")?.as_u64());
    args.split_seed.or(of_card).unwrap_or(1)
}
