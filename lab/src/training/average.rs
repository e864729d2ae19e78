//! The exponential moving average of the weights, which is what is evaluated and kept: it ranks
//! better than the last weights and jumps about less.

use tch::{TchError, Tensor};

/// The average takes in the weights every so many steps; its decay is taken to that power, so only
/// the cost changes.
pub(crate) const EVERY: usize = 4;
/// Running statistics of batch norms follow quicker than weights, since a change of resolution
/// changes them within a few steps.
const STATISTICS_DECAY: f64 = 0.99;

/// Moves each averaged tensor towards its live one. `step` is counted from the stage's first: `decay`,
/// which is per step, rises to its value over the first hundreds, so that the average soon forgets
/// weights that were made for another resolution.
pub(crate) fn follow(
    averages: &mut [(String, Tensor)],
    live: &[(String, Tensor)],
    step: usize,
    decay: f64,
) -> Result<(), TchError> {
    let decay = decay.min((1.0 + step as f64) / (10.0 + step as f64));
    tch::no_grad(|| {
        for ((_, average), (_, live)) in averages.iter_mut().zip(live) {
            let decay = if live.requires_grad() { decay } else { decay.min(STATISTICS_DECAY) };
            let _ = average.f_lerp_(live, 1.0 - decay.powi(EVERY as i32))?;
        }
        Ok(())
    })
}
