//! `lobar doctor`: looks at everything that the settings name, and says what to do about it.

mod dicom;
#[cfg(feature = "torch")]
mod model;
mod probe;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lobar_console::outln;
use lobar_core::diagnostic::{Diagnostic, Severity};
use lobar_core::image::Lane;
use lobar_core::time::SystemClock;
use lobar_opener::{Opener, examine};
use serde_json::json;

use crate::failure::Failure;
use crate::service::{opener, roles, validate};
#[cfg(feature = "torch")]
use crate::settings::Role;
use crate::settings::{Roles, Settings};
use crate::{decoding, registry};

/// Examines all of it, prints what was found, and fails if anything is at fault.
/// Without `roles` it takes no combination for impossible.
/// With `probe` it also sends an object the way of an upload, which may take so long to arrive.
pub async fn run(
    settings: Settings,
    roles: Option<Roles>,
    as_json: bool,
    probe: Option<Duration>,
) -> Result<(), Failure> {
    if let Some(roles) = &roles {
        validate::validate(&settings, roles)?;
    }
    let mut checks = vec![folder(&settings.data)];
    let opener = opener(&settings, Arc::new(SystemClock));
    checks.extend(examine::store(&opener, &settings.store).await);
    checks.extend(examine::queue(&opener, "uploads", &settings.uploads, "uploads").await);
    for lane in Lane::ALL {
        let name = format!("jobs-{}", lane.as_str());
        checks.extend(examine::queue(&opener, "jobs", &settings.jobs, &name).await);
    }
    checks.extend(examine::signal(&opener, &settings.signal).await);
    checks.extend(bucket(&settings, &opener).await);
    checks.extend(dicom::peers(&settings).await);
    checks.extend(decoding::examine());
    checks.extend(examine::quarantine(&opener, &settings.store).await);
    checks.extend(examine::commitments(&opener, &settings.store).await);
    if let Some(patience) = probe {
        checks.extend(probed(&settings, &opener, patience).await);
    }
    checks.push(registry::examine(&opener, &settings).await);
    #[cfg(feature = "torch")]
    if roles.is_none_or(|roles| roles.has(Role::Worker)) {
        checks.extend(model::examine(&settings));
    }
    opener.close().await;
    print(&checks, as_json);
    match checks.iter().filter(|check| check.verdict == Severity::Fault).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing is at fault; see above")),
        faults => Err(Failure::failed(format!("{faults} things are at fault; see above"))),
    }
}

/// The data folder must exist, or be one that can be made, and take files.
fn folder(data: &Path) -> Diagnostic {
    let what = "data folder";
    let tried = std::fs::create_dir_all(data).and_then(|()| tempfile::tempfile_in(data));
    match tried {
        Ok(_) => Diagnostic::good(what, "takes files"),
        Err(error) => Diagnostic::fault(
            what,
            format!("{}: {error}", data.display()),
            "Set LOBAR_DATA to a folder that this user may write to.",
        ),
    }
}

/// Needs a running ingest.
async fn probed(settings: &Settings, opener: &Opener, patience: Duration) -> Vec<Diagnostic> {
    let store = opener.database("store", &settings.store).await;
    let bucket = roles::bucket(settings, settings.embedded_s3()).await;
    match (store, bucket) {
        (Ok(store), Ok(bucket)) => probe::run(&*store, &bucket, patience).await,
        (Ok(_), Err(failure)) => {
            vec![Diagnostic::fault("probe", failure.to_string(), "Mend or remove that file.")]
        }
        // That is told of already.
        (Err(_), _) => Vec::new(),
    }
}

async fn bucket(settings: &Settings, opener: &Opener) -> Vec<Diagnostic> {
    if settings.embedded_s3().is_some() {
        let found = "the embedded S3 endpoint, which runs with `lobar up` or the role s3";
        return vec![Diagnostic::good("bucket", found)];
    }
    let queue = examine::uploads_arn(opener, &settings.uploads).await;
    match roles::bucket(settings, None).await {
        Ok(bucket) => bucket.examine(queue.as_deref()).await,
        Err(failure) => {
            vec![Diagnostic::fault("bucket", failure.to_string(), "Mend or remove that file.")]
        }
    }
}

fn print(checks: &[Diagnostic], as_json: bool) {
    for check in checks {
        let word = match check.verdict {
            Severity::Good => "good",
            Severity::Advice => "advice",
            Severity::Fault => "fault",
        };
        if as_json {
            let Diagnostic { what, found, fix, .. } = check;
            outln!("{}", json!({ "what": what, "verdict": word, "found": found, "fix": fix }));
            continue;
        }
        outln!("{word:<8}{}: {}", check.what, check.found);
        if !check.fix.is_empty() {
            outln!("        {}", check.fix);
        }
    }
}
