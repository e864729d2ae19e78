//! The ports, as the settings name them, and what the roles of one process share.

use std::sync::Arc;

use lobar_adapters::opener::{OpenError, Opener};
use lobar_api::Readiness;
use lobar_core::image::{Lane, Lanes};
use lobar_core::queue::{Jobs, Queue};
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::time::{Clock, SystemClock};
use prometheus::Registry;

use crate::failure::{Failure, chain};
use crate::settings::Settings;

/// Open ports.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub uploads: Arc<dyn Queue>,
    pub jobs: Jobs,
    pub signal: Arc<dyn Signal>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub readiness: Readiness,
    opener: Opener,
}

impl Parts {
    /// Opens everything, and brings databases to this release's schema.
    pub async fn open(settings: &Settings) -> Result<Self, Failure> {
        std::fs::create_dir_all(&settings.data).map_err(|e| {
            Failure::failed(format!("data folder {}: {e}", settings.data.display()))
        })?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opener = Opener::new(clock.clone());
        let job = async |lane: Lane| {
            opener.queue("jobs", &settings.jobs, &format!("jobs-{}", lane.as_str())).await
        };
        Ok(Self {
            store: opener.store("store", &settings.store).await.map_err(failed)?,
            uploads: opener.queue("uploads", &settings.uploads, "uploads").await.map_err(failed)?,
            jobs: Lanes {
                stat: job(Lane::Stat).await.map_err(failed)?,
                routine: job(Lane::Routine).await.map_err(failed)?,
            },
            signal: opener.signal("signal", &settings.signal).map_err(failed)?,
            registry: Registry::new(),
            readiness: Readiness::default(),
            clock,
            opener,
        })
    }

    /// Closes the databases; everything that uses them has ended.
    pub async fn close(&self) {
        self.opener.close().await;
    }
}

fn failed(error: OpenError) -> Failure {
    match error {
        OpenError::UnknownScheme { .. } => Failure::usage(error),
        OpenError::Port { .. } => Failure::failed(chain(&error)),
    }
}
