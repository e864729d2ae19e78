//! Which model file is used when none is named.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The name of the shipped model.
const SHIPPED: &str = "lobar-resnet50.safetensors";

/// The file that was named, or the shipped one: beside an installed executable, or in the checkout
/// that the executable was built from.
pub fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_owned());
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
