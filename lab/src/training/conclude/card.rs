//! A model's card before anything was measured.

use std::collections::BTreeMap;

use lobar_core::population::Ages;
use lobar_model::card::{Card, Metrics, Preprocessing, Training};
use lobar_model::network::Architecture;

use super::super::TrainOptions;
use super::super::plan::Plan;
use crate::dataset::Partition;
use crate::date;

/// The card before anything was measured. Complete enough for the engine to load the weights, at
/// temperature 1.
pub(super) fn first_card(
    options: &TrainOptions,
    data: &Partition,
    plan: &Plan,
    sha256: &str,
) -> Result<Card, serde_json::Error> {
    let created_at = date::now();
    let version = options.version.clone().unwrap_or_else(|| {
        let short: String = sha256.chars().take(6).collect();
        format!(
            "{}-{}-{short}",
            options.architecture,
            created_at.split('T').next().unwrap_or_default()
        )
    });
    let (architecture, blocks, width) = match options.architecture {
        Architecture::ResNet(layout) => (None, layout.blocks, layout.width),
        other => (Some(other.to_string()), [0; 4], 0),
    };
    let trained_side = options.stages.last().map_or(0, |stage| stage.side as i64);
    // By way of text, where an f32 of 0.15 is 0.15; as a value it would be 0.15000000596.
    let settings: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&serde_json::to_string(plan)?)?;
    Ok(Card {
        version,
        labels: ["NORMAL", "PNEUMONIA"].map(str::to_owned),
        sublabels: ["VIRAL", "BACTERIAL"].map(str::to_owned),
        preprocessing: Preprocessing::current(trained_side),
        architecture,
        blocks,
        width,
        threshold: Some(0.5),
        temperature: Some(1.0),
        training: Training {
            data_sha256: plan.data_digest.clone(),
            images: data.train.len() as u64,
            settings,
        },
        validation: Some(Metrics::default()),
        test: Some(Metrics::default()),
        novelty: None,
        precisions: None,
        score_is_probability: None,
        site: None,
        population: options.population.clone(),
        ages: Ages::in_words(&options.population),
        created_at,
    })
}
