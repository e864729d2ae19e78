//! Asks, every few seconds, whether what this process needs answers and takes changes: for `/readyz`, for
//! `lobar_ready`, and for `lobar_dependency_up`. Roles find out by themselves what they cannot do; this finds out also
//! while there is nothing to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use lobar_api::Check;
use lobar_core::failure::{PortError, chain};
use lobar_core::image::Lane;
use lobar_core::object_store::ObjectStore;
use lobar_opener::url::{QueueUrl, StoreUrl};
use prometheus::{IntGauge, IntGaugeVec, Opts};
use tokio::sync::Mutex;

use super::disk::DiskGauge;
use super::ports::Ports;
use super::running::Running;
use crate::failure::Failure;
use crate::settings::{Role, Roles, Settings};

/// How often a dependency is asked.
const EVERY: Duration = Duration::from_secs(10);
/// How often one is asked that did not answer.
const AGAIN: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks once. The error is for the log.
pub type Ask = Box<dyn Fn() -> BoxFuture<'static, Result<(), PortError>> + Send + Sync>;

/// One dependency.
struct Dependency {
    /// A word from a closed set: that of the check and of the gauge's label.
    name: &'static str,
    /// What is said of it while it does not answer: for everybody to read.
    fault: &'static str,
    ask: Ask,
    /// `None` where the process does its work without it.
    check: Option<Check>,
    up: IntGauge,
}

/// The dependencies of a process, before they are watched.
pub struct Dependencies<'a> {
    parts: &'a Ports,
    up: IntGaugeVec,
    all: Vec<Dependency>,
}

impl<'a> Dependencies<'a> {
    /// Those that the ports of `roles` are; `objects` is the uploads bucket.
    pub fn of(
        settings: &Settings,
        roles: &Roles,
        parts: &'a Ports,
        objects: Arc<dyn ObjectStore>,
    ) -> Result<Self, Failure> {
        let help = "Whether what this process needs answered and took changes when it was asked last: 1, or 0.";
        let up = IntGaugeVec::new(Opts::new("lobar_dependency_up", help), &["dependency"]);
        let up = up.map_err(Failure::failed)?;
        parts.registry.register(Box::new(up.clone())).map_err(Failure::failed)?;
        let mut all = Self { parts, up, all: Vec::new() };
        let on_store = [Role::Ingest, Role::Dicom, Role::Worker, Role::Api, Role::Autoscale];
        if on_store.iter().any(|role| roles.has(*role)) {
            all.of_roles(roles, objects);
        }
        if is_local(settings, roles) {
            let folders = local_folders(settings);
            let disk = DiskGauge::new(folders.clone()).map_err(Failure::failed)?;
            parts.registry.register(Box::new(disk)).map_err(Failure::failed)?;
            let writing = Arc::new(Mutex::new(()));
            all.add("disk", "a data folder takes no files", true, move || {
                Box::pin(takes_files(folders.clone(), writing.clone()))
            });
        }
        Ok(all)
    }

    fn of_roles(&mut self, roles: &Roles, objects: Arc<dyn ObjectStore>) {
        let works = roles.has(Role::Ingest) || roles.has(Role::Worker);
        let store = self.parts.store.clone();
        self.add("store", "the store does not take changes", true, move || {
            let store = store.clone();
            Box::pin(async move { store.check().await })
        });
        let jobs = self.parts.jobs.clone();
        // The api only measures them.
        self.add("jobs", "a jobs queue does not answer", works, move || {
            let jobs = jobs.clone();
            Box::pin(async move {
                for lane in Lane::ALL {
                    jobs.of(lane).depth().await?;
                }
                Ok(())
            })
        });
        if let Some(uploads) = self.parts.uploads.clone() {
            let needed = roles.has(Role::Ingest);
            self.add("uploads", "the uploads queue does not answer", needed, move || {
                let uploads = uploads.clone();
                Box::pin(async move { uploads.depth().await.map(drop) })
            });
        }
        if !roles.has(Role::Autoscale) {
            // The api has a check of its own.
            let needed = !roles.has(Role::Api);
            self.add("bucket", "the uploads bucket cannot be read", needed, move || {
                let objects = objects.clone();
                Box::pin(async move { objects.check().await })
            });
        }
        if let Some(presence) = self.parts.presence.clone() {
            self.add("signal", "the signal's service does not answer", false, move || {
                let presence = presence.clone();
                Box::pin(async move { presence.workers().await.map(drop) })
            });
        }
    }

