//! The folded trunk on oneDNN: bias, sum and ReLU computed inside the convolution, on weights that
//! were packed once for the CPU's instructions. Seven to nine per cent quicker than layer by layer.
//!
//! The operators are libtorch's own, but not among those that tch exports; `fused.cpp` calls them.
//!
//! oneDNN's ReLU turns what is not a number into 0, where libtorch's would pass it on. So nothing of
//! the kind may arise in here: weights are checked when they are read, pixels have 256 known values,
//! and bf16 has the range of fp32. The head, which makes the answer, is not fused and passes it on.

#![allow(unsafe_code)] // calls into C++

use std::ffi::{CStr, c_char, c_int};

use lobar_core::engine::NetworkInput;
use tch::{Device, Kind, TchError, Tensor};
use torch_sys::C_tensor;

use super::folded;

unsafe extern "C" {
    fn lobar_convolution(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        stride: i64,
        padding: i64,
        relu: c_int,
        error: *mut *mut c_char,
    ) -> *mut C_tensor;

    fn lobar_convolution_add_relu(
        sum: *mut C_tensor,
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        stride: i64,
        padding: i64,
        error: *mut *mut c_char,
    ) -> *mut C_tensor;
}

/// Grey images to the last feature map, on the CPU.
#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) stem: Convolution,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    inner: [Convolution; 3],
    shortcut: Option<Convolution>,
}

#[derive(Debug)]
pub(crate) struct Convolution {
    /// Packed: opaque to everything but oneDNN.
    weight: Tensor,
    pub(crate) bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Trunk {
    /// Packs `trunk` in `kind` for batches of `batch` images; other batches run too.
    ///
    /// # Errors
    /// Where libtorch has no oneDNN.
    pub(crate) fn pack(trunk: &folded::Trunk, kind: Kind, batch: usize) -> Result<Self, TchError> {
        let trunk = trunk.to(kind, Device::Cpu)?;
        let pack = |convolution: &folded::Convolution, side: &mut i64| {
            let packed = Convolution::pack(convolution, batch as i64, *side)?;
            *side /= convolution.stride;
            Ok::<_, TchError>(packed)
        };
        let mut side = NetworkInput::SIDE as i64;
        let stem = pack(&trunk.stem, &mut side)?;
        side /= 2; // the pooling after the stem
        let mut blocks = Vec::with_capacity(trunk.blocks.len());
        for block in &trunk.blocks {
            let shortcut = block.shortcut.as_ref();
            let shortcut = shortcut.map(|c| pack(c, &mut side.clone())).transpose()?;
            let [first, second, third] = &block.inner;
            let inner =
                [pack(first, &mut side)?, pack(second, &mut side)?, pack(third, &mut side)?];
            blocks.push(Block { inner, shortcut });
        }
        Ok(Self { stem, blocks })
    }

    /// The same weights for another thread: a forward pass only reads them.
    pub(crate) fn share(&self) -> Self {
        Self { stem: self.stem.share(), blocks: self.blocks.iter().map(Block::share).collect() }
    }

    /// As [`folded::Trunk::forward`].
    pub(crate) fn forward(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let stem = self.stem.forward(images, true)?;
        let mut map = stem.f_max_pool2d([3; 2], [2; 2], [1; 2], [1; 2], false)?;
        for block in &self.blocks {
            map = block.forward(map)?;
        }
        Ok(map)
    }
}

impl Block {
    fn share(&self) -> Self {
        let shortcut = self.shortcut.as_ref().map(Convolution::share);
        Self { inner: self.inner.each_ref().map(Convolution::share), shortcut }
    }

    fn forward(&self, xs: Tensor) -> Result<Tensor, TchError> {
        let [first, second, third] = &self.inner;
        let ys = second.forward(&first.forward(&xs, true)?, true)?;
        let sum = match &self.shortcut {
            Some(shortcut) => shortcut.forward(&xs, false)?,
            None => xs,
        };
        third.add_to(sum, &ys)
    }
}

impl Convolution {
    pub(super) fn pack(
        from: &folded::Convolution,
        batch: i64,
        side: i64,
    ) -> Result<Self, TchError> {
        let channels = from.weight.size4()?.1;
        let weight = from.weight.f_to_mkldnn(from.weight.f_kind()?)?;
        let weight = weight.f_mkldnn_reorder_conv2d_weight(
            [from.padding; 2],
            [from.stride; 2],
            [1; 2],
            1,
            [batch, channels, side, side].as_slice(),
        )?;
        let (stride, padding) = (from.stride, from.padding);
        Ok(Self { weight, bias: from.bias.shallow_clone(), stride, padding })
    }

    pub(super) fn share(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        Self { weight, bias, ..*self }
    }

    pub(super) fn forward(&self, xs: &Tensor, relu: bool) -> Result<Tensor, TchError> {
        let mut error = std::ptr::null_mut();
        // SAFETY: the three tensors live through the call, which only reads them; the result is a
        // tensor of ours, or null with an error.
        unsafe {
            let made = lobar_convolution(
                xs.as_ptr(),
                self.weight.as_ptr(),
                self.bias.as_ptr(),
                self.stride,
                self.padding,
                c_int::from(relu),
                &raw mut error,
            );
            own(made, error)
        }
    }

    /// ReLU of `sum` and this convolution of `xs`, in the memory of `sum`.
    fn add_to(&self, mut sum: Tensor, xs: &Tensor) -> Result<Tensor, TchError> {
        let mut error = std::ptr::null_mut();
        // SAFETY: as above; `sum` is written, and nobody else holds its memory: it was made by the
        // layer before.
        unsafe {
            let made = lobar_convolution_add_relu(
                sum.as_mut_ptr(),
                xs.as_ptr(),
                self.weight.as_ptr(),
                self.bias.as_ptr(),
                self.stride,
                self.padding,
                &raw mut error,
            );
            own(made, error)
        }
    }
}

/// The tensor that a call made, or its error.
///
/// # Safety
/// `made` is a tensor that nobody else owns, or null; then `error` is null or a C string from
/// `malloc` that nobody else owns.
pub(super) unsafe fn own(made: *mut C_tensor, error: *mut c_char) -> Result<Tensor, TchError> {
    if !made.is_null() {
        // SAFETY: the caller's promise.
        return Ok(unsafe { Tensor::from_ptr(made) });
    }
    if error.is_null() {
        return Err(TchError::Torch("out of memory".to_owned()));
    }
    // SAFETY: the caller's promise; the text is copied before it is freed.
    unsafe {
        let text = CStr::from_ptr(error).to_string_lossy().into_owned();
        libc::free(error.cast());
        Err(TchError::Torch(text))
    }
}
