//! The network's forward pass.

use serde_json::{Value, json};

use super::print;
use crate::engine::{EngineChoice, options};
use crate::failure::{Failure, chain};
use crate::{cli, model_file};

/// Prints [`figures`] for the engine that was asked for.
pub fn run(args: &cli::Engine, rounds: usize, as_json: bool) -> Result<(), Failure> {
    print(&figures(&EngineChoice::from(args), rounds)?, as_json);
    Ok(())
}

/// Images a second, the engine's and plain libtorch's, taking turns in one run.
pub fn figures(wanted: &EngineChoice, rounds: usize) -> Result<Value, Failure> {
    let path = model_file::find(wanted.model.as_ref())?;
    let figures = lobar_lab::bench::engine(&path, &options(wanted), rounds)
        .map_err(|e| Failure::failed(chain(&e)))?;
    Ok(json!(figures))
}
