//! The whole service in this process, on embedded parts in a temporary folder.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lobar_core::image::{Lane, State};
use lobar_core::object::ImageId;
use lobar_core::object_store::{ObjectStore, Upload};
use tempfile::TempDir;

use crate::cli;
use crate::failure::{Failure, chain};
use crate::service::{Ports, Running, roles, s3, worker};
use crate::settings::{LocalPath, PartialSettings, Roles, Settings};
use crate::startup_message::StartupMessage;

/// See the module's documentation. Ingest begins when [`System::ingest`] says so.
pub(super) struct System {
    pub(super) settings: Settings,
    pub(super) ports: Ports,
    objects: Arc<dyn ObjectStore>,
    address: std::net::SocketAddr,
    running: Running,
    /// Removed at the end.
    _folder: TempDir,
}

impl System {
    /// Starts the S3 endpoint; nothing is worked on yet.
    pub(super) async fn open(service: cli::Service) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::failed)?;
        let given = PartialSettings {
            data: Some(LocalPath::at(folder.path())),
            s3_listen: Some(([127, 0, 0, 1], 0).into()),
            ..service.given
        };
        let settings = Settings::load(given, service.config)?;
        let ports = Ports::open(&settings, &Roles::all()).await?;
        let mut running = Running::default();
        let mut ready = StartupMessage::new(&settings);
        let start = ports.readiness.check("start");
        let (address, _) = s3::start(&settings, &ports, &start, &mut running, &mut ready).await?;
        let objects = roles::objects(&settings, Some(address)).await?;
        Ok(Self { settings, ports, objects, address, running, _folder: folder })
    }

    /// Uploads a picture of a site under a name; the image that it becomes.
    pub(super) async fn put(
        &self,
        site: &str,
        name: &str,
        picture: &[u8],
        lane: Lane,
    ) -> Result<ImageId, Failure> {
        let (key, body) = (format!("incoming/{site}/{name}"), Bytes::copy_from_slice(picture));
        let upload = Upload { key, body, lane, metadata: Default::default() };
        Ok(self.objects.put(upload).await.map_err(|e| Failure::failed(chain(&e)))?.id())
    }

    /// Starts the worker; it is ready when this returns.
    pub(super) async fn work(&mut self) -> Result<(), Failure> {
        let Self { settings, ports, objects, address, running, .. } = self;
        worker::start(settings, ports, objects.clone(), Some(*address), running).await
    }

    /// Starts to take upload events.
    pub(super) fn ingest(&mut self) -> Result<(), Failure> {
        let objects = (self.objects.clone(), None);
        roles::ingest(&self.settings, &self.ports, objects, None, &mut self.running)
    }

    /// How many images were admitted.
    pub(super) async fn known(&self) -> Result<u64, Failure> {
        let overview = self.ports.store.overview().await;
        let overview = overview.map_err(|e| Failure::failed(chain(&e)))?;
        Ok(overview.by_state.iter().map(|(_, n)| n).sum())
    }

    /// How many images are finished.
    ///
    /// # Errors
    /// When one has failed.
    pub(super) async fn finished(&self) -> Result<u64, Failure> {
        let overview = self.ports.store.overview().await;
        let by_state = overview.map_err(|e| Failure::failed(chain(&e)))?.by_state;
        match by_state.iter().find(|(state, n)| *state == State::Failed && *n > 0) {
            Some((_, n)) => Err(Failure::failed(format!("{n} images failed; see the log"))),
            None => Ok(by_state.iter().filter(|(s, _)| s.is_terminal()).map(|(_, n)| n).sum()),
        }
    }

    /// Stops everything.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        self.running.stop(Duration::from_secs(30), Duration::from_secs(5)).await?;
        self.ports.close().await;
        Ok(())
    }
}
