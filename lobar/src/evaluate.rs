//! `lobar evaluate`.

use lobar_core::engine::Engine as _;
use lobar_model::dataset::{Split, read};
use lobar_model::evaluation::{ask, evaluate};
use serde_json::json;

use crate::cli;
use crate::engine::{self, Wanted};
use crate::failure::{Failure, chain};

/// Evaluates a model on labelled images, at the threshold in its card, through the engine that
/// serves.
pub fn run(args: &cli::Evaluate) -> Result<(), Failure> {
    let split =
        Split::ALL.into_iter().find(|split| split.name() == args.split).ok_or_else(|| {
            let known: Vec<_> = Split::ALL.iter().map(|split| split.name()).collect();
            Failure::usage(format!("--split is {:?}; splits are {}", args.split, known.join(", ")))
        })?;
    let mut engine = engine::load(&Wanted::from(&args.engine))?;
    let samples = read(&args.data, &[split]).map_err(|e| Failure::failed(chain(&e)))?;
    let answers = ask(&mut engine, &samples).map_err(|e| Failure::failed(chain(&e)))?;
    let info = engine.info();
    let evaluation = evaluate(&answers, info.threshold);
    print(&match args.json {
        true => json!({ "model": info.model, "split": args.split, "evaluation": evaluation })
            .to_string(),
        false => format!(
            "model {} on {} ({})\n\n{evaluation}",
            info.model.version, args.split, info.device
        ),
    });
    Ok(())
}

#[allow(clippy::print_stdout)] // the evaluation is this command's output
fn print(text: &str) {
    println!("{text}");
}
