//! `lobar quantize`: a model made ready for 8-bit integers.

use lobar_console::outln;
use lobar_lab::dataset::Split;
use lobar_lab::quantization;

use crate::cli;
use crate::engine::{self, EngineChoice};
use crate::failure::{Failure, chain};
use crate::{model_file, training_data};

/// Writes the model with the ranges of its activations, and says what each precision costs and gains.
pub fn run(args: &cli::Quantize) -> Result<(), Failure> {
    let cli::Quantize { data, out, split_seed, name, engine } = args;
    let model = model_file::find(engine.model.as_ref())?;
    let parts = training_data::parts(data, &[Split::Train, Split::Val], *split_seed)?;
    let options = engine::options(&EngineChoice::from(engine));
    let card = quantization::quantize(&model, out, &options, &parts, name.as_deref())
        .map_err(|e| Failure::failed(chain(&e)))?;
    outln!("{} is model {}", out.display(), card.version);
    if let Some(precisions) = &card.precisions {
        outln!("{precisions}");
    }
    Ok(())
}
