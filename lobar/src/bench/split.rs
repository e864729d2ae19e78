//! How a worker's engines share the cores.

use lobar_console::outln;
use serde_json::json;

use super::median;
use crate::cli;
use crate::engine::EngineChoice;
use crate::failure::Failure;
use crate::split::{self, Measured};

/// Prints images a second of every split, the median of `rounds`, the quickest first.
pub fn run(args: &cli::Engine, rounds: usize, as_json: bool) -> Result<(), Failure> {
    let wanted = EngineChoice { replicas: 0, threads: None, ..EngineChoice::from(args) };
    let rounds: Vec<Vec<Measured>> =
        (0..rounds.max(1)).map(|_| split::measured(&wanted)).collect::<Result<_, _>>()?;
    let mut splits = rounds.first().cloned().unwrap_or_default();
    for (place, one) in splits.iter_mut().enumerate() {
        let mut rates: Vec<f64> =
            rounds.iter().filter_map(|round| Some(round.get(place)?.images_per_second)).collect();
        one.images_per_second = median(&mut rates);
    }
    splits.sort_by(|a, b| b.images_per_second.total_cmp(&a.images_per_second));
    if as_json {
        outln!("{}", json!(splits));
        return Ok(());
    }
    for Measured { replicas, threads, images_per_second } in splits {
        outln!(
            "LOBAR_REPLICAS={replicas:<4} LOBAR_THREADS={threads:<4} {images_per_second:>10.1} images/s"
        );
    }
    Ok(())
}
