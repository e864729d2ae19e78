//! Model files: which one is used when none is named, and what is registered of one.

use std::path::{Path, PathBuf};

use lobar_core::model_registry::NewModel;
use lobar_model::weights::Weights;

use crate::failure::{Failure, chain};
use crate::settings::LocalPath;

/// The name of the shipped model.
const SHIPPED: &str = "lobar-resnet50.safetensors";

/// The file that was named, or the shipped one: beside an installed executable, or in the checkout
/// that the executable was built from.
pub fn find(named: Option<&LocalPath>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        path.require_file("model")?;
        return Ok(path.to_path_buf());
    }
    let installed = std::env::current_exe().ok().and_then(|executable| {
        Some(executable.parent()?.parent()?.join("share/lobar").join(SHIPPED))
    });
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/weights").join(SHIPPED);
    let places: Vec<PathBuf> = installed.into_iter().chain([built]).collect();
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let places: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        Failure::usage(format!(
            "no model file was named, and none lies in {}; name one with --model",
            places.join(" or ")
        ))
    })
}

/// What is registered of a weights file: its card, which must allow serving, and what names it. Reads all
/// of the file.
pub fn describe(path: &Path) -> Result<NewModel, Failure> {
    let weights = Weights::open(path).map_err(|e| Failure::failed(chain(&e)))?;
    let (card, _) = weights.approve().map_err(|e| Failure::failed(chain(&e)))?;
    let bytes = std::fs::metadata(path)
        .map_err(|e| Failure::failed(format!("model {}: {e}", path.display())))?
        .len();
    let (version, sha256) = (card.version.clone(), weights.sha256().to_owned());
    Ok(NewModel {
        key: format!("{version}/{sha256}.safetensors"),
        card: serde_json::to_value(card).map_err(Failure::failed)?,
        version,
        sha256,
        bytes,
    })
}
