//! The folded trunk in 8-bit integers on oneDNN: about one and a half times as quick as bf16 where the CPU
//! multiplies bytes (AVX-512 VNNI, AMX), and a little less exact. Only a model that carries the [`Ranges`] of its
//! activations runs so.
//!
//! The first convolution stays in the precision around it: one channel costs little, and everything
//! depends on it. Weights are rounded symmetrically, each output channel by its own scale; activations
//! by one scale for each layer. The last feature map leaves in fp32.

#![allow(unsafe_code)] // calls into C++

mod ranges;

use std::ffi::{c_char, c_int};

use lobar_core::engine::NetworkInput;
use tch::{Device, Kind, TchError, Tensor};
use torch_sys::C_tensor;

pub use ranges::{PREFIX, Ranges, Scale};

use super::{folded, fused};

/// A layer, as `quantized.cpp` takes it.
#[repr(C)]
struct Layer {
    weight: *const C_tensor,
    scales: *const C_tensor,
    zeros: *const C_tensor,
    bias: *const C_tensor,
    stride: i64,
    padding: i64,
    x_scale: f64,
    x_zero: i64,
    y_scale: f64,
    y_zero: i64,
}

unsafe extern "C" {
    fn lobar_quantized_pack(
        weight: *const C_tensor,
        scales: *const C_tensor,
        x_scale: f64,
        x_zero: i64,
        stride: i64,
        padding: i64,
        shape: *const i64,
        error: *mut *mut c_char,
    ) -> *mut C_tensor;

    fn lobar_quantized_convolution(
        layer: *const Layer,
        x: *const C_tensor,
        relu: c_int,
        error: *mut *mut c_char,
    ) -> *mut C_tensor;

    fn lobar_quantized_convolution_add_relu(
        layer: *const Layer,
        x: *const C_tensor,
        sum: *const C_tensor,
        sum_scale: f64,
        sum_zero: i64,
        error: *mut *mut c_char,
    ) -> *mut C_tensor;
}

/// Grey images to the last feature map, on the CPU.
#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) stem: fused::Convolution,
    /// Of the stem's answer.
    scale: Scale,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    inner: [Convolution; 3],
    shortcut: Option<Convolution>,
    /// Of what is added at the end: the shortcut's answer, or what came in.
    sum: Scale,
}

#[derive(Debug)]
struct Convolution {
    /// Packed: opaque to everything but oneDNN.
    weight: Tensor,
    /// Of the weight, `[outputs]`.
    scales: Tensor,
    /// `[outputs]`, all 0: weights are rounded symmetrically.
    zeros: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
    x: Scale,
    y: Scale,
}

impl Trunk {
    /// Rounds and packs `trunk` for batches of `batch` images; other batches run too. `kind` is the
    /// stem's.
    ///
    /// # Errors
    /// Where libtorch has no oneDNN, or when `ranges` are of another network.
    pub(crate) fn pack(
        trunk: &folded::Trunk,
        ranges: &Ranges,
        kind: Kind,
        batch: usize,
    ) -> Result<Self, TchError> {
        let mut scales = ranges.scales();
        let mut next = || {
            scales.next().ok_or_else(|| TchError::Torch("too few ranges for this network".into()))
        };
        let batch = batch as i64;
        let stem = trunk.stem.to(kind, Device::Cpu)?;
        let mut side = NetworkInput::SIDE as i64;
        let packed_stem = fused::Convolution::pack(&stem, batch, side)?;
        side /= stem.stride * 2; // and the pooling after it
        let scale = next()?;
        let mut x = scale;
        let mut blocks = Vec::with_capacity(trunk.blocks.len());
        for block in &trunk.blocks {
            let [first, second, third] = &block.inner;
            let (after_first, after_second) = (next()?, next()?);
            let narrow = side / first.stride;
            let out = narrow / second.stride;
            let (shortcut, sum) = match &block.shortcut {
                Some(shortcut) => {
                    let sum = next()?;
                    (Some(Convolution::pack(shortcut, [x, sum], batch, side)?), sum)
                }
                None => (None, x),
            };
            let y = next()?;
            let inner = [
                Convolution::pack(first, [x, after_first], batch, side)?,
                Convolution::pack(second, [after_first, after_second], batch, narrow)?,
                Convolution::pack(third, [after_second, y], batch, out)?,
            ];
            blocks.push(Block { inner, shortcut, sum });
            (x, side) = (y, out);
        }
        if next().is_ok() {
            return Err(TchError::Torch("too many ranges for this network".into()));
        }
        Ok(Self { stem: packed_stem, scale, blocks })
    }

    /// The same weights for another thread: a forward pass only reads them.
    pub(crate) fn share(&self) -> Self {
        let blocks = self.blocks.iter().map(Block::share).collect();
        Self { stem: self.stem.share(), scale: self.scale, blocks }
    }

