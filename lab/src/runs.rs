//! Training runs side by side (`lobar runs`).

use std::path::Path;

use lobar_console::noteln;
use lobar_model::card::Metrics;

use crate::training::{RECORD, RunRecord};

/// The runs below a folder with their names, in the order in which they began. What cannot be read is
/// named on standard error and left out.
#[must_use]
pub fn find(folder: &Path) -> Vec<(String, RunRecord)> {
    let mut runs = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
        let Some(of) = entry.path().parent().filter(|_| entry.file_name() == RECORD) else {
            continue;
        };
        match RunRecord::read(of) {
            Ok(record) => {
                let name = of.strip_prefix(folder).unwrap_or(of).display().to_string();
                runs.push((if name.is_empty() { ".".to_owned() } else { name }, record));
            }
            Err(error) => noteln!("lobar: {}: {error}", entry.path().display()),
        }
    }
    runs.sort_by(|(_, one), (_, other)| one.started_at.cmp(&other.started_at));
    runs
}

const HEADS: [&str; 13] = [
    "run", "began", "state", "seed", "stages", "val. AUC", "subtype", "test AUC", "accuracy",
    "sens.", "spec.", "ECE", "data",
];

/// One row a run. Figures are those of the best epoch and, once finished, of the test split.
#[must_use]
pub fn table(runs: &[(String, RunRecord)]) -> String {
    let mut rows: Vec<Vec<String>> = vec![HEADS.map(str::to_owned).to_vec()];
    rows.extend(runs.iter().map(|(name, record)| row(name, record)));
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(name: &str, record: &RunRecord) -> Vec<String> {
    let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let test = record.result.as_ref().and_then(|result| result.on_test.as_ref());
    let of_test = |pick: fn(&Metrics) -> f64| figure(test.map(pick));
    let calibration = test.and_then(|test| test.more.get("calibration_error")?.as_f64());
    let best = record.best();
    let state = match &record.result {
        Some(_) => "finished".to_owned(),
        None => format!("epoch {}", record.epochs.len()),
    };
    vec![
        name.to_owned(),
        record.started_at.clone(),
        state,
        record.seed.to_string(),
        stages(record),
        figure(best.map(|epoch| epoch.auc)),
        figure(best.and_then(|epoch| epoch.subtype_auc)),
        of_test(|metrics| metrics.auc),
        of_test(|metrics| metrics.accuracy),
        of_test(|metrics| metrics.sensitivity),
        of_test(|metrics| metrics.specificity),
        figure(calibration),
        record.data_sha256.chars().take(8).collect(),
    ]
}

/// As they are written on the command line: `128:12,224:5`.
fn stages(record: &RunRecord) -> String {
    let stages = record.settings.get("stages").and_then(|stages| stages.as_array());
    let numbers = ["side", "epochs", "last_layers"];
    let stage = |stage: &serde_json::Value| {
        let known = numbers.iter().filter_map(|name| stage[name].as_u64());
        known.map(|number| number.to_string()).collect::<Vec<_>>().join(":")
    };
    stages.into_iter().flatten().map(stage).collect::<Vec<_>>().join(",")
}
