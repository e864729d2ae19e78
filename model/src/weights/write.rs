//! Writing weights.

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tch::{Kind, Tensor, nn};

use super::{WeightsError, finite, torch};
use crate::card::Card;

/// How exactly convolutions are stored; everything else is stored in single precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 16 bits a value: what this program needs.
    Half,
    /// 32 bits a value: what other programs load without a cast.
    Single,
}

/// Writes every variable of `vs` and the card to `path`, convolutions in half precision, whole or
/// not at all.
///
/// # Errors
/// When the file cannot be written, or a value is not a finite number in the precision of the file.
pub fn write(path: &Path, vs: &nn::VarStore, card: Option<&Card>) -> Result<(), WeightsError> {
    write_in(path, vs, card, Precision::Half)
}

/// The same in a precision of choice.
///
/// # Errors
/// As [`write()`].
pub fn write_in(
    path: &Path,
    vs: &nn::VarStore,
    card: Option<&Card>,
    precision: Precision,
) -> Result<(), WeightsError> {
    let mut stored = Vec::new();
    for (name, tensor) in vs.variables() {
        let half = tensor.dim() == 4 && precision == Precision::Half;
        let kind = if half { Kind::Half } else { Kind::Float };
        let bytes = finite_bytes(&tensor, kind)
            .map_err(torch(path))?
            .ok_or_else(|| WeightsError::NotFinite { path: path.to_owned(), name: name.clone() })?;
        let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
        let dtype = if kind == Kind::Half { Dtype::F16 } else { Dtype::F32 };
        stored.push((name, dtype, shape, bytes));
    }
    let failed = |e: safetensors::SafeTensorError| WeightsError::Io {
        path: path.to_owned(),
        source: std::io::Error::other(e.to_string()),
    };
    let mut views = Vec::with_capacity(stored.len());
    for (name, dtype, shape, bytes) in &stored {
        views.push((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(failed)?));
    }
    let metadata = card
        .map(Card::to_metadata)
        .transpose()
        .map_err(|source| WeightsError::Card { path: path.to_owned(), source })?;
    safetensors::serialize_to_file(views, metadata, path).map_err(failed)
}

/// The tensor's values in `kind`, row-major; `None` when one of them is not finite.
pub(super) fn finite_bytes(tensor: &Tensor, kind: Kind) -> Result<Option<Vec<u8>>, tch::TchError> {
    let tensor =
        tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_to_kind(kind)?.f_contiguous()?;
    if !finite(&tensor)? {
        return Ok(None);
    }
    let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(Some(bytes))
}
