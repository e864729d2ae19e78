//! `lobar model register`: the one way for weights of one's own into the registry.

use std::path::Path;

use lobar_api::models::ModelItem;
use lobar_core::model_registry::{ModelRegistry, NewModel, RegistryError, Stage};

use super::{Answer, port, refused};
use crate::failure::{Failure, chain};
use crate::model_file;
use crate::service::roles;
use crate::settings::Settings;

/// Checks the file, stores it, and registers it. Whatever of it was done already is left as it is.
pub async fn register(
    file: &Path,
    by: &str,
    registry: &dyn ModelRegistry,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let path = file.to_owned();
    let described = tokio::task::spawn_blocking(move || model_file::describe(&path)).await;
    let new = described.map_err(Failure::failed)??;
    let NewModel { version, sha256, key, .. } = &new;
    if !is_version(version) {
        return Err(Failure::failed(format!(
            "model {}: its version is {version:?}; it must be up to 100 letters, digits, `.`, `_` or `-`: \
             give it another with `lobar train --name`",
            file.display()
        )));
    }
    // Before anything is stored that nobody would use.
    let before = registry.model(version).await.map_err(port)?;
    if let Some(other) = before.as_ref().filter(|known| known.model.sha256 != *sha256) {
        return Err(taken(version, &other.model.sha256));
    }
    // Stored first: what is registered can be fetched.
    let files = roles::weights(settings, settings.embedded_s3()).await?;
    files.put(key, file).await.map_err(|error| {
        let to_do = match (settings.embedded_s3(), error.is_transient()) {
            (Some(address), true) => format!(
                "; the S3 endpoint of `lobar up` is expected at {address}: start it, or name its address \
                 with --s3-listen; if it answered, its log says more"
            ),
            _ => "; see LOBAR_MODELS, LOBAR_S3_ENDPOINT and the AWS_* variables".to_owned(),
        };
        Failure::failed(format!("the weights cannot be stored: {}{to_do}", chain(&error)))
    })?;
    let model = registry.register(&new, by).await.map_err(|error| match error {
        RegistryError::Taken { version, registered } => taken(&version, &registered),
        error => refused(error),
    })?;
    let text = match (before.is_some(), model.stage) {
        (true, stage) => format!("{version} was registered already; it is {}.", stage.as_str()),
        (false, Stage::Candidate) => format!(
            "{version} is registered as a candidate; nothing that is served has changed.\n`lobar model \
             shadow {version}` has it run unseen beside the active model, `lobar model activate \
             {version}` makes it the active one."
        ),
        (false, stage) => format!("{version} is {}.", stage.as_str()),
    };
    Answer::new(&ModelItem::from(model), text)
}

fn taken(version: &str, registered: &str) -> Failure {
    Failure::failed(format!(
        "version {version:?} is registered with other weights (SHA-256 {registered}): give these another \
         version with `lobar train --name`"
    ))
}

/// Whether a text can name a version: 1 to 100 letters, digits, `.`, `_` or `-`, the first a letter or digit,
/// so that it is the same word in a key, an address and a command; and no word that has a meaning of its
/// own there.
pub fn is_version(text: &str) -> bool {
    text.len() <= 100
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !["history", "rollback"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_plain_word() {
        for good in ["resnet50-2026-11-21-b6af72", "7", "a.b_c"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "-a", "..", "a/b", "a b", "\u{e9}", "history", "rollback"] {
            assert!(!is_version(bad), "{bad}");
        }
        assert!(!is_version(&"a".repeat(101)));
    }
}
