//! The ports of a process, opened from its settings.

use std::sync::Arc;

use lobar_api::{Check, Readiness};
use lobar_aws::Access;
use lobar_core::accounts::Accounts;
use lobar_core::audit::Audit;
use lobar_core::batch::Batches;
use lobar_core::cache::Cache;
use lobar_core::commitment::Commitments;
use lobar_core::erasure::Erasures;
use lobar_core::exposure::Exposures;
use lobar_core::image::{Lane, Lanes};
use lobar_core::presence::Presence;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{JobQueues, Queue};
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::study::Studies;
use lobar_core::time::{Clock, SystemClock};
use lobar_core::verdict::Verdicts;
use lobar_core::worklist::Worklist;
use lobar_opener::{OpenError, Opener};
use prometheus::Registry;

use super::roles;
use super::unreadable::UnreadableCounter;
use super::waiting_start::WaitingStart;
use crate::failure::{Failure, chain};
use crate::settings::{Role, Roles, Settings};

/// Open ports.
pub struct Ports {
    pub store: Arc<dyn Store>,
    /// Only where a role reads or writes it: a worker has no business, and no permission, there.
    pub uploads: Option<Arc<dyn Queue>>,
    pub jobs: JobQueues,
    pub signal: Arc<dyn Signal>,
    /// Which models there are, and which answers images.
    pub models: Arc<dyn lobar_core::model_registry::ModelRegistry>,
    /// What readers said of images.
    pub verdicts: Arc<dyn Verdicts>,
    /// What readers met of answers.
    pub exposures: Arc<dyn Exposures>,
    /// The worklist, and who reads what.
    pub worklist: Arc<dyn Worklist>,
    /// What was uploaded together.
    pub batches: Arc<dyn Batches>,
    /// Whose images are.
    pub studies: Arc<dyn Studies>,
    /// What ingest put aside.
    pub quarantine: Arc<dyn Quarantine>,
    /// What peers wait to be told is stored.
    pub commitments: Arc<dyn Commitments>,
    /// What is erased.
    pub erasures: Arc<dyn Erasures>,
    /// People, sessions, tokens, sites.
    pub accounts: Arc<dyn Accounts>,
    /// Who saw and did what.
    pub audit: Arc<dyn Audit>,
    /// Rendered answers; `None` where the signal has no service behind it.
    pub cache: Option<Arc<dyn Cache>>,
    /// Who is at work; as the cache.
    pub presence: Option<Arc<dyn Presence>>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub readiness: Readiness,
    opener: Opener,
}

impl Ports {
    /// Opens what `roles` need, and brings databases to this release's schema. What is away is waited for,
    /// however long.
    pub async fn open(settings: &Settings, roles: &Roles) -> Result<Self, Failure> {
        let readiness = Readiness::default();
        let start = readiness.check("start");
        Self::open_with(settings, roles, Registry::new(), readiness, &start).await
    }

    /// The same for a process that already tells of itself; `start` says what is waited for.
    pub async fn open_with(
        settings: &Settings,
        roles: &Roles,
        registry: Registry,
        readiness: Readiness,
        start: &Check,
    ) -> Result<Self, Failure> {
        make_folder(settings)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opener = opener(settings, clock.clone());
        let waiting = WaitingStart(start);
        let job = async |lane: Lane| {
            let name = format!("jobs-{}", lane.as_str());
            waiting.out(async || opener.queue("jobs", &settings.jobs, &name).await).await
        };
        let reads_uploads = [Role::S3, Role::Ingest, Role::Api, Role::Autoscale];
        let needs_uploads = reads_uploads.iter().any(|role| roles.has(*role));
        let uploads = match needs_uploads {
            true => {
                let open = async || opener.queue("uploads", &settings.uploads, "uploads").await;
                Some(waiting.out(open).await?)
            }
            false => None,
        };
        let open = async || opener.database("store", &settings.store).await;
        let database = waiting.out(open).await?;
        let unreadable = UnreadableCounter::new(database.clone()).map_err(Failure::failed)?;
        registry.register(Box::new(unreadable)).map_err(Failure::failed)?;
        let jobs = Lanes { stat: job(Lane::Stat).await?, routine: job(Lane::Routine).await? };
        Ok(Self {
            store: database.clone(),
            uploads,
            jobs,
            models: database.clone(),
            verdicts: database.clone(),
            exposures: database.clone(),
            worklist: database.clone(),
            batches: database.clone(),
            studies: database.clone(),
            quarantine: database.clone(),
            commitments: database.clone(),
            erasures: database.clone(),
            accounts: database.clone(),
            audit: database,
            signal: opener.signal("signal", &settings.signal).map_err(failed)?,
            cache: opener.cache("signal", &settings.signal).map_err(failed)?,
            presence: opener.presence("signal", &settings.signal).map_err(failed)?,
            registry,
            readiness,
            clock,
            opener,
        })
    }

    /// The uploads queue.
    ///
    /// # Errors
    /// When none of the roles that these parts were opened for needs it.
    pub fn uploads(&self) -> Result<Arc<dyn Queue>, Failure> {
        self.uploads.clone().ok_or_else(|| Failure::failed("the uploads queue was not opened"))
    }

    /// Closes the databases; everything that uses them has ended.
    pub async fn close(&self) {
        self.opener.close().await;
    }
}

/// An opener that asks Amazon's services as the settings say.
pub fn opener(settings: &Settings, clock: Arc<dyn Clock>) -> Opener {
    let credentials = roles::credentials(settings);
    let region = Some(settings.s3_region.clone());
    Opener::new(clock).with_aws(Access { region, credentials })
}

/// The data folder, which files of databases are created in.
pub fn make_folder(settings: &Settings) -> Result<(), Failure> {
    std::fs::create_dir_all(&settings.data)
        .map_err(|e| Failure::failed(format!("data folder {}: {e}", settings.data.display())))
}

pub fn failed(error: OpenError) -> Failure {
    match error {
        OpenError::Url { .. } => Failure::usage(error),
        OpenError::Port { .. } => Failure::failed(chain(&error)),
    }
}
