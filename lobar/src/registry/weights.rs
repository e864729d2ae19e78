//! The weights of a registered model, as a worker gets them.

use std::path::Path;

use lobar_core::model_registry::NewModel;
use lobar_core::object_store::FetchError;
use sha2::{Digest, Sha256};

use crate::service::roles;
use crate::settings::Settings;

/// Why the weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// They cannot be had.
    #[error(transparent)]
    Fetch(FetchError),
    /// Others than were registered.
    #[error("they are not those registered")]
    Other,
    /// There are no credentials for where they are.
    #[error("{0}")]
    Locked(String),
    /// This machine has no place for them.
    #[error(transparent)]
    Here(std::io::Error),
}

/// Writes a model's weights to `path` and compares them with what was registered.
pub async fn fetch(settings: &Settings, model: &NewModel, path: &Path) -> Result<(), Unreadable> {
    let files = roles::weights(settings, settings.embedded_s3()).await;
    let files = files.map_err(|failure| Unreadable::Locked(failure.to_string()))?;
    files.fetch(&model.key, path, model.bytes).await.map_err(Unreadable::Fetch)?;
    let path = path.to_owned();
    let digest = tokio::task::spawn_blocking(move || digest(&path)).await;
    let digest = digest.map_err(std::io::Error::other).and_then(|digest| digest);
    match digest.map_err(Unreadable::Here)? == model.sha256 {
        true => Ok(()),
        false => Err(Unreadable::Other),
    }
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}
