//! Fitting the head: outlier exposure on features that the engine computes anyway.

use lobar_model::novelty::OutlierHead;
use tch::{Device, Kind, TchError, Tensor};

use super::axes::{fit_channels, placed, rounded};
use super::exposure::{OutOfScope, Shown};
use super::logistic;

/// Axes of the features that the head sees in each cell of the grid, at most.
const CHANNELS: usize = 128;
/// Weight decay of the part for what was made: there are many, and an X-ray upside down differs in few
/// features.
const DECAY_MADE: f64 = 0.03;
/// Weight decay of the part for films that were given: there are few.
const DECAY_GIVEN: f64 = 0.3;
/// Cells of the grid.
const CELLS: i64 = 9;

/// Logits of some kinds, for features from which the mean was taken.
struct Part {
    /// `[kinds, 9, features]`.
    weight: Tensor,
    /// `[kinds]`.
    bias: Tensor,
}

/// The head of features in scope, `[N, 9, features]`, and of what was shown out of scope, for features
/// from which `mean` was taken. Its threshold is still open, every number is as half precision will keep
/// it. `None` when there is nothing to tell pictures apart by.
///
/// It has two parts: one for what was made, one for films that were given. Each is fitted alone against
/// what is in scope, and its biases are moved until `share` of the `validation` pictures, features
/// `[N, 9, features]` less the mean, are as likely out of scope by it as in scope. So neither part drowns the other:
/// the films that were given are the harder ones to tell, and the first `share` is that of the made.
pub(super) fn fit_head(
    in_scope: &Tensor,
    shown: &OutOfScope,
    mean: &Tensor,
    validation: &Tensor,
    shares: [f64; 2],
) -> Result<Option<OutlierHead>, TchError> {
    let _no_grad = tch::no_grad_guard();
    let Some((_, channels)) = fit_channels(in_scope, CHANNELS)? else { return Ok(None) };
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    let parts = [(&shown.made, DECAY_MADE), (&shown.given, DECAY_GIVEN)];
    for ((shown, decay), share) in parts.into_iter().zip(shares) {
        if shown.is_empty() {
            continue;
        }
        let mut part = fit_part(in_scope, (shown, decay), mean, &channels)?;
        part.settle(validation, share)?;
        weights.push(part.weight);
        biases.push(part.bias);
    }
    if weights.is_empty() {
        return Ok(None);
    }
    let (weight, bias) = (Tensor::f_cat(&weights, 0)?, rounded(&Tensor::f_cat(&biases, 0)?)?);
    Ok(Some(OutlierHead { weight, bias, threshold: f64::NAN }))
}

/// Fitted on the strongest axes of the features, each of variance 1 in each cell: few numbers, none of them
/// by chance larger than the others. Then the axes are multiplied out, for a head that is one matrix.
fn fit_part(
    in_scope: &Tensor,
    (shown, decay): (&[Shown], f64),
    mean: &Tensor,
    channels: &Tensor,
) -> Result<Part, TchError> {
    let sets = std::iter::once((in_scope, 1.0));
    let sets: Vec<_> = sets.chain(shown.iter().map(|it| (&it.features, it.count))).collect();
    let all: f64 = sets.iter().map(|(_, count)| count).sum();
    let (mut rows, mut class, mut weight) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (features, count)) in sets.iter().enumerate() {
        let placed = placed(features, mean, channels)?;
        let number = placed.size2()?.0;
        class.push(Tensor::f_full([number], index as i64, (Kind::Int64, Device::Cpu))?);
        let of_each = count / all / number.max(1) as f64;
        weight.push(Tensor::f_full([number], of_each, (Kind::Float, Device::Cpu))?);
        rows.push(placed);
    }
    let (rows, class, weight) =
        (Tensor::f_cat(&rows, 0)?, Tensor::f_cat(&class, 0)?, Tensor::f_cat(&weight, 0)?);
    let over_rows = [0i64];
    let centre = rows.f_mean_dim(over_rows.as_slice(), true, Kind::Float)?;
    let rows = rows.f_sub(&centre)?;
    let spread = rows.f_square()?.f_mean_dim(over_rows.as_slice(), true, Kind::Float)?.f_sqrt()?;
    let spread = spread.f_clamp_min(f64::from(f32::EPSILON))?;
    let rows = rows.f_div(&spread)?;
    let (weights, biases) = logistic::fit(&rows, &class, &weight, sets.len() as i64, decay)?;
    Part::of(&weights, &biases, [&centre, &spread], channels)
}

impl Part {
    /// Of weights `[9 × channels, 1 + kinds]` and biases `[1 + kinds]` of rows from which `centre` was taken
    /// and which were divided by `spread`, both `[1, 9 × channels]`. The first class is *in scope*.
    fn of(
        weights: &Tensor,
        biases: &Tensor,
        [centre, spread]: [&Tensor; 2],
        channels: &Tensor,
    ) -> Result<Self, TchError> {
        let kinds = biases.size1()? - 1;
        let weights = weights.f_sub(&weights.f_narrow(1, 0, 1)?)?.f_narrow(1, 1, kinds)?;
        let biases = biases.f_sub(&biases.f_narrow(0, 0, 1)?)?.f_narrow(0, 1, kinds)?;
        let weights = weights.f_transpose(0, 1)?.f_div(spread)?;
        let bias =
            biases.f_sub(&weights.f_matmul(&centre.f_transpose(0, 1)?)?.f_squeeze_dim(1)?)?;
        let cells = weights.f_reshape([kinds * CELLS, -1])?;
        let weight = cells.f_matmul(channels)?.f_reshape([kinds, CELLS, -1])?;
        Ok(Self { weight: rounded(&weight)?, bias })
    }

    /// Moves the biases until so large a share of pictures, features `[N, 9, features]` less the mean, are as
    /// likely of one of the kinds as in scope.
    fn settle(&mut self, centred: &Tensor, share: f64) -> Result<(), TchError> {
        let weight = self.weight.f_flatten(1, 2)?.f_transpose(0, 1)?;
        let logits = centred.f_flatten(1, 2)?.f_matmul(&weight)?.f_add(&self.bias)?;
        let logit = logits.f_logsumexp([1i64].as_slice(), false)?;
        let edge = logit.f_quantile_scalar(1.0 - share, 0, false, "linear")?;
        self.bias = self.bias.f_sub(&edge)?;
        Ok(())
    }
}
