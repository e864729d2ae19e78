//! A service: chosen roles on chosen parts, from start to stop.
//!
//! Roles see ports only; here they get them. The order of a stop is the one of ARCHITECTURE.md:
//! readiness goes red, receiving stops, streams close, what is in flight completes, the rest is
//! given back, and the embedded S3 endpoint, which the others read from, goes last.

pub mod impossible;
mod parts;
#[cfg(feature = "torch")]
mod presence;
pub mod roles;
mod running;
#[cfg(feature = "torch")]
pub mod worker;

use std::time::Duration;

use crate::failure::Failure;
use crate::settings::{Roles, Settings};
use crate::{stop, telemetry};
pub use parts::{Parts, opener};
pub use running::Running;

/// How long after the drain a role may take to notice, before it is left behind.
const GRACE: Duration = Duration::from_secs(5);

/// Runs `roles` until told to stop, or until one of them fails.
pub async fn run(settings: Settings, roles: Roles) -> Result<(), Failure> {
    telemetry::start(&settings)?;
    impossible::refuse(&settings, &roles)?;
    let tasks = tokio_util::task::TaskTracker::new();
    let stop = stop::on_signal(&tasks)?;
    let parts = Parts::open(&settings, &roles).await?;
    let mut running = Running::default();

    let started = tokio::select! {
        started = roles::start(&settings, &roles, &parts, &mut running) => started,
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
    let drain = Duration::from_secs(settings.drain_seconds);
    let stopped = running.stop(drain, GRACE).await;
    parts.close().await;
    tracing::info!("stopped");
    match failed {
        Some(failure) => Err(failure),
        None => stopped,
    }
}

/// Brings the databases to this release's schema, which every start does as well.
pub async fn migrate(settings: Settings) -> Result<(), Failure> {
    Parts::open(&settings, &Roles::all()).await?.close().await;
    Ok(())
}
