//! Folding batch norms into their neighbours.
//!
//! In evaluation mode a batch norm is `y = x·s + t` per channel with `s = γ/√(σ²+ε)`, `t = β − μ·s`.
//! - After a layer it becomes part of it: the layer's outputs scaled by `s`, `t` added to its bias.
//! - Before a fully connected layer: columns scaled by `s`, and the layer's answer to `t` added to
//!   its bias.
//!
//! The first convolution sees three equal grey channels; its kernels are summed over them. Zero
//! padding stays exact, because what is padded is the normalised picture, in all three alike. (The
//! normalisation's own shift could not be folded: it would move the padding.)
//!
//! All of it is computed in fp64 and rounded once.

use tch::{Kind, TchError, Tensor};

use super::folded::{Block, Convolution, Head, Linear, Trunk};
use crate::network::Layout;
use crate::weights::{Weights, WeightsError};

/// Added to a variance before its root is taken, as in torchvision.
const EPSILON: f64 = 1e-5;
/// Widening of a block's output over its inner width.
const EXPANSION: i64 = 4;
/// Features after each of the head's hidden layers.
const HIDDEN: [i64; 3] = [128, 256, 128];

/// The whole network, folded, in fp32 on the CPU.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn fold(weights: &Weights, layout: Layout) -> Result<(Trunk, Head), WeightsError> {
    let source = Unfolded(weights);
    Ok((source.trunk(layout)?, source.head(layout)?))
}

/// `y = x·scale + shift`, fp64.
struct Norm {
    scale: Tensor,
    shift: Tensor,
}

struct Unfolded<'a>(&'a Weights);

impl Unfolded<'_> {
    fn trunk(&self, layout: Layout) -> Result<Trunk, WeightsError> {
        let stem = self.convolution("conv1", "bn1", [layout.width, 3, 7], 2)?;
        let mut blocks = Vec::new();
        let mut from = layout.width;
        for (stage, &count) in layout.blocks.iter().enumerate() {
            let width = layout.width << stage;
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let path = format!("layer{}.{index}", stage + 1);
                blocks.push(self.block(&path, from, width, stride)?);
                from = width * EXPANSION;
            }
        }
        Ok(Trunk { stem, blocks })
    }

    fn block(&self, path: &str, from: i64, width: i64, stride: i64) -> Result<Block, WeightsError> {
        let to = width * EXPANSION;
        let inner = |n: i64, shape, stride| {
            self.convolution(&format!("{path}.conv{n}"), &format!("{path}.bn{n}"), shape, stride)
        };
        Ok(Block {
            inner: [
                inner(1, [width, from, 1], 1)?,
                inner(2, [width, width, 3], stride)?,
                inner(3, [to, width, 1], 1)?,
            ],
            shortcut: if stride != 1 || from != to {
                let (conv, norm) = (format!("{path}.downsample.0"), format!("{path}.downsample.1"));
                Some(self.convolution(&conv, &norm, [to, from, 1], stride)?)
            } else {
                None
            },
        })
    }

    /// A convolution of `[outputs, inputs, side]` and the norm after it. Three inputs are colours
    /// that are always equal, and become one.
    fn convolution(
        &self,
        conv: &str,
        norm: &str,
        [to, from, side]: [i64; 3],
        stride: i64,
    ) -> Result<Convolution, WeightsError> {
        let weight = self.double(&format!("{conv}.weight"), &[to, from, side, side])?;
        let norm = self.norm(norm, to)?;
        self.torch((|| {
            let mut weight = weight.f_mul(&norm.scale.f_reshape([-1, 1, 1, 1])?)?;
            if from == 3 {
                weight = weight.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
            }
            Ok(Convolution {
                weight: weight.f_to_kind(Kind::Float)?,
                bias: norm.shift.f_to_kind(Kind::Float)?,
                stride,
                padding: side / 2,
            })
        })())
    }

    fn head(&self, layout: Layout) -> Result<Head, WeightsError> {
        let mut from = layout.features();
        let mut before = Some(self.norm("head.bn0", from)?);
        let mut hidden = Vec::new();
        for (index, to) in HIDDEN.into_iter().enumerate() {
            let (mut weight, mut bias) = self.linear(&format!("head.fc{}", index + 1), from, to)?;
            let after = self.norm(&format!("head.bn{}", index + 1), to)?;
            let before = before.take();
            hidden.push(self.torch((|| {
                if let Some(norm) = before {
                    bias = bias.f_add(&weight.f_matmul(&norm.shift)?)?;
                    weight = weight.f_mul(&norm.scale)?;
                }
                Ok(Linear {
                    weight: weight.f_mul(&after.scale.f_unsqueeze(1)?)?.f_to_kind(Kind::Float)?,
                    bias: bias.f_mul(&after.scale)?.f_add(&after.shift)?.f_to_kind(Kind::Float)?,
                })
            })())?);
            from = to;
        }
        let pneumonia = self.linear("head.pneumonia", from, 1)?;
        let bacterial = self.linear("head.bacterial", from, 1)?;
        let outputs = self.torch((|| {
            Ok(Linear {
                weight: Tensor::f_cat(&[pneumonia.0, bacterial.0], 0)?.f_to_kind(Kind::Float)?,
                bias: Tensor::f_cat(&[pneumonia.1, bacterial.1], 0)?.f_to_kind(Kind::Float)?,
            })
        })())?;
        Ok(Head { hidden, outputs })
    }

    /// Weight `[to, from]` and bias of a fully connected layer.
    fn linear(&self, path: &str, from: i64, to: i64) -> Result<(Tensor, Tensor), WeightsError> {
        Ok((
            self.double(&format!("{path}.weight"), &[to, from])?,
            self.double(&format!("{path}.bias"), &[to])?,
        ))
    }

    fn norm(&self, path: &str, features: i64) -> Result<Norm, WeightsError> {
        let part = |leaf: &str| self.double(&format!("{path}.{leaf}"), &[features]);
        let (gamma, beta) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        self.torch((|| {
            let scale = gamma.f_div(&variance.f_add_scalar(EPSILON)?.f_sqrt()?)?;
            let shift = beta.f_sub(&mean.f_mul(&scale)?)?;
            Ok(Norm { scale, shift })
        })())
    }

    fn double(&self, name: &str, shape: &[i64]) -> Result<Tensor, WeightsError> {
        let tensor = self.0.tensor(name, shape)?;
        self.torch(tensor.f_to_kind(Kind::Double))
    }

    fn torch<T>(&self, result: Result<T, TchError>) -> Result<T, WeightsError> {
        result.map_err(|source| WeightsError::Torch { path: self.0.path().to_owned(), source })
    }
}
