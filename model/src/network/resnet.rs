//! The trunk: a residual network of bottleneck blocks, torchvision's `resnet50` without its last
//! layer.

use tch::{Tensor, nn};

use super::layers::{BatchNorm, Convolution, channels_last};

/// Widening of a block's output over its inner width.
const EXPANSION: i64 = 4;

/// Depth and width of a residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Blocks in each of the four stages.
    pub blocks: [i64; 4],
    /// Channels after the first convolution; each stage doubles the inner width.
    pub width: i64,
}

impl Layout {
    /// ResNet-50.
    pub const RESNET50: Self = Self { blocks: [3, 4, 6, 3], width: 64 };

    /// Channels of the last feature map: 2048 for ResNet-50.
    #[must_use]
    pub fn features(self) -> i64 {
        self.width * 8 * EXPANSION
    }
}

/// Images to the last feature map.
#[derive(Debug)]
pub struct ResNet {
    conv1: Convolution,
    bn1: BatchNorm,
    stages: Vec<Vec<Bottleneck>>,
}

impl ResNet {
    /// A trunk freshly initialised under `path`.
    #[must_use]
    pub fn new(path: &nn::Path, layout: Layout) -> Self {
        let mut from = layout.width;
        let mut stages = Vec::new();
        for (index, &blocks) in layout.blocks.iter().enumerate() {
            let stage = path / format!("layer{}", index + 1);
            let width = layout.width << index;
            let mut built = Vec::new();
            for block in 0..blocks {
                let stride = if index > 0 && block == 0 { 2 } else { 1 };
                built.push(Bottleneck::new(&(&stage / block), from, width, stride));
                from = width * EXPANSION;
            }
            stages.push(built);
        }
        Self {
            conv1: Convolution::new(&(path / "conv1"), 3, layout.width, 7, 2),
            bn1: BatchNorm::new(&(path / "bn1"), layout.width, 1.0),
            stages,
        }
    }

    /// Normalised images `[N, 3, H, W]`, or grey ones `[N, 1, H, W]` that stand for three equal
    /// channels, to the map `[N, features, H/32, W/32]`.
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let images = channels_last(images);
        let stem = if images.size().get(1) == Some(&1) {
            self.conv1.forward_grey(&images)
        } else {
            self.conv1.forward(&images)
        };
        let mut map = self
            .bn1
            .forward(&stem, train)
            .relu_()
            .max_pool2d([3; 2], [2; 2], [1; 2], [1; 2], false);
        for block in self.stages.iter().flatten() {
            map = block.forward(&map, train);
        }
        map
    }
}

/// 1×1, 3×3, 1×1 with a shortcut; the stride sits on the 3×3 as in torchvision.
#[derive(Debug)]
struct Bottleneck {
    conv1: Convolution,
    bn1: BatchNorm,
    conv2: Convolution,
    bn2: BatchNorm,
    conv3: Convolution,
    bn3: BatchNorm,
    downsample: Option<(Convolution, BatchNorm)>,
}

impl Bottleneck {
    fn new(path: &nn::Path, from: i64, width: i64, stride: i64) -> Self {
        let to = width * EXPANSION;
        let downsample = (stride != 1 || from != to).then(|| {
            let path = path / "downsample";
            (
                Convolution::new(&(&path / 0), from, to, 1, stride),
                BatchNorm::new(&(&path / 1), to, 1.0),
            )
        });
        Self {
            conv1: Convolution::new(&(path / "conv1"), from, width, 1, 1),
            bn1: BatchNorm::new(&(path / "bn1"), width, 1.0),
            conv2: Convolution::new(&(path / "conv2"), width, width, 3, stride),
            bn2: BatchNorm::new(&(path / "bn2"), width, 1.0),
            conv3: Convolution::new(&(path / "conv3"), width, to, 1, 1),
            bn3: BatchNorm::new(&(path / "bn3"), to, 0.0),
            downsample,
        }
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = self.bn1.forward(&self.conv1.forward(xs), train).relu_();
        let ys = self.bn2.forward(&self.conv2.forward(&ys), train).relu_();
        let mut ys = self.bn3.forward(&self.conv3.forward(&ys), train);
        // In place: what batch norm's backward needs is its input, not its output.
        let sum = match &self.downsample {
            Some((conv, bn)) => ys.g_add_(&bn.forward(&conv.forward(xs), train)),
            None => ys.g_add_(xs),
        };
        { sum }.relu_()
    }
}
