//! ResNet-50 (He et al. 2015, <https://arxiv.org/abs/1512.03385>) with torchvision's parameter
//! names, and the head of this project.
//!
//! Every layer is a function of a path: its parameters live in the `VarStore` under torchvision's
//! names (`conv1.weight`, `layer1.0.bn2.running_var`, …) and the head's under `head.`.
//!
//! The kind of the images decides the arithmetic of the trunk: give it `BFloat16` and convolutions
//! run in bf16 on weights cast on the way (differentiably; the stored weights stay as they are),
//! give it `Float` and all is fp32. The head always computes in fp32.

mod head;
mod layers;
mod resnet;
#[cfg(test)]
mod tests;

use tch::{Tensor, nn};

pub use head::{Head, Output};
pub use layers::channels_last;
pub use resnet::{Layout, Trunk};

/// The whole network: trunk and head.
#[derive(Debug)]
pub struct Network {
    /// Images to feature map.
    pub trunk: Trunk,
    /// Feature map to logits.
    pub head: Head,
}

impl Network {
    /// ResNet-50 and its head, freshly initialised under `path`.
    #[must_use]
    pub fn new(path: &nn::Path) -> Self {
        Self::with_layout(path, Layout::RESNET50)
    }

    /// A residual network of another depth or width: for tests that must be quick.
    #[must_use]
    pub fn with_layout(path: &nn::Path, layout: Layout) -> Self {
        Self {
            trunk: Trunk::new(path, layout),
            head: Head::new(&(path / "head"), layout.features()),
        }
    }

    /// Normalised images `[N, 1 or 3, H, W]` to logits. `train` makes batch norms use and update
    /// the statistics of the batch, and turns dropout on.
    #[must_use]
    pub fn forward(&self, images: &Tensor, train: bool) -> Output {
        self.head.forward(&self.trunk.forward(images, train), train)
    }

    /// The last feature map of the trunk, `[N, 2048, H/32, W/32]`, in evaluation mode.
    pub fn trunk_features(&self, images: &Tensor) -> Tensor {
        self.trunk.forward(images, false)
    }

    /// Logits from the trunk's feature map, in evaluation mode. Differentiable, for Grad-CAM.
    #[must_use]
    pub fn head_from_features(&self, map: &Tensor) -> Output {
        self.head.forward(map, false)
    }
}
