//! How the engines of a worker share the cores of its machine: as the settings say, or as was quickest there when it was measured,
//! once for a machine and model.
//!
//! On up to three cores the rule of [`cores::split`] is known to be right (docs/benchmarks.md). On more of them it depends on the
//! machine: on how many threads share a core, and on how soon memory is the bound.

mod kept;
mod measure;

use std::path::Path;

use lobar_model::engine::cores::{self, Split};
use lobar_model::engine::{DeviceChoice, TorchEngine};
use serde::{Deserialize, Serialize};

use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::service::memory;
use crate::settings::Settings;
use crate::{bench, model_file};
use kept::Kept;

/// Cores from which on it is measured.
const MEASURED_FROM: usize = 4;
/// How much quicker than the rule another split must be: a measurement of seconds tells no less.
const WORTH_IT: f64 = 1.05;

/// A split, and how many images a second it answered with decoding beside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub replicas: usize,
    pub threads: usize,
    pub images_per_second: f64,
}

impl Measured {
    /// The split.
    pub fn split(&self) -> Split {
        Split { replicas: self.replicas, threads: self.threads }
    }
}

/// What a worker computes with, its share of the cores decided. Takes seconds where that has to be measured.
pub async fn of_worker(settings: &Settings) -> EngineChoice {
    let wanted = EngineChoice::of_worker(settings);
    if !is_open(settings, &wanted) {
        return wanted;
    }
    let (asked, folder) = (wanted.clone(), settings.data.clone());
    let decided = tokio::task::spawn_blocking(move || decide(&asked, &folder)).await;
    match decided.map_err(Failure::failed).and_then(|decided| decided) {
        Ok(split) => decided_on(wanted, split),
        Err(error) => {
            tracing::warn!(%error, "the split of the cores among engines was not measured; going on with an engine for every core");
            wanted
        }
    }
}

/// Whether nobody chose, and the rule may be wrong.
fn is_open(settings: &Settings, wanted: &EngineChoice) -> bool {
    let chosen = settings.replicas.is_some() || settings.threads.is_some();
    let on_cpu = match wanted.device {
        DeviceChoice::Cpu => true,
        DeviceChoice::Auto => engine::cuda_library().is_none(),
        DeviceChoice::Cuda(_) => false,
    };
    !chosen && on_cpu && cores::count() >= MEASURED_FROM
}

fn decided_on(wanted: EngineChoice, split: Split) -> EngineChoice {
    let threads = split.threads.to_string().parse().ok();
    EngineChoice { replicas: split.replicas, threads, ..wanted }
}

/// As it was measured before, or measured now and kept.
fn decide(wanted: &EngineChoice, folder: &Path) -> Result<Split, Failure> {
    let key = kept::Key::of(wanted)?;
    if let Some(split) = kept::read(folder, &key) {
        return Ok(split);
    }
    tracing::info!(
        "measuring how engines share the cores, once for this machine and model: takes about ten seconds"
    );
    let measured = measured(wanted)?;
    let split = choose(&measured, engine::split(wanted));
    tracing::info!(
        replicas = split.replicas,
        threads = split.threads,
        "engines share the cores as was quickest; LOBAR_REPLICAS and LOBAR_THREADS overrule it"
    );
    if let Err(error) = kept::write(folder, &Kept { key, measured, chosen: split.into() }) {
        tracing::warn!(%error, "the measured split of the cores was not kept; the next start measures it again");
    }
    Ok(split)
}

/// Measures every split that this machine has memory for.
pub fn measured(wanted: &EngineChoice) -> Result<Vec<Measured>, Failure> {
    let path = model_file::find(wanted.model.as_ref())?;
    let engine = TorchEngine::load(&path, &engine::options(wanted))
        .map_err(|e| Failure::failed(chain(&e)))?;
    let splits = cores::candidates(cores::count(), memory::for_replicas());
    measure::all(&engine, &splits, &bench::sample::jpeg()?)
}

/// The quickest; the rule's where no other is much quicker.
fn choose(measured: &[Measured], rule: Split) -> Split {
    let by_rule = measured.iter().find(|one| one.split() == rule);
    let needed = by_rule.map_or(0.0, |one| one.images_per_second * WORTH_IT);
    let best = measured.iter().max_by(|a, b| a.images_per_second.total_cmp(&b.images_per_second));
    best.filter(|best| best.images_per_second > needed).map_or(rule, Measured::split)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_stands_where_no_other_split_is_much_quicker() {
        let one = |replicas, threads, images_per_second| Measured {
            replicas,
            threads,
            images_per_second,
        };
        let rule = Split { replicas: 8, threads: 1 };
        let of = |measured: &[Measured]| choose(measured, rule);
        assert_eq!(of(&[one(8, 1, 100.0), one(4, 2, 104.0)]), rule);
        assert_eq!(of(&[one(8, 1, 100.0), one(4, 2, 106.0)]), Split { replicas: 4, threads: 2 });
        assert_eq!(
            of(&[one(4, 2, 1.0)]),
            Split { replicas: 4, threads: 2 },
            "no memory for the rule's"
        );
        assert_eq!(of(&[]), rule);
    }
}
