//! Starting weights from a file with torchvision's names, such as its ImageNet `resnet50`.

use std::path::Path;

use tch::{Kind, Tensor};

use super::TrainError;

/// Copies every tensor of the safetensors file whose name the network has. Names of the file that
/// the network lacks (`fc.weight`, `num_batches_tracked`) and heads that the file lacks are left.
///
/// # Errors
/// The file cannot be read, a shape differs, or it has none of the trunk's convolutions.
pub(super) fn load(path: &Path, variables: &mut [(String, Tensor)]) -> Result<(), TrainError> {
    let unusable = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
    let found = Tensor::read_safetensors(path).map_err(|error| unusable(error.to_string()))?;
    let found: std::collections::HashMap<String, Tensor> = found.into_iter().collect();
    let missing =
        variables.iter().find(|(name, _)| !name.starts_with("head.") && !found.contains_key(name));
    if let Some((name, _)) = missing {
        return Err(unusable(format!(
            "it has no {name}, so it is not a ResNet-50 with torchvision's names"
        )));
    }
    for (name, variable) in variables {
        let Some(tensor) = found.get(name) else { continue };
        if tensor.size() != variable.size() {
            return Err(unusable(format!(
                "{name} has the shape {:?} where {:?} is needed",
                tensor.size(),
                variable.size()
            )));
        }
        tch::no_grad(|| variable.f_copy_(&tensor.f_to_kind(Kind::Float)?))?;
    }
    Ok(())
}