    /// Adds the embedded S3 endpoint.
    pub fn add_s3(&mut self, ask: Ask) {
        self.add("s3", "the embedded S3 endpoint takes no objects", true, ask);
    }

    /// Adds one. A process that needs it is not ready without.
    fn add(
        &mut self,
        name: &'static str,
        fault: &'static str,
        needed: bool,
        ask: impl Fn() -> BoxFuture<'static, Result<(), PortError>> + Send + Sync + 'static,
    ) {
        let check = needed.then(|| self.parts.readiness.check(name));
        let up = self.up.with_label_values(&[name]);
        self.all.push(Dependency { name, fault, ask: Box::new(ask), check, up });
    }

    /// Watches all of them until everybody else is gone.
    pub fn watch(self, running: &mut Running) {
        for dependency in self.all {
            let closing = running.closing.clone();
            running.start_last("dependencies", async move {
                closing.run_until_cancelled(dependency.watch()).await;
                Ok(())
            });
        }
    }
}

impl Dependency {
    async fn watch(self) {
        let mut was_up = true;
        loop {
            let is_up = self.ask_once(was_up).await;
            if is_up && !was_up {
                let service = self.name;
                tracing::info!(service, "a dependency answers again");
            }
            was_up = is_up;
            tokio::time::sleep(if is_up { EVERY } else { AGAIN }).await;
        }
    }

    /// Whether it answers now.
    async fn ask_once(&self, was_up: bool) -> bool {
        let (service, fault) = (self.name, self.fault);
        let why = match tokio::time::timeout(LIMIT, (self.ask)()).await {
            Ok(Ok(())) => {
                self.up.set(1);
                if let Some(check) = &self.check {
                    check.pass();
                }
                return true;
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} s", LIMIT.as_secs()),
        };
        self.up.set(0);
        if let Some(check) = &self.check {
            check.fail(fault);
        }
        if was_up {
            tracing::warn!(
                service,
                error = why,
                "{fault}; asking again every {} s",
                AGAIN.as_secs()
            );
        } else {
            tracing::debug!(service, error = why, "{fault}");
        }
        false
    }
}

/// Whether something of this process is kept in its data folder.
fn is_local(settings: &Settings, roles: &Roles) -> bool {
    let queues = [&settings.uploads, &settings.jobs];
    roles.has(Role::S3)
        || matches!(settings.store, StoreUrl::Sqlite(_))
        || queues.iter().any(|url| matches!(url, QueueUrl::Sqlite(_)))
}

/// Where this process keeps something: the data folder, and the folders of database files elsewhere.
fn local_folders(settings: &Settings) -> Vec<PathBuf> {
    let mut folders = vec![settings.data.to_path_buf()];
    let store = QueueUrl::from(settings.store.clone());
    for url in [&store, &settings.uploads, &settings.jobs] {
        let QueueUrl::Sqlite(file) = url else { continue };
        let folder = match file.path().parent() {
            Some(folder) if folder != Path::new("") => folder.to_path_buf(),
            _ => ".".into(),
        };
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// Writes a file of a page into each folder and removes it. A write that does not come back, as on a frozen volume,
/// keeps its thread: until then none is begun.
async fn takes_files(folders: Vec<PathBuf>, writing: Arc<Mutex<()>>) -> Result<(), PortError> {
    let Ok(turn) = writing.try_lock_owned() else {
        let error = std::io::Error::other("the last write has not come back");
        return Err(PortError::transient("data folder", error));
    };
    let write = move || {
        let _turn = turn;
        folders.iter().try_for_each(|folder| write_and_remove(folder))
    };
    let written = tokio::task::spawn_blocking(write).await;
    let written = written.map_err(|error| PortError::permanent("data folder", error))?;
    written.map_err(|error| PortError::transient("data folder", error))
}

fn write_and_remove(folder: &Path) -> std::io::Result<()> {
    use std::io::Write as _;

    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[0; 4096])?;
    file.sync_data()
}
