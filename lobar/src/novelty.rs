//! `lobar novelty`: the check that says what a model was not trained for.

use std::path::Path;

use lobar_console::outln;
use lobar_lab::dataset::Split;
use lobar_lab::novelty::{Outliers, Shown, fit, trial};
use lobar_model::engine::TorchEngine;
use serde_json::json;

use crate::cli;
use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::{model_file, training_data};

/// Fits the check to a model's own training pictures, or says what it does.
pub fn run(args: &cli::Novelty) -> Result<(), Failure> {
    match args {
        cli::Novelty::Fit { data, out, split_seed, name, outliers, engine } => {
            let outliers = films(outliers)?;
            fit_file(data, out, *split_seed, name.as_deref(), outliers.as_ref(), engine)
        }
        cli::Novelty::Report { data, split, split_seed, json, outliers, engine } => {
            let outliers = films(outliers)?;
            report(data, split, *split_seed, *json, outliers.as_ref(), engine)
        }
    }
}

/// The films out of scope, where a folder of them is named.
fn films(args: &cli::Outliers) -> Result<Option<Outliers>, Failure> {
    let read = args.folder.as_deref().map(Outliers::read).transpose();
    read.map_err(|e| Failure::failed(chain(&e)))
}

fn fit_file(
    data: &cli::TrainingData,
    out: &Path,
    split_seed: u64,
    name: Option<&str>,
    outliers: Option<&Outliers>,
    engine: &cli::Engine,
) -> Result<(), Failure> {
    let model = model_file::find(engine.model.as_ref())?;
    let parts = training_data::parts(data, &[Split::Train, Split::Val], split_seed)?;
    let options = engine::options(&EngineChoice::from(engine));
    let shown = Shown { data: &parts, outliers };
    let card = fit(&model, out, &options, shown, name).map_err(|e| Failure::failed(chain(&e)))?;
    let Some(novelty) = &card.novelty else {
        return Err(Failure::failed("the check was not written"));
    };
    print(&format!(
        "{} is model {}: {novelty}. `lobar novelty report` says what the check finds.",
        out.display(),
        card.version
    ));
    Ok(())
}

fn report(
    data: &cli::TrainingData,
    split: &str,
    split_seed: u64,
    as_json: bool,
    outliers: Option<&Outliers>,
    engine: &cli::Engine,
) -> Result<(), Failure> {
    let mut torch: TorchEngine = engine::load(&EngineChoice::from(engine))?;
    let samples = match split {
        "validation" => {
            training_data::parts(data, &[Split::Train, Split::Val], split_seed)?.validation
        }
        "test" => training_data::parts(data, &Split::ALL, split_seed)?.test,
        other => {
            return Err(Failure::usage(format!(
                "--split is {other:?}; it can be validation or test"
            )));
        }
    };
    let trial =
        trial(&mut torch, split, &samples, outliers).map_err(|e| Failure::failed(chain(&e)))?;
    print(&if as_json { json!(trial).to_string() } else { trial.to_string() });
    Ok(())
}

fn print(text: &str) {
    outln!("{text}");
}
