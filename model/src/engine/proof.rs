//! The proof, at every load, that what the engine computes is what the plain network would.

use tch::{Device, TchError, nn};

use super::LoadError;
use crate::golden;
use crate::network::{Layout, Network};
use crate::weights::Weights;

/// How far the folded network in fp32 may be from the plain one, in probability.
pub const FOLDING_TOLERANCE: f64 = 1e-4;
/// How far the same in bf16 may be, in probability.
pub const BF16_TOLERANCE: f64 = 0.02;
/// How far the same in 8-bit integers may be, in probability, on the golden pictures. They are drawn, and
/// go beyond ranges that were chosen on X-rays; how far X-rays are off is in the model's card.
pub const INT8_TOLERANCE: f64 = 0.25;

/// Both calibrated logits of every golden picture.
pub type Answers = Vec<[f64; 2]>;

/// What the plain network answers on the golden pictures, from three equal channels, as training
/// and evaluation compute it.
///
/// # Errors
/// When the weights are of another network, or libtorch fails.
pub fn plain_answers(
    weights: &Weights,
    layout: Layout,
    temperature: f64,
) -> Result<Answers, LoadError> {
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::with_layout(&vs.root(), layout);
    weights.fill(&vs)?;
    let logits = || -> Result<(Vec<f32>, Vec<f32>), TchError> {
        let _no_grad = tch::no_grad_guard();
        let output = network.forward(&golden::plain_input()?, false);
        Ok((output.pneumonia.try_into()?, output.bacterial.try_into()?))
    };
    let (pneumonia, bacterial) = logits()?;
    let pairs = pneumonia.iter().zip(&bacterial);
    Ok(pairs.map(|(&p, &b)| [f64::from(p) / temperature, f64::from(b)]).collect())
}

/// A bound on how far two sets of answers differ in probability; not a number if one of them has
/// any that is none.
///
/// A quarter of the largest difference between logits: nowhere is the sigmoid steeper. The
/// probabilities themselves would hide a fault, since a trained model is sure of most pictures and
/// the sigmoid flat there.
pub(crate) fn difference(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    let differences = a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| (x - y).abs() / 4.0);
    differences.fold(0.0, |worst, d| if worst > d || worst.is_nan() { worst } else { d })
}

/// `1 / (1 + e^-logit)`.
#[must_use]
pub fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_probability_differs_by_more_than_the_difference() {
        for (x, y) in [(-0.1, 0.1), (0.0, 3.0), (6.0, 7.0), (-40.0, 2.0)] {
            let bound = difference(&[[x, 0.0]], &[[y, 0.0]]);
            assert!((sigmoid(x) - sigmoid(y)).abs() <= bound, "{x} {y}");
        }
    }

    #[test]
    fn a_difference_with_something_that_is_not_a_number_is_none() {
        let a = [[0.1, 0.2], [0.3, 0.4]];
        assert!((difference(&a, &[[0.1, 0.2], [0.3, 0.0]]) - 0.1).abs() < 1e-12);
        assert!(difference(&a, &[[f64::NAN, 0.2], [0.3, 0.4]]).is_nan());
        assert!(difference(&a, &[[0.1, 0.2], [0.3, f64::NAN]]).is_nan());
        assert!(difference(&a, &a[..1]).is_nan());
    }
}