    /// Normalised channels-last images `[N, 1, H, W]` of the stem's kind to the feature map
    /// `[N, features, H/32, W/32]`, fp32.
    pub(crate) fn forward(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let stem = self.stem.forward(images, true)?;
        let map = stem.f_max_pool2d([3; 2], [2; 2], [1; 2], [1; 2], false)?;
        let Scale { step, zero } = self.scale;
        let map = map.f_to_kind(Kind::Float)?;
        let mut map = map.f_quantize_per_tensor(step, zero, Kind::QUInt8)?.f_int_repr()?;
        let mut scale = self.scale;
        for block in &self.blocks {
            map = block.forward(map)?;
            scale = block.inner[2].y;
        }
        let shifted = map.f_to_kind(Kind::Float)?.f_sub_scalar(scale.zero)?;
        shifted.f_mul_scalar(scale.step)
    }
}

impl Block {
    fn share(&self) -> Self {
        let shortcut = self.shortcut.as_ref().map(Convolution::share);
        Self { inner: self.inner.each_ref().map(Convolution::share), shortcut, sum: self.sum }
    }

    fn forward(&self, xs: Tensor) -> Result<Tensor, TchError> {
        let [first, second, third] = &self.inner;
        let ys = second.forward(&first.forward(&xs, true)?, true)?;
        let sum = match &self.shortcut {
            Some(shortcut) => shortcut.forward(&xs, false)?,
            None => xs,
        };
        third.add_to(sum, self.sum, &ys)
    }
}

impl Convolution {
    fn pack(
        from: &folded::Convolution,
        [x, y]: [Scale; 2],
        batch: i64,
        side: i64,
    ) -> Result<Self, TchError> {
        let weight = from.weight.f_to_kind(Kind::Float)?.f_contiguous()?;
        let (outputs, inputs, _, _) = weight.size4()?;
        let largest = weight.f_abs()?.f_amax([1i64, 2, 3].as_slice(), false)?;
        let scales = largest.f_div_scalar(127.0)?.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
        let levels = weight.f_div(&scales.f_view([-1, 1, 1, 1])?)?.f_round()?;
        let levels = levels.f_clamp(-127.0, 127.0)?.f_to_kind(Kind::Int8)?;
        let zeros = Tensor::f_zeros([outputs], (Kind::Int, Device::Cpu))?;
        let shape = [batch, inputs, side, side];
        let mut error = std::ptr::null_mut();
        // SAFETY: tensors and shape live through the call, which only reads them; the result is a tensor
        // of ours, or null with an error.
        let packed = unsafe {
            let made = lobar_quantized_pack(
                levels.as_ptr(),
                scales.as_ptr(),
                x.step,
                x.zero,
                from.stride,
                from.padding,
                shape.as_ptr(),
                &raw mut error,
            );
            fused::own(made, error)?
        };
        let bias = from.bias.f_to_kind(Kind::Float)?;
        let (stride, padding) = (from.stride, from.padding);
        Ok(Self { weight: packed, scales, zeros, bias, stride, padding, x, y })
    }

    fn share(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            scales: self.scales.shallow_clone(),
            zeros: self.zeros.shallow_clone(),
            bias: self.bias.shallow_clone(),
            ..*self
        }
    }

    fn layer(&self) -> Layer {
        Layer {
            weight: self.weight.as_ptr(),
            scales: self.scales.as_ptr(),
            zeros: self.zeros.as_ptr(),
            bias: self.bias.as_ptr(),
            stride: self.stride,
            padding: self.padding,
            x_scale: self.x.step,
            x_zero: self.x.zero,
            y_scale: self.y.step,
            y_zero: self.y.zero,
        }
    }

    fn forward(&self, xs: &Tensor, relu: bool) -> Result<Tensor, TchError> {
        let (layer, mut error) = (self.layer(), std::ptr::null_mut());
        // SAFETY: as above; the layer's tensors are this convolution's own.
        unsafe {
            let made = lobar_quantized_convolution(
                &raw const layer,
                xs.as_ptr(),
                c_int::from(relu),
                &raw mut error,
            );
            fused::own(made, error)
        }
    }

    /// ReLU of `sum` and this convolution of `xs`, in the memory of `sum`, which nobody else holds.
    fn add_to(&self, sum: Tensor, scale: Scale, xs: &Tensor) -> Result<Tensor, TchError> {
        let (layer, mut error) = (self.layer(), std::ptr::null_mut());
        // SAFETY: as above; `sum` was made by the layer before and is given away.
        unsafe {
            let made = lobar_quantized_convolution_add_relu(
                &raw const layer,
                xs.as_ptr(),
                sum.as_ptr(),
                scale.step,
                scale.zero,
                &raw mut error,
            );
            fused::own(made, error)
        }
    }
}
