//! Changes of a file that exists, which leave everything else in it as it is, to the bit: tensors beside the network's own,
//! and the bias of an output.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use super::write::finite_bytes;
use super::{Weights, WeightsError, torch};
use crate::card::Card;

/// Exchanges the card of a file. Every tensor stays as it is, to the bit.
///
/// # Errors
/// When it is no safetensors file, or cannot be written.
pub fn exchange_card(path: &Path, card: &Card) -> Result<(), WeightsError> {
    // No tensor's name begins so.
    attach(path, path, "\0", &[], card)
}
/// The bias of the output for pneumonia.
const PNEUMONIA_BIAS: &str = "head.pneumonia.bias";

/// Writes to `to` what the file `from` holds, with `tensors` in half precision in place of all
/// whose names begin with `prefix`, and with this `card`. Every other tensor stays as it is, to the
/// bit. `from` and `to` may be the same; `to` is written whole or not at all.
///
/// # Errors
/// When `from` is no safetensors file, `to` cannot be written, or a value is not a finite number in
/// half precision.
pub fn attach(
    from: &Path,
    to: &Path,
    prefix: &str,
    tensors: &[(String, &Tensor)],
    card: &Card,
) -> Result<(), WeightsError> {
    let mut added = BTreeMap::new();
    for (name, tensor) in tensors {
        let bytes = finite_bytes(tensor, Kind::Half)
            .map_err(torch(to))?
            .ok_or_else(|| WeightsError::NotFinite { path: to.to_owned(), name: name.clone() })?;
        let shape = tensor.size().iter().map(|&n| n as usize).collect::<Vec<_>>();
        added.insert(name.clone(), Stored { dtype: Dtype::F16, shape, bytes });
    }
    rewrite(from, to, |name| !name.starts_with(prefix), &added, card)
}

/// Writes to `to` what the file `from` holds, with `shift` added to the bias of the output for pneumonia, and so to the logit
/// of every image, and with this `card`. `from` and `to` may be the same; `to` is written whole or not at all.
///
/// # Errors
/// When `from` is no safetensors file of such a network, `to` cannot be written, or the sum is not a finite number.
pub fn shift_pneumonia(
    from: &Path,
    to: &Path,
    shift: f64,
    card: &Card,
) -> Result<(), WeightsError> {
    let bias = Weights::open(from)?.tensor(PNEUMONIA_BIAS, &[1])?.f_add_scalar(shift);
    let bytes =
        bias.and_then(|bias| finite_bytes(&bias, Kind::Float)).map_err(torch(from))?.ok_or_else(
            || WeightsError::NotFinite { path: to.to_owned(), name: PNEUMONIA_BIAS.into() },
        )?;
    let bias = Stored { dtype: Dtype::F32, shape: vec![1], bytes };
    rewrite(from, to, |_| true, &BTreeMap::from([(PNEUMONIA_BIAS.to_owned(), bias)]), card)
}

/// A tensor as it lies in a file.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes to `to` the tensors of `from` that are `kept`, with those that are `put` among them or in their place.
fn rewrite(
    from: &Path,
    to: &Path,
    kept: impl Fn(&str) -> bool,
    put: &BTreeMap<String, Stored>,
    card: &Card,
) -> Result<(), WeightsError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| WeightsError::Io { path, source }
    };
    let bytes = std::fs::read(from).map_err(io(from))?;
    let damaged = |e: safetensors::SafeTensorError| WeightsError::NotSafetensors {
        path: from.to_owned(),
        why: e.to_string(),
    };
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut views: BTreeMap<&str, TensorView<'_>> =
        file.iter().filter(|(name, _)| kept(name)).collect();
    for (name, Stored { dtype, shape, bytes }) in put {
        let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(damaged)?;
        views.insert(name, view);
    }
    let metadata =
        card.to_metadata().map_err(|source| WeightsError::Card { path: to.to_owned(), source })?;
    let draft = to.with_extension("draft");
    safetensors::serialize_to_file(views, Some(metadata), &draft)
        .map_err(|e| WeightsError::Io { path: to.to_owned(), source: std::io::Error::other(e) })?;
    std::fs::rename(&draft, to).map_err(io(to))
}
