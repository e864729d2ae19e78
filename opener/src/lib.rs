//! From settings to ports: a URL's scheme picks the adapter. The only crate that knows them all; each is
//! a feature, and a URL whose adapter was not built in is refused by name.

#![cfg_attr(
    not(all(feature = "postgres", feature = "rabbitmq", feature = "sqlite", feature = "sqs")),
    allow(
        dead_code,
        unreachable_code,
        unused_imports,
        unused_mut,
        unused_variables,
        reason = "a build without an adapter is without the code that names it"
    )
)]

pub mod examine;
pub mod url;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::collections::HashMap;
#[cfg(feature = "sqlite")]
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lobar_aws::Access;
use lobar_core::accounts::Accounts;
use lobar_core::audit::Audit;
use lobar_core::batch::Batches;
use lobar_core::cache::Cache;
use lobar_core::commitment::Commitments;
use lobar_core::erasure::Erasures;
use lobar_core::exposure::Exposures;
use lobar_core::failure::PortError;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::presence::Presence;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::Queue;
use lobar_core::reading::UnreadableCounts;
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::study::Studies;
use lobar_core::time::Clock;
use lobar_core::verdict::Verdicts;
use lobar_core::worklist::Worklist;
use lobar_memory::{MemoryCache, MemoryPresence, MemorySignal, PollSignal};
#[cfg(feature = "rabbitmq")]
use lobar_rabbitmq::RabbitBrokers;
#[cfg(feature = "redis")]
use lobar_redis::{RedisCache, RedisPresence, RedisSignal};
#[cfg(feature = "postgres")]
use lobar_sql::postgres::{self, Deferred, PgQueue, PgStore};
#[cfg(feature = "sqlite")]
use lobar_sql::sqlite::{self, SqliteQueue, SqliteStore};
#[cfg(feature = "sqs")]
use lobar_sqs::{SqsOptions, SqsQueue};
#[cfg(any(feature = "postgres", feature = "sqlite", feature = "sqs"))]
use tokio::sync::Mutex;

use crate::url::{QueueUrl, SignalUrl, SqliteFile, StoreUrl, UrlError};

/// Opens ports. A database is opened once however many ports live in it, so that they share its
/// connections and wake one another; keep one opener a process.
pub struct Opener {
    /// What adapters read the time from; a build may have none that do.
    #[allow(dead_code)]
    clock: Arc<dyn Clock>,
    #[cfg(feature = "sqlite")]
    files: Mutex<HashMap<PathBuf, Arc<SqliteStore>>>,
    /// By their whole URL, which nobody may see.
    #[cfg(feature = "postgres")]
    databases: Mutex<HashMap<String, Arc<PgStore>>>,
    #[cfg(feature = "rabbitmq")]
    rabbits: RabbitBrokers,
    signal: Arc<MemorySignal>,
    aws: Access,
    #[cfg(feature = "sqs")]
    sqs: Mutex<Vec<Arc<SqsQueue>>>,
    cache: Arc<MemoryCache>,
    presence: Arc<MemoryPresence>,
}

/// What a migration did.
#[derive(Clone, Debug, Default)]
pub struct Migrated {
    /// The migrations that were run, by name.
    pub ran: Vec<String>,
    /// Those that take long and were not run.
    pub pending: Vec<String>,
}

/// What a database holds beside queues. An `Arc` of it becomes one of any of its supertraits.
pub trait Database:
    Store
    + Erasures
    + ModelRegistry
    + Verdicts
    + Exposures
    + Worklist
    + Batches
    + Quarantine
    + Accounts
    + Audit
    + Studies
    + Commitments
    + UnreadableCounts
{
}

impl<T> Database for T where
    T: Store
        + Erasures
        + ModelRegistry
        + Verdicts
        + Exposures
        + Worklist
        + Batches
        + Quarantine
        + Accounts
        + Audit
        + Studies
        + Commitments
        + UnreadableCounts
{
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// This build has no adapter for it.
    #[error("setting {setting}: {source}")]
    Url {
        /// The setting at fault: `store`, `uploads`, `jobs`, `signal`.
        setting: &'static str,
        /// Which adapter is missing.
        source: UrlError,
    },
    /// The adapter could not open it.
    #[error("setting {setting}: {source}")]
    Port {
        /// The setting at fault.
        setting: &'static str,
        /// What went wrong.
        source: PortError,
    },
}

