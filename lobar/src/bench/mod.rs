//! `lobar bench`: figures of this machine, as a table and as JSON.

#[cfg(feature = "torch")]
mod all;
mod decode;
#[cfg(feature = "torch")]
mod engine;
mod null;
mod path;
#[cfg(feature = "torch")]
mod pipeline;
pub mod sample;
#[cfg(feature = "torch")]
mod site;
#[cfg(feature = "torch")]
mod split;
#[cfg(feature = "torch")]
mod stat;
#[cfg(feature = "torch")]
mod system;
#[cfg(feature = "torch")]
mod times;

use crate::cli::{Bench, BenchWhat};
use crate::failure::Failure;
use lobar_console::outln;

/// Measures what was asked for.
pub fn run(args: Bench) -> Result<(), Failure> {
    match args.what {
        #[cfg(feature = "torch")]
        BenchWhat::All(args) => crate::block_on(all::run(*args)),
        #[cfg(feature = "torch")]
        BenchWhat::Engine { engine, rounds, json } => engine::run(&engine, rounds, json),
        #[cfg(feature = "torch")]
        BenchWhat::Split { engine, rounds, json } => split::run(&engine, rounds, json),
        BenchWhat::Decode { files, rounds, json } => decode::run(&files, rounds, json),
        BenchWhat::Pipeline(args) if args.null => crate::block_on(path::run(*args)),
        #[cfg(feature = "torch")]
        BenchWhat::Pipeline(args) => crate::block_on(pipeline::run(*args)),
        #[cfg(feature = "torch")]
        BenchWhat::Stat(args) => crate::block_on(stat::run(*args)),
        #[cfg(feature = "torch")]
        BenchWhat::Site(args) => crate::block_on(site::run(*args)),
        #[cfg(not(feature = "torch"))]
        BenchWhat::Pipeline(_) => Err(Failure::usage(
            "this build has no network (feature `torch`); it can measure `pipeline --null` only",
        )),
    }
}

/// The middle of the values; of an even number, the upper of the two.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(figures: &serde_json::Value, as_json: bool) {
    if as_json {
        outln!("{figures}");
        return;
    }
    print_table(figures);
}

fn print_table(figures: &serde_json::Value) {
    for (name, value) in figures.as_object().into_iter().flatten() {
        match value.as_f64() {
            Some(number) => outln!("{:<44} {number:>10.3}", name.replace('_', " ")),
            None => {
                outln!("{:<44} {:>10}", name.replace('_', " "), value.to_string().trim_matches('"'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert!(median(&mut []).is_nan());
    }
}
