//! From settings to ports: a URL's scheme picks the adapter. The only crate that knows them all; each is
//! a feature, and a URL whose adapter was not built in is refused by name.

pub mod examine;
mod scheme;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::collections::HashMap;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;

use lobar_aws::Access;
use lobar_core::cache::Cache;
use lobar_core::failure::PortError;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::presence::Presence;
use lobar_core::queue::Queue;
use lobar_core::signal::Signal;
use lobar_core::store::Store;
use lobar_core::time::Clock;
use lobar_core::verdict::Verdicts;
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

use crate::scheme::{Scheme, refused};

/// The URLs of stores.
pub const STORES: &str = "sqlite:FILE, postgres://…";
/// The URLs of queues.
pub const QUEUES: &str = "sqlite:FILE, postgres://…, amqp://…, sqs://QUEUE";
/// The URLs of signals.
pub const SIGNALS: &str = "memory:, poll:, redis://HOST[:PORT][/DATABASE], rediss://…";

const STORE: &[Scheme] = &[Scheme::Sqlite, Scheme::Postgres];
const QUEUE: &[Scheme] = &[Scheme::Sqlite, Scheme::Postgres, Scheme::RabbitMq, Scheme::Sqs];
const SIGNAL: &[Scheme] = &[Scheme::Memory, Scheme::Poll, Scheme::Redis];

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

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No adapter has this scheme. Only the scheme is told: the rest may hold a password.
    #[error("setting {setting}: no adapter for `{scheme}:`; known: {known}")]
    UnknownScheme {
        /// The setting at fault: `store`, `uploads`, `jobs`, `signal`.
        setting: &'static str,
        /// What it begins with.
        scheme: String,
        /// What it may begin with.
        known: &'static str,
    },
    /// An adapter has it, which is not part of this build.
    #[error(
        "setting {setting}: this lobar was built without {scheme}:; build it with --features {feature}"
    )]
    NotBuiltIn {
        /// The setting at fault.
        setting: &'static str,
        /// What it begins with.
        scheme: String,
        /// The feature to build with.
        feature: &'static str,
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

    /// The store that `url` names: see [`STORES`].
    pub async fn store(
        &self,
        setting: &'static str,
        url: &str,
    ) -> Result<Arc<dyn Store>, OpenError> {
        match Scheme::split(url) {
            #[cfg(feature = "sqlite")]
            Some((Scheme::Sqlite, path)) => Ok(self.file(setting, path).await?),
            #[cfg(feature = "postgres")]
            Some((Scheme::Postgres, _)) => Ok(self.database(setting, url).await?),
            _ => Err(refused(setting, url, STORES, STORE)),
        }
    }

    /// The model registry in the store that `url` names: see [`STORES`].
    pub async fn registry(
        &self,
        setting: &'static str,
        url: &str,
    ) -> Result<Arc<dyn ModelRegistry>, OpenError> {
        match Scheme::split(url) {
            #[cfg(feature = "sqlite")]
            Some((Scheme::Sqlite, path)) => Ok(self.file(setting, path).await?),
            #[cfg(feature = "postgres")]
            Some((Scheme::Postgres, _)) => Ok(self.database(setting, url).await?),
            _ => Err(refused(setting, url, STORES, STORE)),
        }
    }

    /// What readers said of the images in the store that `url` names: see [`STORES`].
    pub async fn verdicts(
        &self,
        setting: &'static str,
        url: &str,
    ) -> Result<Arc<dyn Verdicts>, OpenError> {
        match Scheme::split(url) {
            #[cfg(feature = "sqlite")]
            Some((Scheme::Sqlite, path)) => Ok(self.file(setting, path).await?),
            #[cfg(feature = "postgres")]
            Some((Scheme::Postgres, _)) => Ok(self.database(setting, url).await?),
            _ => Err(refused(setting, url, STORES, STORE)),
        }
    }

    /// The queue `name` in what `url` names: see [`QUEUES`].
    pub async fn queue(
        &self,
        setting: &'static str,
        url: &str,
        name: &str,
    ) -> Result<Arc<dyn Queue>, OpenError> {
        match Scheme::split(url) {
            #[cfg(feature = "sqlite")]
            Some((Scheme::Sqlite, path)) => {
                Ok(Arc::new(SqliteQueue::new(self.file(setting, path).await?, name)))
            }
            #[cfg(feature = "postgres")]
            Some((Scheme::Postgres, _)) => {
                Ok(Arc::new(PgQueue::new(self.database(setting, url).await?, name)))
            }
            #[cfg(feature = "sqs")]
            Some((Scheme::Sqs, rest)) => Ok(self.sqs(setting, rest, name).await?),
            #[cfg(feature = "rabbitmq")]
            Some((Scheme::RabbitMq, _)) => {
                let queue = self.rabbits.queue(url, name, self.clock.clone()).await;
                queue.map_err(|source| OpenError::Port { setting, source })
            }
            _ => Err(refused(setting, url, QUEUES, QUEUE)),
        }
    }

    /// The signal that `url` names: `memory:`, of which each opener has one, `poll:`, `redis://…`.
    pub fn signal(&self, setting: &'static str, url: &str) -> Result<Arc<dyn Signal>, OpenError> {
        let failed = |source| OpenError::Port { setting, source };
        match Scheme::split(url) {
            Some((Scheme::Memory, _)) => Ok(self.signal.clone()),
            Some((Scheme::Poll, _)) => Ok(Arc::new(PollSignal)),
            #[cfg(feature = "redis")]
            Some((Scheme::Redis, _)) => Ok(Arc::new(RedisSignal::open(url).map_err(failed)?)),
            _ => Err(refused(setting, url, SIGNALS, SIGNAL)),
        }
    }

    /// The cache beside the signal that `url` names; none with `poll:`.
    pub fn cache(
        &self,
        setting: &'static str,
        url: &str,
    ) -> Result<Option<Arc<dyn Cache>>, OpenError> {
        let failed = |source| OpenError::Port { setting, source };
        match Scheme::split(url) {
            Some((Scheme::Memory, _)) => Ok(Some(self.cache.clone())),
            Some((Scheme::Poll, _)) => Ok(None),
            #[cfg(feature = "redis")]
            Some((Scheme::Redis, _)) => Ok(Some(Arc::new(RedisCache::open(url).map_err(failed)?))),
            _ => Err(refused(setting, url, SIGNALS, SIGNAL)),
        }
    }

    /// The presence of workers beside the signal that `url` names; none with `poll:`.
    pub fn presence(
        &self,
        setting: &'static str,
        url: &str,
    ) -> Result<Option<Arc<dyn Presence>>, OpenError> {
        let failed = |source| OpenError::Port { setting, source };
        match Scheme::split(url) {
            Some((Scheme::Memory, _)) => Ok(Some(self.presence.clone())),
            Some((Scheme::Poll, _)) => Ok(None),
            #[cfg(feature = "redis")]
            Some((Scheme::Redis, _)) => {
                Ok(Some(Arc::new(RedisPresence::open(url).map_err(failed)?)))
            }
            _ => Err(refused(setting, url, SIGNALS, SIGNAL)),
        }
    }

    /// Brings the database that `url` names to this release's schema, the migrations that take long
    /// included unless `defer` leaves them for later. `None` where the URL names no database.
    pub async fn migrate(
        &self,
        setting: &'static str,
        url: &str,
        defer: bool,
    ) -> Result<Option<Migrated>, OpenError> {
        let mut migrated = Migrated::default();
        match Scheme::split(url) {
            #[cfg(feature = "sqlite")]
            Some((Scheme::Sqlite, path)) => {
                migrated.ran = self.file(setting, path).await?.migrated().to_vec();
            }
            #[cfg(feature = "postgres")]
            Some((Scheme::Postgres, _)) => {
                let database = self.database(setting, url).await?;
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
    async fn file(&self, setting: &'static str, path: &str) -> Result<Arc<SqliteStore>, OpenError> {
        let path = path.strip_prefix("//").unwrap_or(path);
        let failed = |source| OpenError::Port { setting, source };
        let path = std::path::absolute(path)
            .map_err(|error| failed(PortError::permanent("open database", error)))?;
        let mut files = self.files.lock().await;
        if let Some(open) = files.get(&path) {
            return Ok(open.clone());
        }
        let file = Arc::new(sqlite::open(&path, self.clock.clone()).await.map_err(failed)?);
        files.insert(path, file.clone());
        Ok(file)
    }

    #[cfg(feature = "postgres")]
    async fn database(&self, setting: &'static str, url: &str) -> Result<Arc<PgStore>, OpenError> {
        let mut databases = self.databases.lock().await;
        if let Some(open) = databases.get(url) {
            return Ok(open.clone());
        }
        let opened = postgres::open(url, self.clock.clone()).await;
        let database = opened.map_err(|source| OpenError::Port { setting, source })?;
        Ok(databases.entry(url.to_owned()).or_insert(Arc::new(database)).clone())
    }
}
