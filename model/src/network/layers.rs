//! The layers that the network is made of. tch's own keep the kind of their weights; these cast
//! them to the kind of what comes in, so that fp32 weights can train in bf16 arithmetic.

use tch::nn::Init;
use tch::{Kind, Tensor, nn};

/// Share of a new batch in the running statistics, as in torchvision.
const MOMENTUM: f64 = 0.1;
/// Added to a variance before its root is taken, as in torchvision.
const EPSILON: f64 = 1e-5;

/// The same tensor `[N, C, H, W]` with its channels lying beside one another in memory, the order
/// in which convolutions on a CPU are quickest.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    match tensor.size()[..] {
        // One channel is in both orders at once; what libtorch looks at is the stride.
        [n, 1, h, w] => tensor.contiguous().view([n, h, w, 1]).permute([0, 3, 1, 2]),
        [_, _, _, _] => tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
        _ => tensor.shallow_clone(),
    }
}

/// A convolution without bias.
#[derive(Debug)]
pub(crate) struct Convolution {
    weight: Tensor,
    stride: i64,
    padding: i64,
}

impl Convolution {
    /// A square kernel of `side` pixels with "same" padding for stride 1.
    pub(crate) fn new(path: &nn::Path, from: i64, to: i64, side: i64, stride: i64) -> Self {
        // Kaiming, fan out, ReLU: torchvision's.
        let stdev = (2.0 / (to * side * side) as f64).sqrt();
        let mut weight =
            path.var("weight", &[to, from, side, side], Init::Randn { mean: 0.0, stdev });
        if side > 1 {
            let reordered = tch::no_grad(|| channels_last(&weight));
            weight.set_data(&reordered);
        }
        Self { weight, stride, padding: side / 2 }
    }

    pub(crate) fn forward(&self, xs: &Tensor) -> Tensor {
        self.convolve(xs, &self.weight.to_kind(xs.kind()))
    }

    /// The same for one channel that stands for several equal ones: their weights are summed.
    pub(crate) fn forward_grey(&self, xs: &Tensor) -> Tensor {
        let summed = self.weight.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        self.convolve(xs, &channels_last(&summed.to_kind(xs.kind())))
    }

    fn convolve(&self, xs: &Tensor, weight: &Tensor) -> Tensor {
        xs.conv2d(weight, None::<Tensor>, [self.stride; 2], [self.padding; 2], [1; 2], 1)
    }
}

/// Batch normalisation over the second dimension, of feature maps or of plain features.
#[derive(Debug)]
pub(crate) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    epsilon: f64,
}

impl BatchNorm {
    /// `gain` is what the weights start at: 1, or 0 for the last norm of a residual branch, which
    /// makes every block begin as the identity and steadies training from scratch.
    pub(crate) fn new(path: &nn::Path, features: i64, gain: f64) -> Self {
        Self {
            weight: path.var("weight", &[features], Init::Const(gain)),
            bias: path.var("bias", &[features], Init::Const(0.0)),
            running_mean: path.zeros_no_train("running_mean", &[features]),
            running_var: path.ones_no_train("running_var", &[features]),
            epsilon: EPSILON,
        }
    }

    /// One that adds another `epsilon` to the variance before its root is taken.
    pub(crate) fn with_epsilon(path: &nn::Path, features: i64, epsilon: f64) -> Self {
        Self { epsilon, ..Self::new(path, features, 1.0) }
    }

    /// A norm whose weights are frozen keeps its statistics too, and uses them, even in training.
    pub(crate) fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let train = train && self.weight.requires_grad();
        xs.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            train,
            MOMENTUM,
            self.epsilon,
            false,
        )
    }
}

/// A fully connected layer.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(crate) fn new(path: &nn::Path, from: i64, to: i64) -> Self {
        let bound = 1.0 / (from as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Self { weight: path.var("weight", &[to, from], init), bias: path.var("bias", &[to], init) }
    }

    pub(crate) fn forward(&self, xs: &Tensor) -> Tensor {
        xs.linear(&self.weight, Some(&self.bias))
    }
}
