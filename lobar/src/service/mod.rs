//! A service: chosen roles on chosen parts, from start to stop.
//!
//! Roles see ports only; here they get them. The order of a stop is the one of ARCHITECTURE.md:
//! readiness goes red, receiving stops, streams close, what is in flight completes, the rest is
//! given back, and the embedded S3 endpoint, which the others read from, goes last.

#[cfg(feature = "torch")]
mod autoscale;
mod dependencies;
mod descriptors;
pub mod dicom;
mod disk;
#[cfg(feature = "torch")]
mod heartbeat;
pub(crate) mod memory;
#[cfg(feature = "torch")]
mod models;
mod ports;
pub mod roles;
mod running;
pub mod s3;
#[cfg_attr(not(feature = "endpoint"), allow(dead_code, reason = "only an endpoint makes one"))]
pub mod s3_key_file;
mod unreadable;
pub mod validate;
mod waiting_start;
#[cfg(feature = "torch")]
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use lobar_api::ReadyGauge;
use lobar_console::outln;
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use lobar_opener::url::QueueUrl;

use crate::failure::Failure;
use crate::settings::{Role, Roles, Settings};
use crate::stop;
use crate::telemetry::{self, Telemetry};
pub use ports::{Ports, failed, opener};
pub use running::Running;

/// How long after the drain a role may take to notice, before it is left behind.
const GRACE: Duration = Duration::from_secs(5);

/// Runs `roles` until told to stop, or until one of them fails. With `stop_at_eof` the end of standard input tells it so too.
pub async fn run(settings: Settings, roles: Roles, stop_at_eof: bool) -> Result<(), Failure> {
    let telemetry = telemetry::start(&settings, &roles)?;
    let ended = Box::pin(serve(settings, roles, stop_at_eof, &telemetry)).await;
    telemetry.end().await;
    ended
}

async fn serve(
    settings: Settings,
    roles: Roles,
    stop_at_eof: bool,
    telemetry: &Telemetry,
) -> Result<(), Failure> {
    validate::validate(&settings, &roles)?;
    lobar_imaging::limit_decoding_memory(memory::for_decoding());
    let tasks = tokio_util::task::TaskTracker::new();
    let stop = stop::on_signal(&tasks)?;
    if stop_at_eof {
        stop::at_eof(stop.clone())?;
    }
    let (registry, readiness) = (prometheus::Registry::new(), lobar_api::Readiness::default());
    telemetry.register(&registry)?;
    // From the start on: a process that waits for a service shall raise the alert of one that is not ready.
    let ready = ReadyGauge::new(readiness.clone()).map_err(Failure::failed)?;
    registry.register(Box::new(ready)).map_err(Failure::failed)?;
    let start = readiness.check("start");
    let mut running = Running::new(readiness.liveness().clone());
    roles::tell_of_health(&settings, &registry, &readiness, &mut running)?;
    let opening = Ports::open_with(&settings, &roles, registry, readiness.clone(), &start);
    let parts = match stop.run_until_cancelled(Box::pin(opening)).await {
        Some(Ok(parts)) => parts,
        unopened => {
            readiness.stopping();
            running.stop(Duration::ZERO, GRACE).await?;
            return unopened.map_or(Ok(()), |failed| failed.map(drop));
        }
    };

    let started = tokio::select! {
        started = roles::start(&settings, &roles, &parts, &start, &mut running) => started,
        () = stop.cancelled() => Ok(()),
    };
    // A start that failed half-way is stopped like any other: the network's thread must be gone
    // before libtorch is.
    let failed = match started {
        Err(failure) => Some(failure),
        Ok(()) => tokio::select! {
            () = stop.cancelled() => None,
            failed = running.first_end() => Some(failed),
        },
    };
    parts.readiness.stopping();
    let drain = drain(&settings, &roles);
    let stopped = running.stop(drain, GRACE).await;
    parts.close().await;
    tracing::info!("stopped");
    match failed {
        Some(failure) => Err(failure),
        None => stopped,
    }
}

/// How long what is in flight may take to complete. Worker processes have as long, and each a little to end.
fn drain(settings: &Settings, roles: &Roles) -> Duration {
    let own = settings.drain.seconds();
    if roles.has(Role::Autoscale) { own + 3 * GRACE } else { own }
}

/// Brings the databases to this release's schema, and says what it did. Every start does the same, but for
/// the migrations that take long, which run here unless `defer`.
pub async fn migrate(settings: Settings, defer: bool) -> Result<(), Failure> {
    ports::make_folder(&settings)?;
    let opener = Opener::new(Arc::new(SystemClock));
    let mut seen = Vec::new();
    let databases = [
        ("store", QueueUrl::from(settings.store)),
        ("uploads", settings.uploads),
        ("jobs", settings.jobs),
    ];
    for (setting, url) in databases {
        // Several settings may name the same database.
        if seen.contains(&url) {
            continue;
        }
        let done = opener.migrate(setting, &url, defer).await.map_err(ports::failed)?;
        let Some(done) = done else { continue };
        for name in &done.ran {
            outln!("{setting}: ran {name}");
        }
        for name in &done.pending {
            outln!("{setting}: pending {name} (`lobar migrate` runs it)");
        }
        if done.ran.is_empty() && done.pending.is_empty() {
            outln!("{setting}: up to date");
        }
        seen.push(url);
    }
    opener.close().await;
    Ok(())
}
