//! The candidate beside the model that was active, on the same images of the base.

use std::fmt::Write;

use lobar_core::engine::Engine as _;
use lobar_core::failure::chain;
use lobar_model::card::Metrics;
use lobar_model::engine::TorchEngine;
use lobar_model::weights::Weights;

use super::RetrainOptions;
use super::course::{card_to_begin_with, split_seed};
use super::folder::Run;
use crate::dataset::{Sample, Split, partition, read};
use crate::error::LabError;
use crate::evaluation::{ask, evaluate};

/// What is said of a model on one part of the data.
struct Row<'a> {
    part: &'a str,
    model: &'a str,
    figures: Option<Metrics>,
}

/// Measures the model that was active when the run began, as it is served, and sets the candidate's own figures
/// beside it.
pub(crate) fn compare(args: &RetrainOptions, run: &Run) -> Result<String, LabError> {
    let failed = |error: &dyn std::error::Error| LabError::failed(chain(error));
    let seed = split_seed(args, card_to_begin_with(args, run)?.as_ref());
    let samples = read(&args.base, &Split::ALL).map_err(|e| failed(&e))?;
    let data = partition(&args.base, samples, seed).map_err(|e| failed(&e))?;
    let mut engine = TorchEngine::load(&run.active(), &args.engine).map_err(|e| failed(&e))?;
    let mut measured = |samples: &[Sample]| {
        let answers = ask(&mut engine, samples).map_err(|e| failed(&e))?;
        Ok::<_, LabError>(evaluate(&answers, engine.info().threshold).metrics())
    };
    let (validation, test) = (measured(&data.validation)?, measured(&data.test)?);
    let active = engine.info().model.version.clone();
    let candidate = run.training().join("model.safetensors");
    let weights = Weights::open(&candidate).map_err(|e| failed(&e))?;
    let card = weights.card().ok_or_else(|| LabError::failed("the candidate carries no card"))?;
    let row = |part, model, figures| Row { part, model, figures };
    Ok(table(&[
        row("validation", &card.version, card.validation.clone()),
        row("validation", &active, validation),
        row("test", &card.version, card.test.clone()),
        row("test", &active, test),
    ]))
}

fn table(rows: &[Row<'_>]) -> String {
    let wide = rows.iter().map(|row| row.model.chars().count()).max().unwrap_or(0);
    let mut text = format!(
        "{:<10}  {:<wide$}  {:>6}  {:>6}  {:>6}  {:>6}  {:>6}\n",
        "", "", "images", "AUC", "sens.", "spec.", "acc."
    );
    for Row { part, model, figures } in rows {
        // Writing to a string cannot fail.
        let _ = match figures {
            Some(it) => writeln!(
                text,
                "{part:<10}  {model:<wide$}  {:>6}  {:>6.4}  {:>6.4}  {:>6.4}  {:>6.4}",
                it.images, it.auc, it.sensitivity, it.specificity, it.accuracy
            ),
            None => writeln!(text, "{part:<10}  {model:<wide$}  no figures"),
        };
    }
    text.push_str(
        "The first of each two is the candidate, the second the model that was active when the run began.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_below_one_another() {
        let figures = Metrics { images: 624, auc: 0.97812, ..Metrics::default() };
        let rows = [
            Row { part: "test", model: "candidate-7", figures: Some(figures) },
            Row { part: "test", model: "old", figures: None },
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "test        candidate-7     624  0.9781  0.0000  0.0000  0.0000");
        assert_eq!(lines[2], "test        old          no figures");
        assert_eq!(lines[0].len(), lines[1].len());
    }
}
