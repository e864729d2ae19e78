//! ResNet-50 (He et al. 2015, <https://arxiv.org/abs/1512.03385>) with torchvision's parameter
//! names, and the head of this project; and EfficientNet-Lite0 with the same head, which teaches and is not served.
//!
//! Every layer is a function of a path: its parameters live in the `VarStore` under torchvision's
//! names (`conv1.weight`, `layer1.0.bn2.running_var`, …) and the head's under `head.`.
//!
//! The kind of the images decides the arithmetic of the trunk: give it `BFloat16` and convolutions
//! run in bf16 on weights cast on the way (differentiably; the stored weights stay as they are),
//! give it `Float` and all is fp32. The head always computes in fp32.

mod architecture;
mod efficientnet;
mod head;
mod layers;
mod resnet;
#[cfg(test)]
mod tests;

use tch::{Tensor, nn};

pub use architecture::Architecture;
pub use efficientnet::EfficientNet;
pub use head::{Head, Output};
pub use layers::channels_last;
pub use resnet::{Layout, ResNet};

/// Images to the last feature map.
#[derive(Debug)]
enum Trunk {
    ResNet(ResNet),
    EfficientNet(EfficientNet),
}

/// The whole network: trunk and head.
#[derive(Debug)]
pub struct Network {
    trunk: Trunk,
    /// Feature map to logits.
    pub head: Head,
}

impl Network {
    /// ResNet-50 and its head, freshly initialised under `path`.
    #[must_use]
    pub fn new(path: &nn::Path) -> Self {
        Self::with_layout(path, Layout::RESNET50)
    }

    /// Any network that can be trained, freshly initialised under `path`.
    #[must_use]
    pub fn of(path: &nn::Path, architecture: Architecture) -> Self {
        let trunk = match architecture {
            Architecture::ResNet(layout) => Trunk::ResNet(ResNet::new(path, layout)),
            Architecture::EfficientNetLite0 => Trunk::EfficientNet(EfficientNet::new(path)),
        };
        Self { trunk, head: Head::new(&(path / "head"), architecture.features()) }
    }

    /// A residual network of another depth or width: for tests that must be quick.
    #[must_use]
    pub fn with_layout(path: &nn::Path, layout: Layout) -> Self {
        Self::of(path, Architecture::ResNet(layout))
    }

    /// Normalised images `[N, 1 or 3, H, W]` to logits. `train` makes batch norms use and update
    /// the statistics of the batch, and turns dropout on.
    #[must_use]
    pub fn forward(&self, images: &Tensor, train: bool) -> Output {
        self.head.forward(&self.map(images, train), train)
    }

    /// The last feature map of the trunk, `[N, features, H/32, W/32]`, in evaluation mode.
    pub fn trunk_features(&self, images: &Tensor) -> Tensor {
        self.map(images, false)
    }

    fn map(&self, images: &Tensor, train: bool) -> Tensor {
        match &self.trunk {
            Trunk::ResNet(trunk) => trunk.forward(images, train),
            Trunk::EfficientNet(trunk) => trunk.forward(images, train),
        }
    }

    /// Logits from the trunk's feature map, in evaluation mode. Differentiable, for Grad-CAM.
    #[must_use]
    pub fn head_from_features(&self, map: &Tensor) -> Output {
        self.head.forward(map, false)
    }
}
