//! Asking about changed copies, and the rows that come of it.

use lobar_core::engine::{Engine, EngineError};
use lobar_model::card::StressRow;

use super::Change;
use crate::dataset::Sample;
use crate::evaluation::{Confusion, Predictions, ask, roc_auc};

/// The answers on copies changed in one way.
#[derive(Clone, Debug, PartialEq)]
pub struct Altered {
    /// What was done to them.
    pub change: Change,
    /// The answers, in the order of the samples.
    pub answers: Predictions,
}

/// Asks the engine about every sample, changed in each way of [`Change::ALL`].
///
/// # Errors
/// A batch failed, or an answer is no number.
pub fn ask_altered(
    engine: &mut dyn Engine,
    samples: &[Sample],
) -> Result<Vec<Altered>, EngineError> {
    let chunk = engine.info().max_batch.max(1) * 8;
    let each = |change: Change| {
        let mut answers = Predictions::default();
        // By and by: all copies at once would take the memory of a whole data set more.
        for samples in samples.chunks(chunk) {
            let changed: Vec<Sample> = samples
                .iter()
                .map(|sample| Sample { pixels: change.apply(&sample.pixels), ..sample.clone() })
                .collect();
            answers.append(ask(engine, &changed)?);
        }
        Ok(Altered { change, answers })
    };
    Change::ALL.into_iter().map(each).collect()
}

/// The stress table at a threshold. Flips are counted against the answers on the images as they are.
#[must_use]
pub fn rows(as_they_are: &Predictions, altered: &[Altered], threshold: f64) -> Vec<StressRow> {
    altered
        .iter()
        .map(|Altered { change, answers }| {
            let counts = Confusion::at(threshold, &answers.probability, &answers.is_pneumonia);
            let pairs = as_they_are.probability.iter().zip(&answers.probability);
            let (mut to_flagged, mut to_not_flagged) = (0, 0);
            for (before, after) in pairs {
                match (*before >= threshold, *after >= threshold) {
                    (false, true) => to_flagged += 1,
                    (true, false) => to_not_flagged += 1,
                    _ => {}
                }
            }
            let checked = answers.novel.iter().any(Option::is_some);
            let unlike = answers.novel.iter().filter(|novel| **novel == Some(true)).count() as u64;
            StressRow {
                change: change.name(),
                images: answers.probability.len() as u64,
                auc: roc_auc(&answers.probability, &answers.is_pneumonia),
                sensitivity: counts.sensitivity(),
                specificity: counts.specificity(),
                to_flagged,
                to_not_flagged,
                unlike: checked.then_some(unlike),
                most_flips: change.most_flips(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(probability: Vec<f64>) -> Predictions {
        Predictions {
            is_pneumonia: vec![true, true, false, false],
            novel: vec![Some(false), Some(true), Some(false), Some(false)],
            probability,
            ..Predictions::default()
        }
    }

    #[test]
    fn a_row_counts_the_answers_that_flip_each_way_and_what_goes_to_a_person() {
        let before = answers(vec![0.9, 0.6, 0.4, 0.1]);
        let after =
            Altered { change: Change::Turned(5), answers: answers(vec![0.9, 0.4, 0.6, 0.55]) };
        let rows = rows(&before, &[after], 0.5);
        let row = &rows[0];
        assert_eq!((row.to_flagged, row.to_not_flagged, row.unlike), (2, 1, Some(1)));
        assert_eq!((row.sensitivity, row.specificity), (Some(0.5), Some(0.0)));
        // Of the four pairs 0.9 is right twice, 0.4 never.
        assert_eq!((row.auc, row.is_within_bound()), (Some(0.5), Some(false)));
    }
}
