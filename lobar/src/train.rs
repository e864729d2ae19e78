//! `lobar train`.

use lobar_model::training::{TrainOptions, train};

use crate::cli;
use crate::failure::{Failure, chain};

/// Trains, or goes on where an interrupted run in the same folder was.
pub fn run(args: cli::Train) -> Result<(), Failure> {
    let mut options = TrainOptions::new(args.data, args.out);
    options.init = args.init;
    if !args.stages.is_empty() {
        options.stages = args.stages;
    }
    options.batch = args.batch;
    options.rate = args.rate;
    options.patience = args.patience;
    options.seed = args.seed;
    options.split_seed = args.split_seed;
    options.subtype_weight = args.subtype_weight;
    options.bf16 = !args.fp32;
    options.version = args.name;
    if let Some(population) = args.population {
        options.population = population;
    }
    if let Some(threads) = args.threads {
        options.threads = threads;
    }
    let report =
        train(&options, |epoch| eprintln!("{epoch}")).map_err(|e| Failure::failed(chain(&e)))?;
    eprintln!("{report}");
    Ok(())
}
