//! Tensors beside the network's own in a file that exists.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use super::write::finite_bytes;
use super::{WeightsError, torch};
use crate::card::Card;

/// Exchanges the card of a file. Every tensor stays as it is, to the bit.
///
/// # Errors
/// When it is no safetensors file, or cannot be written.
pub fn exchange_card(path: &Path, card: &Card) -> Result<(), WeightsError> {
    // No tensor's name begins so.
    attach(path, path, "\0", &[], card)
}

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
    let mut added = Vec::new();
    for (name, tensor) in tensors {
        let bytes = finite_bytes(tensor, Kind::Half)
            .map_err(torch(to))?
            .ok_or_else(|| WeightsError::NotFinite { path: to.to_owned(), name: name.clone() })?;
        added.push((name, tensor.size().iter().map(|&n| n as usize).collect::<Vec<_>>(), bytes));
    }
    let mut views: BTreeMap<&str, TensorView<'_>> =
        file.iter().filter(|(name, _)| !name.starts_with(prefix)).collect();
    for (name, shape, bytes) in &added {
        let view = TensorView::new(Dtype::F16, shape.clone(), bytes).map_err(damaged)?;
        views.insert(name, view);
    }
    let metadata =
        card.to_metadata().map_err(|source| WeightsError::Card { path: to.to_owned(), source })?;
    let draft = to.with_extension("draft");
    safetensors::serialize_to_file(views, Some(metadata), &draft)
        .map_err(|e| WeightsError::Io { path: to.to_owned(), source: std::io::Error::other(e) })?;
    std::fs::rename(&draft, to).map_err(io(to))
}
