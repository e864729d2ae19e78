//! A run's state on disk: one safetensors file that is always whole, because it is written beside
//! its place, made durable, and renamed over it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use safetensors::tensor::{Dtype, View};
use tch::{Device, Kind, Tensor};

use super::TrainError;

/// Key under which the run's state is kept in the file's metadata.
const STATE: &str = "lobar.training";

struct Stored {
    shape: Vec<usize>,
    tensor: Tensor,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        self.tensor.copy_data_u8(&mut bytes, self.tensor.numel());
        Cow::Owned(bytes)
    }
    fn data_len(&self) -> usize {
        self.tensor.numel() * 4
    }
}

/// Writes named tensors (as fp32) and a state that serialises to JSON.
pub(crate) fn write(
    path: &Path,
    tensors: &[(String, &Tensor)],
    state: &impl serde::Serialize,
) -> Result<(), TrainError> {
    let failed = |source| TrainError::Write { path: path.to_owned(), source };
    let stored: Vec<(String, Stored)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let tensor = tensor
                .f_detach()?
                .f_to_device(Device::Cpu)?
                .f_to_kind(Kind::Float)?
                .f_contiguous()?;
            let shape = tensor.size().iter().map(|&length| length as usize).collect();
            Ok((name.clone(), Stored { shape, tensor }))
        })
        .collect::<Result<_, tch::TchError>>()?;
    let metadata = HashMap::from([(
        STATE.to_owned(),
        serde_json::to_string(state).map_err(std::io::Error::other).map_err(failed)?,
    )]);
    replace(path, |beside| {
        safetensors::serialize_to_file(
            stored.iter().map(|(name, stored)| (name, stored)),
            Some(metadata),
            beside,
        )
        .map_err(std::io::Error::other)
    })
    .map_err(failed)
}

/// Puts a file that `write` makes in the place of `path`, so that there is always a whole one.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&Path) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let beside = path.with_extension("partial");
    write(&beside)?;
    File::open(&beside)?.sync_all()?;
    std::fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads the state and copies every tensor of the file into the one of its name.
pub(crate) fn read<S: serde::de::DeserializeOwned>(
    path: &Path,
    into: &mut [(String, &mut Tensor)],
) -> Result<S, TrainError> {
    let unusable = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes)
        .map_err(|error| unusable(error.to_string()))?;
    let state = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(STATE))
        .ok_or_else(|| unusable("it holds no training state".into()))?;
    let state = serde_json::from_str(state).map_err(|error| unusable(error.to_string()))?;
    let file = safetensors::SafeTensors::deserialize(&bytes)
        .map_err(|error| unusable(error.to_string()))?;
    for (name, tensor) in into {
        let view = file.tensor(name).map_err(|error| unusable(format!("{name}: {error}")))?;
        let size: Vec<i64> = view.shape().iter().map(|&length| length as i64).collect();
        if view.dtype() != Dtype::F32 || size != tensor.size() {
            return Err(unusable(format!("{name} has another shape or kind")));
        }
        let value = Tensor::f_from_data_size(view.data(), &size, Kind::Float)?;
        tch::no_grad(|| tensor.f_copy_(&value))?;
    }
    Ok(state)
}
