//! The network with its batch norms folded away: convolutions with a bias, and nothing between them
//! and their ReLU.

use tch::{Device, Kind, TchError, Tensor};

use crate::network::channels_last;

/// A convolution with a batch norm folded in.
#[derive(Debug)]
pub struct Convolution {
    /// `[outputs, inputs, side, side]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
    /// Pixels from one place of the kernel to the next, both ways.
    pub stride: i64,
    /// Pixels of zeros on every side.
    pub padding: i64,
}

/// Sees activations as they come.
pub type Watch<'a> = dyn FnMut(&Tensor) -> Result<(), TchError> + 'a;

/// 1×1, 3×3, 1×1 with a shortcut.
#[derive(Debug)]
pub struct Block {
    /// 1×1, 3×3, 1×1.
    pub inner: [Convolution; 3],
    /// A 1×1 where the shape changes; else what came in is added as it is.
    pub shortcut: Option<Convolution>,
}

/// Grey images to the last feature map.
#[derive(Debug)]
pub struct Trunk {
    /// The first convolution, 7×7, before the pooling.
    pub stem: Convolution,
    /// The blocks of all stages, in order.
    pub blocks: Vec<Block>,
}

/// A fully connected layer.
#[derive(Debug)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
}

/// Pooled features to the two logits. Always fp32: it costs nothing and the answer is made here.
#[derive(Debug)]
pub struct Head {
    /// Layers with a ReLU after them.
    pub hidden: Vec<Linear>,
    /// To the logits of pneumonia, and of bacterial given pneumonia.
    pub outputs: Linear,
}

impl Trunk {
    /// The same in another precision or place, laid out channels-last.
    ///
    /// # Errors
    /// libtorch's.
    pub fn to(&self, kind: Kind, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            stem: self.stem.to(kind, device)?,
            blocks: self.blocks.iter().map(|b| b.to(kind, device)).collect::<Result<_, _>>()?,
        })
    }

    /// The same weights for another thread: a forward pass only reads them.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { stem: self.stem.share(), blocks: self.blocks.iter().map(Block::share).collect() }
    }

    /// Normalised channels-last images `[N, 1, H, W]` of the trunk's own kind to the feature map
    /// `[N, features, H/32, W/32]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor, TchError> {
        self.forward_watched(images, &mut |_| Ok(()))
    }

    /// The same, showing every activation to `watch`: after the stem and its pooling, then in every block
    /// after the first and the second convolution, the shortcut's if there is one, and the block.
    ///
    /// # Errors
    /// libtorch's, or what `watch` returned.
    pub fn forward_watched(
        &self,
        images: &Tensor,
        watch: &mut Watch<'_>,
    ) -> Result<Tensor, TchError> {
        let stem = self.stem.forward(images)?.f_relu_()?;
        let mut map = stem.f_max_pool2d([3; 2], [2; 2], [1; 2], [1; 2], false)?;
        watch(&map)?;
        for block in &self.blocks {
            map = block.forward(&map, watch)?;
        }
        Ok(map)
    }
}

impl Block {
    fn share(&self) -> Self {
        let shortcut = self.shortcut.as_ref().map(Convolution::share);
        Self { inner: self.inner.each_ref().map(Convolution::share), shortcut }
    }

    fn to(&self, kind: Kind, device: Device) -> Result<Self, TchError> {
        let [first, second, third] = &self.inner;
        Ok(Self {
            inner: [first.to(kind, device)?, second.to(kind, device)?, third.to(kind, device)?],
            shortcut: self.shortcut.as_ref().map(|c| c.to(kind, device)).transpose()?,
        })
    }

    fn forward(&self, xs: &Tensor, watch: &mut Watch<'_>) -> Result<Tensor, TchError> {
        let [first, second, third] = &self.inner;
        let ys = first.forward(xs)?.f_relu_()?;
        watch(&ys)?;
        let ys = second.forward(&ys)?.f_relu_()?;
        watch(&ys)?;
        let mut ys = third.forward(&ys)?;
        let mut sum = match &self.shortcut {
            Some(shortcut) => {
                let shortcut = shortcut.forward(xs)?;
                watch(&shortcut)?;
                ys.f_add_(&shortcut)?
            }
            None => ys.f_add_(xs)?,
        };
        let sum = sum.f_relu_()?;
        watch(&sum)?;
        Ok(sum)
    }
}

impl Convolution {
    fn share(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        Self { weight, bias, ..*self }
    }

    pub(super) fn to(&self, kind: Kind, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            weight: channels_last(&self.weight.f_to_kind(kind)?.f_to_device(device)?),
            bias: self.bias.f_to_kind(kind)?.f_to_device(device)?,
            ..*self
        })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        xs.f_conv2d(&self.weight, Some(&self.bias), stride, padding, [1; 2], 1)
    }
}

impl Head {
    /// The same in another place.
    ///
    /// # Errors
    /// libtorch's.
    pub fn to(&self, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            hidden: self.hidden.iter().map(|l| l.to(device)).collect::<Result<_, _>>()?,
            outputs: self.outputs.to(device)?,
        })
    }

    /// The same weights for another thread.
    #[must_use]
    pub fn share(&self) -> Self {
        let hidden = self.hidden.iter().map(Linear::share).collect();
        Self { hidden, outputs: self.outputs.share() }
    }

    /// fp32 features `[N, features]` to fp32 logits `[N, 2]`: pneumonia, and bacterial given
    /// pneumonia. Differentiable.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, pooled: &Tensor) -> Result<Tensor, TchError> {
        let mut xs = pooled.shallow_clone();
        for layer in &self.hidden {
            xs = layer.forward(&xs)?.f_relu()?;
        }
        self.outputs.forward(&xs)
    }
}

impl Linear {
    fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }

    fn to(&self, device: Device) -> Result<Self, TchError> {
        Ok(Self { weight: self.weight.f_to_device(device)?, bias: self.bias.f_to_device(device)? })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        xs.f_linear(&self.weight, Some(&self.bias))
    }
}
