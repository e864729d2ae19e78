//! The network's forward pass.

use serde_json::json;

use super::print;
use crate::engine::{EngineChoice, options};
use crate::failure::{Failure, chain};
use crate::{cli, model_file};

/// Images a second, the engine's and plain libtorch's, taking turns in one run.
pub fn run(args: &cli::Engine, rounds: usize, as_json: bool) -> Result<(), Failure> {
    let path = model_file::find(args.model.as_ref())?;
    let options = options(&EngineChoice::from(args));
    let figures = lobar_lab::bench::engine(&path, &options, rounds)
        .map_err(|e| Failure::failed(chain(&e)))?;
    print(&json!(figures), as_json);
    Ok(())
}
