//! The forms in which a trunk and a head run.

use tch::{Device, TchError, Tensor};

use super::int8::{self, Ranges};
use super::script::Script;
use super::{folded, fused};
use crate::precision::{self, Precision};

/// A trunk, ready to run.
#[derive(Debug)]
pub(crate) enum Backend {
    /// Layer by layer: anywhere.
    Plain(folded::Trunk),
    /// Fused by oneDNN: on a CPU that it knows.
    Fused(fused::Trunk),
    /// In 8-bit integers: on a CPU that multiplies them.
    Int8(int8::Trunk),
    /// A TorchScript module, which takes grey levels that are not normalised.
    Script(Script),
}

impl Backend {
    /// What may run `trunk` in `precision` on `device`, the quickest first. Nothing in int8 without
    /// `ranges`.
    pub(crate) fn candidates(
        trunk: &folded::Trunk,
        ranges: Option<&Ranges>,
        precision: Precision,
        device: Device,
        batch: usize,
    ) -> Vec<Self> {
        let mut forms = Vec::new();
        let mut keep = |form: Result<Self, TchError>| match form {
            Ok(form) => forms.push(form),
            Err(error) => tracing::debug!(%error, "backend not available in this libtorch"),
        };
        let kind = precision::kind(precision, device);
        if precision == Precision::Int8 {
            if let (Some(ranges), Device::Cpu) = (ranges, device) {
                keep(int8::Trunk::pack(trunk, ranges, kind, batch).map(Self::Int8));
            }
            return forms;
        }
        if device == Device::Cpu {
            keep(fused::Trunk::pack(trunk, kind, batch).map(Self::Fused));
        }
        keep(trunk.to(kind, device).map(Self::Plain));
        forms
    }

    /// The same weights for another thread.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Plain(trunk) => Self::Plain(trunk.share()),
            Self::Fused(trunk) => Self::Fused(trunk.share()),
            Self::Int8(trunk) => Self::Int8(trunk.share()),
            Self::Script(script) => Self::Script(script.clone()),
        }
    }

    /// Normalised channels-last images `[N, 1, H, W]`, or for a script, which normalises for itself, grey
    /// levels, to the feature map `[N, features, H/32, W/32]`.
    pub(crate) fn forward(&self, images: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Plain(trunk) => trunk.forward(images),
            Self::Fused(trunk) => trunk.forward(images),
            Self::Int8(trunk) => trunk.forward(images),
            Self::Script(script) => script.features(images),
        }
    }

    /// The bias of the first convolution, for tests that do damage.
    #[cfg(test)]
    pub(crate) fn stem_bias(&mut self) -> &mut Tensor {
        match self {
            Self::Plain(trunk) => &mut trunk.stem.bias,
            Self::Fused(trunk) => &mut trunk.stem.bias,
            Self::Int8(trunk) => &mut trunk.stem.bias,
            Self::Script(_) => unreachable!("a script is not damaged"),
        }
    }
}

/// A head, ready to run.
#[derive(Debug)]
pub(crate) enum Head {
    /// Layer by layer, in fp32.
    Folded(folded::Head),
    /// A TorchScript module.
    Script(Script),
}

impl Head {
    /// The same weights for another thread.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Folded(head) => Self::Folded(head.share()),
            Self::Script(script) => Self::Script(script.clone()),
        }
    }

    /// fp32 features `[N, features]` to fp32 logits `[N, 2]`: pneumonia, and bacterial given
    /// pneumonia. Differentiable.
    pub(crate) fn forward(&self, pooled: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Folded(head) => head.forward(pooled),
            Self::Script(script) => script.classify(pooled),
        }
    }

    /// The bias of the outputs, for tests that do damage.
    #[cfg(test)]
    pub(crate) fn output_bias(&mut self) -> &mut Tensor {
        match self {
            Self::Folded(head) => &mut head.outputs.bias,
            Self::Script(_) => unreachable!("a script is not damaged"),
        }
    }
}