impl Opener {
    /// Adapters opened by it read the time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            #[cfg(feature = "sqlite")]
            files: Mutex::default(),
            #[cfg(feature = "postgres")]
            databases: Mutex::default(),
            #[cfg(feature = "rabbitmq")]
            rabbits: RabbitBrokers::default(),
            signal: Arc::default(),
            aws: Access::default(),
            #[cfg(feature = "sqs")]
            sqs: Mutex::default(),
            cache: Arc::default(),
            presence: Arc::default(),
        }
    }

    /// Who asks Amazon's services, and in which region, where a URL does not say.
    pub fn with_aws(mut self, access: Access) -> Self {
        self.aws = access;
        self
    }

    /// Who asks Amazon's services.
    pub fn access(&self) -> &Access {
        &self.aws
    }

    /// The database that `url` names, of which each is opened once: the store, the model registry, the
    /// verdicts, the exposure record, the quarantine, the accounts and the audit record, each a supertrait of [`Database`].
    pub async fn database(
        &self,
        setting: &'static str,
        url: &StoreUrl,
    ) -> Result<Arc<dyn Database>, OpenError> {
        match url {
            #[cfg(feature = "sqlite")]
            StoreUrl::Sqlite(file) => Ok(self.file(setting, file).await?),
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(server) => Ok(self.server(setting, server.reveal()).await?),
            #[cfg(not(feature = "sqlite"))]
            StoreUrl::Sqlite(_) => Err(missing(setting, "sqlite")),
            #[cfg(not(feature = "postgres"))]
            StoreUrl::Postgres(_) => Err(missing(setting, "postgres")),
        }
    }

    /// The queue `name` in what `url` names.
    pub async fn queue(
        &self,
        setting: &'static str,
        url: &QueueUrl,
        name: &str,
    ) -> Result<Arc<dyn Queue>, OpenError> {
        match url {
            #[cfg(feature = "sqlite")]
            QueueUrl::Sqlite(file) => {
                Ok(Arc::new(SqliteQueue::new(self.file(setting, file).await?, name)))
            }
            #[cfg(feature = "postgres")]
            QueueUrl::Postgres(server) => {
                Ok(Arc::new(PgQueue::new(self.server(setting, server.reveal()).await?, name)))
            }
            #[cfg(feature = "sqs")]
            QueueUrl::Sqs(queue) => Ok(self.sqs(setting, queue.rest(), name).await?),
            #[cfg(feature = "rabbitmq")]
            QueueUrl::RabbitMq(server) => {
                let queue = self.rabbits.queue(server.reveal(), name, self.clock.clone()).await;
                queue.map_err(|source| OpenError::Port { setting, source })
            }
            #[cfg(not(feature = "sqlite"))]
            QueueUrl::Sqlite(_) => Err(missing(setting, "sqlite")),
            #[cfg(not(feature = "postgres"))]
            QueueUrl::Postgres(_) => Err(missing(setting, "postgres")),
            #[cfg(not(feature = "sqs"))]
            QueueUrl::Sqs(_) => Err(missing(setting, "sqs")),
            #[cfg(not(feature = "rabbitmq"))]
            QueueUrl::RabbitMq(_) => Err(missing(setting, "rabbitmq")),
        }
    }

    /// The signal that `url` names; of `memory:` each opener has one.
    pub fn signal(
        &self,
        setting: &'static str,
        url: &SignalUrl,
    ) -> Result<Arc<dyn Signal>, OpenError> {
        match url {
            SignalUrl::Memory => Ok(self.signal.clone()),
            SignalUrl::Poll => Ok(Arc::new(PollSignal)),
            #[cfg(feature = "redis")]
            SignalUrl::Redis(server) => {
                let failed = |source| OpenError::Port { setting, source };
                Ok(Arc::new(RedisSignal::open(server.reveal()).map_err(failed)?))
            }
            #[cfg(not(feature = "redis"))]
            SignalUrl::Redis(_) => Err(missing(setting, "redis")),
        }
    }

    /// The cache beside the signal that `url` names; none with `poll:`.
    pub fn cache(
        &self,
        setting: &'static str,
        url: &SignalUrl,
    ) -> Result<Option<Arc<dyn Cache>>, OpenError> {
        match url {
            SignalUrl::Memory => Ok(Some(self.cache.clone())),
            SignalUrl::Poll => Ok(None),
            #[cfg(feature = "redis")]
            SignalUrl::Redis(server) => {
                let failed = |source| OpenError::Port { setting, source };
                Ok(Some(Arc::new(RedisCache::open(server.reveal()).map_err(failed)?)))
            }
            #[cfg(not(feature = "redis"))]
            SignalUrl::Redis(_) => Err(missing(setting, "redis")),
        }
    }

    /// The presence of workers beside the signal that `url` names; none with `poll:`.
    pub fn presence(
        &self,
        setting: &'static str,
        url: &SignalUrl,
    ) -> Result<Option<Arc<dyn Presence>>, OpenError> {
        match url {
            SignalUrl::Memory => Ok(Some(self.presence.clone())),
            SignalUrl::Poll => Ok(None),
            #[cfg(feature = "redis")]
            SignalUrl::Redis(server) => {
                let failed = |source| OpenError::Port { setting, source };
                Ok(Some(Arc::new(RedisPresence::open(server.reveal()).map_err(failed)?)))
            }
            #[cfg(not(feature = "redis"))]
            SignalUrl::Redis(_) => Err(missing(setting, "redis")),
        }
    }

    /// Brings the database that a queue's or a store's `url` names to this release's schema, the migrations
    /// that take long included unless `defer` leaves them for later. `None` where the URL names no database.
    pub async fn migrate(
        &self,
        setting: &'static str,
        url: &QueueUrl,
        defer: bool,
    ) -> Result<Option<Migrated>, OpenError> {
        let mut migrated = Migrated::default();
        match url {
            #[cfg(feature = "sqlite")]
            QueueUrl::Sqlite(file) => {
                migrated.ran = self.file(setting, file).await?.migrated().to_vec();
            }
            #[cfg(feature = "postgres")]
            QueueUrl::Postgres(server) => {
                let database = self.server(setting, server.reveal()).await?;
                migrated.ran = database.migrated().to_vec();
                let deferred = Deferred::of_this_release();
                let failed = |error| {
                    let source = PortError::permanent("migrate", error);
                    OpenError::Port { setting, source }
                };
                if !defer {
                    migrated.ran.extend(deferred.run(&database).await.map_err(failed)?);
                }
                migrated.pending = deferred.pending(&database).await.map_err(failed)?;
            }
            _ => return Ok(None),
        }
        Ok(Some(migrated))
    }

    /// Closes what it opened; what is running ends first.
    pub async fn close(&self) {
        #[cfg(feature = "rabbitmq")]
        self.rabbits.close().await;
        #[cfg(feature = "sqs")]
        for queue in self.sqs.lock().await.drain(..) {
            queue.close().await;
        }
        #[cfg(feature = "sqlite")]
        for file in self.files.lock().await.values() {
            file.close().await;
        }
        #[cfg(feature = "postgres")]
        for database in self.databases.lock().await.values() {
            database.close().await;
        }
    }

    #[cfg(feature = "sqs")]
    async fn sqs(
        &self,
        setting: &'static str,
        url: &str,
        name: &str,
    ) -> Result<Arc<SqsQueue>, OpenError> {
        let failed = |source| OpenError::Port { setting, source };
        let options = SqsOptions::parse(url, name, &self.aws).map_err(failed)?;
        let queue = SqsQueue::open(options, self.clock.clone()).await.map_err(failed)?;
        let queue = Arc::new(queue);
        self.sqs.lock().await.push(queue.clone());
        Ok(queue)
    }

    #[cfg(feature = "sqlite")]
    async fn file(
        &self,
        setting: &'static str,
        file: &SqliteFile,
    ) -> Result<Arc<SqliteStore>, OpenError> {
        let failed = |source| OpenError::Port { setting, source };
        let path = std::path::absolute(file.path())
            .map_err(|error| failed(PortError::permanent("open database", error)))?;
        let mut files = self.files.lock().await;
        if let Some(open) = files.get(&path) {
            return Ok(open.clone());
        }
        let opened = sqlite::open(&path, self.clock.clone()).await;
        let file = Arc::new(opened.map_err(|error| failed(unopened(&path, error)))?);
        files.insert(path, file.clone());
        Ok(file)
    }

    #[cfg(feature = "postgres")]
    async fn server(&self, setting: &'static str, url: &str) -> Result<Arc<PgStore>, OpenError> {
        let mut databases = self.databases.lock().await;
        if let Some(open) = databases.get(url) {
            return Ok(open.clone());
        }
        let opened = postgres::open(url, self.clock.clone()).await;
        let database = opened.map_err(|source| OpenError::Port { setting, source })?;
        Ok(databases.entry(url.to_owned()).or_insert(Arc::new(database)).clone())
    }
}

/// Names the file, and what to do.
#[cfg(feature = "sqlite")]
fn unopened(path: &Path, PortError { what, disposition, source }: PortError) -> PortError {
    let source = format!(
        "{}: {source}; see that the disk has room, that this user may write to it and to its folder, and that it is \
         a database of this or an earlier release",
        path.display()
    );
    PortError { what, disposition, source: source.into() }
}

/// An adapter that this build is without, named by a default setting: [`url`] refuses what was set.
#[allow(dead_code)]
fn missing(setting: &'static str, adapter: &'static str) -> OpenError {
    let source = UrlError::NotBuiltIn { scheme: adapter.to_owned(), feature: adapter };
    OpenError::Url { setting, source }
}
