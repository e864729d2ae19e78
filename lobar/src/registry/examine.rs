//! What `lobar doctor` asks of the registry: is there an active model, and can its weights be had?

use lobar_core::diagnostic::Diagnostic;
use lobar_core::model_registry::{Assignment, RegisteredModel};
use lobar_core::object_store::FetchError;
use lobar_opener::Opener;

use super::weights::{self, Unreadable};
use crate::failure::{Failure, chain};
use crate::service::failed;
use crate::settings::Settings;

const WHAT: &str = "active model";

/// Looks at the model that workers with these settings serve.
pub async fn examine(opener: &Opener, settings: &Settings) -> Diagnostic {
    if settings.model.is_some() {
        let found = "LOBAR_MODEL names a file, which is served whatever the registry says";
        return Diagnostic::good(WHAT, found);
    }
    let active = match assignment(opener, settings).await {
        Ok(assignment) => assignment.active,
        Err(failure) => {
            return Diagnostic::fault(WHAT, failure.to_string(), "Mend the store first.");
        }
    };
    let Some(active) = active else {
        let fix = "Start a worker, which registers the shipped model; or `lobar model register FILE` and \
                   `lobar model activate VERSION`.";
        return Diagnostic::advice(WHAT, "no model was ever activated", fix);
    };
    let version = &active.model.version;
    let Err(error) = readable(settings, &active).await else {
        return Diagnostic::good(WHAT, format!("{version}, whose weights can be read"));
    };
    match error {
        Unreadable::Fetch(FetchError::Port(error)) if error.is_transient() => {
            match settings.embedded_s3() {
                Some(_) => {
                    let found = "its weights are in the embedded S3 endpoint, which does not run";
                    Diagnostic::good(WHAT, format!("{version}; {found}"))
                }
                None => Diagnostic::fault(
                    WHAT,
                    format!("{version}: {}", chain(&error)),
                    "Start the object store, or open the way to it.",
                ),
            }
        }
        Unreadable::Fetch(FetchError::Missing | FetchError::Gone) => Diagnostic::fault(
            WHAT,
            format!("{version}: its weights are not in {}", settings.models),
            "`lobar model register FILE` with the same file puts them there again.",
        ),
        Unreadable::Fetch(FetchError::TooLarge { .. }) | Unreadable::Other => Diagnostic::fault(
            WHAT,
            format!("{version}: the weights in {} are not those registered", settings.models),
            "Put the right file there, or `lobar model rollback`.",
        ),
        Unreadable::Fetch(error) => Diagnostic::fault(
            WHAT,
            format!("{version}: {}", chain(&error)),
            "Let these credentials read and write what LOBAR_MODELS names.",
        ),
        Unreadable::Locked(why) => Diagnostic::fault(
            WHAT,
            format!("{version}: {why}"),
            "Start `lobar up` on this data folder, or give the AWS_* variables that it was started with.",
        ),
        Unreadable::Here(error) => Diagnostic::fault(
            WHAT,
            error.to_string(),
            "Make room where temporary files go (TMPDIR).",
        ),
    }
}

async fn assignment(opener: &Opener, settings: &Settings) -> Result<Assignment, Failure> {
    let registry = opener.database("store", &settings.store).await.map_err(failed)?;
    registry.assignment().await.map_err(|error| Failure::failed(chain(&error)))
}

/// Reads the weights as a worker does.
async fn readable(settings: &Settings, model: &RegisteredModel) -> Result<(), Unreadable> {
    let folder = tempfile::tempdir().map_err(Unreadable::Here)?;
    weights::fetch(settings, &model.model, &folder.path().join("weights")).await
}
