//! What the engine makes of pictures.

use lobar_core::engine::{Engine as _, NetworkInput};
use lobar_model::engine::TorchEngine;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::FitError;

/// Pictures that are made at once, while nothing computes.
const MADE_AT_ONCE: usize = 256;

/// Features of `number` pictures, each made by `picture` from its index as 224 × 224 grey levels: half
/// precision `[number, 9, features]`, on the CPU.
pub(super) fn features(
    engine: &mut TorchEngine,
    number: usize,
    picture: &(dyn Fn(usize) -> Vec<u8> + Sync),
) -> Result<Tensor, FitError> {
    let mut all = Vec::new();
    for from in (0..number).step_by(MADE_AT_ONCE) {
        let made = from..number.min(from + MADE_AT_ONCE);
        let inputs: Vec<NetworkInput> =
            made.into_par_iter().filter_map(|index| NetworkInput::new(picture(index))).collect();
        for batch in inputs.chunks(engine.info().max_batch.max(1)) {
            all.push(engine.grid_features(batch)?.f_to_kind(Kind::Half)?);
        }
    }
    if all.is_empty() {
        return Err(FitError::TooFew(0, 0));
    }
    Ok(Tensor::f_cat(&all, 0)?)
}
