//! The networks that can be trained. One is served, the other only teaches.

use std::fmt;
use std::str::FromStr;

use super::Layout;
use super::efficientnet::FEATURES;

/// What stands between an image and the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// A residual network of bottleneck blocks: what the engine runs.
    ResNet(Layout),
    /// EfficientNet-Lite0, for which ImageNet weights can be had: a teacher, see [`super::EfficientNet`].
    EfficientNetLite0,
}

impl Architecture {
    /// ResNet-50.
    pub const RESNET50: Self = Self::ResNet(Layout::RESNET50);

    /// Channels of the last feature map: 2048 for ResNet-50, 1280 for EfficientNet-Lite0.
    #[must_use]
    pub fn features(self) -> i64 {
        match self {
            Self::ResNet(layout) => layout.features(),
            Self::EfficientNetLite0 => FEATURES,
        }
    }

    /// The word for it in a model's name: `resnet50`, `efficientnet-lite0`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet(_) => "resnet50",
            Self::EfficientNetLite0 => "efficientnet-lite0",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::RESNET50, Self::EfficientNetLite0]
            .into_iter()
            .find(|known| known.name() == text)
            .ok_or_else(|| format!("{text:?} is neither resnet50 nor efficientnet-lite0"))
    }
}
