//! An S3 endpoint inside the process, for `lobar up` and for tests. Any S3 client can use it: the
//! AWS CLI, boto3, the SDKs, a browser with a presigned URL.
//!
//! HTTP, signatures and XML are the crate `s3s`; the storage is ours:
//!
//! - **Metadata** in SQLite (`objects.db`): one writer, WAL, every commit synced.
//! - **Bodies** in files named by id (`bodies/`), written and synced before the transaction that
//!   makes them visible. Keys never become paths.
//! - **Events** in S3's own form, written into an outbox by the same transaction, then sent onto
//!   the uploads queue. The queue may get one twice; it never misses one.
//!
//! A kill at any point leaves files that nothing names, which the next start removes, and events in
//! the outbox, which the next start sends.
//!
//! Offered: buckets, versioning, put, get (range, conditions, versions), head, delete (one, many),
//! copy, the four listings, multipart, presigned URLs, CORS, and POST policies where forms are switched on. Tags
//! and access lists are answered as those of a private bucket without any.
//! Everything else is answered NotImplemented. What browsers may do is in [`guard`]. Large bodies are streamed; only a form upload is held in memory.

mod attributes;
mod auth;
mod bodies;
mod catalog;
mod chunked;
mod conditions;
mod cors;
mod deliver;
mod described;
mod digest;
mod event;
mod fault;
mod form;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guard;
mod health;
mod lifecycle;
mod list_operations;
mod listing;
mod multipart;
mod outbox_relay;
mod policy;
mod ranges;
mod reads;
mod receive;
mod record;
mod server;
mod service;
mod writes;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lobar_core::accounts::Accounts;
use lobar_core::audit::Audit;
use lobar_core::log_filter;
use lobar_core::queue::Queue;
use lobar_core::time::{Clock, SystemClock};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use auth::Auth;
pub use auth::Credentials;
use bodies::Bodies;
use catalog::{Catalog, Versioning};
use cors::Cors;
use fault::EndpointFault;
use form::Forms;
use guard::Guard;
pub use health::EndpointHealth;
use lifecycle::Lifecycle;
use outbox_relay::OutboxRelay;
use policy::Policy;
use receive::Limits;
use record::{RecordWriter, recorder};
use server::Server;
use service::Service;
pub use service::operations;

/// S3's bound on one put, and the default of [`EndpointOptions::max_object_size`].
const LARGEST: u64 = 5 << 30;
/// The most that a form upload may hold in memory.
const LARGEST_FORM: u64 = 64 << 20;
/// How long an unfinished multipart upload is kept, counted at a start.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an endpoint needs to know.
#[derive(Clone)]
pub struct EndpointOptions {
    /// The folder of its data; made when missing. One process at a time.
    pub data_dir: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bucket that exists from the start, with versioning on, and whose changes are announced.
    pub bucket: String,
    /// A second bucket that exists from the start, without versioning: for models' weights. Its
    /// changes are not announced.
    pub models: String,
    /// The operator's key pair, which may do everything. Those of others are made of its secret, where that has 32
    /// characters or more.
    pub credentials: Credentials,
    /// Who else may have a key pair, and where what they do is recorded. Nobody when left out.
    pub people: Option<People>,
    /// The region that it says it is in.
    pub region: String,
    /// Origins of pages that may use it, such as `http://127.0.0.1:8080`; `*` for all.
    pub allowed_origins: Vec<String>,
    /// Host names under which it is asked, beside localhost and addresses. A request under another name is
    /// refused.
    pub hosts: Vec<String>,
    /// Whether browsers may upload by a form with a signed policy.
    pub forms: bool,
    /// Where events go.
    pub uploads: Arc<dyn Queue>,
    /// Where it reads the time of changes and of answers. Signatures are checked by the machine's clock.
    pub clock: Arc<dyn Clock>,
    /// The largest object in bytes.
    pub max_object_size: u64,
    /// For how long versions stay that were replaced or deleted; `None` for ever.
    pub noncurrent: Option<Duration>,
    /// How often it is looked for those whose time is over.
    pub expire_every: Duration,
    /// How long a client may fall silent in the middle of a body.
    pub silence: Duration,
    /// How long requests under way may take to end after the stop.
    pub drain: Duration,
}

impl EndpointOptions {
    /// The contract's defaults: buckets `xrays` and `lobar-models`, region `us-east-1`.
    pub fn new(
        data_dir: impl Into<PathBuf>,
        listen: SocketAddr,
        credentials: Credentials,
        uploads: Arc<dyn Queue>,
    ) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen,
            bucket: "xrays".to_owned(),
            models: "lobar-models".to_owned(),
            credentials,
            people: None,
            region: "us-east-1".to_owned(),
            allowed_origins: vec![
                "http://127.0.0.1:8080".to_owned(),
                "http://localhost:8080".to_owned(),
            ],
            hosts: Vec::new(),
            forms: false,
            uploads,
            clock: Arc::new(SystemClock),
            max_object_size: LARGEST,
            noncurrent: None,
            expire_every: Duration::from_secs(3600),
            silence: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// Who may have a key pair beside the operator.
#[derive(Clone)]
pub struct People {
    /// Who they are, and what they may do.
    pub accounts: Arc<dyn Accounts>,
    /// Where what they do is recorded.
    pub audit: Arc<dyn Audit>,
}

/// Why an endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The data folder could not be read or written.
    #[error("embedded S3: {what} in the data folder {folder}: {source}")]
    Folder {
        /// What was tried.
        what: &'static str,
        /// The folder as configured.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the data folder.
    #[error(
        "embedded S3: the data folder {0} is in use by another process: stop that one, or choose \
         another folder"
    )]
    InUse(PathBuf),
    /// The address is taken or not of this machine.
    #[error("embedded S3: cannot listen on {address}: {source}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The bucket has a name that S3 does not allow.
    #[error("embedded S3: {0:?} is not a valid bucket name: 3 to 63 of a-z, 0-9, dot and hyphen")]
    BucketName(String),
    /// One bucket for uploads and models: every model would be announced as an upload.
    #[error("embedded S3: the bucket {0:?} cannot be for uploads and for models at once")]
    OneBucket(String),
    /// The database could not be opened, or what it says could not be carried out.
    #[error("embedded S3: cannot open the object store in {folder}: {source}")]
    Store {
        /// The folder as configured.
        folder: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Whether it is that the disk has no room.
        is_full: bool,
    },
}

impl EndpointError {
    fn store(folder: &Path, fault: EndpointFault) -> Self {
        let is_full = fault.is_full();
        Self::Store { folder: folder.to_owned(), source: Box::new(fault), is_full }
    }

    /// Whether it is that the disk has no room, so that it would open once there is some.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Folder { source, .. } => fault::is_full(source),
            Self::Store { is_full, .. } => *is_full,
            _ => false,
        }
    }
}

/// An endpoint that is open and listens, but serves only while [`Endpoint::run`] runs.
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
    server: Server,
    drain: OutboxRelay,
    record: Option<RecordWriter>,
    lifecycle: Lifecycle,
    catalog: Arc<Catalog>,
    health: EndpointHealth,
    tasks: TaskTracker,
    patience: Duration,
    /// Held as long as the endpoint lives; the system lets go of it when the process dies.
    lock: File,
}

impl Endpoint {
    /// Opens the data folder, clears away what a crash left, and begins to listen.
    pub async fn open(options: EndpointOptions) -> Result<Self, EndpointError> {
        for name in [&options.bucket, &options.models] {
            if !s3s::path::check_bucket_name(name) {
                return Err(EndpointError::BucketName(name.clone()));
            }
        }
        if options.bucket == options.models {
            return Err(EndpointError::OneBucket(options.bucket));
        }
        let folder = options.data_dir;
        let lock = lock(&folder)?;
        let bodies = Bodies::open(folder.join("bodies")).map_err(|source| {
            EndpointError::Folder { what: "making bodies/", folder: folder.clone(), source }
        })?;
        let bodies = Arc::new(bodies);
        let tasks = TaskTracker::new();
        let (clock, home) = (options.clock, options.bucket);
        let now = clock.now();
        let database = folder.join("objects.db");
        let failed = |fault| EndpointError::store(&folder, fault);
        let catalog =
            Catalog::open(&database, bodies.clone(), clock.clone(), tasks.clone(), home.clone());
        let catalog = Arc::new(catalog.await.map_err(failed)?);
        catalog.create_bucket(home.clone(), Versioning::Enabled).await.map_err(failed)?;
        let models = options.models.clone();
        catalog.create_bucket(models, Versioning::Off).await.map_err(failed)?;
        let removed = catalog.sweep(now.minus(ABANDONED)).await.map_err(failed)?;
        if removed > 0 {
            tracing::info!(removed, "embedded S3: files of unfinished uploads deleted");
        }

        let health = EndpointHealth { catalog: catalog.clone(), bodies: bodies.clone() };
        let (accounts, audit) =
            options.people.map(|people| (people.accounts, people.audit)).unzip();
        let (recorder, record) = audit.map(|audit| recorder(audit, clock.clone())).unzip();
        let service = Service {
            policy: Policy { home: home.clone(), recorder: recorder.map(Arc::new) },
            catalog: catalog.clone(),
            bodies,
            limits: Limits { size: options.max_object_size, silence: options.silence },
            region: options.region.clone(),
            homes: [home, options.models],
        };
        let mut config = S3Config::default();
        let largest_form = options.max_object_size.min(LARGEST_FORM);
        config.post_object_max_file_size = largest_form;
        let config = Arc::new(StaticConfigProvider::new(Arc::new(config)));
        let mut unchecked = S3ServiceBuilder::new(service.clone());
        unchecked.set_config(config.clone());
        let mut builder = S3ServiceBuilder::new(service);
        let auth = Auth::new(options.credentials, accounts);
        builder.set_auth(auth.clone());
        builder.set_access(auth);
        builder.set_config(config);
        let lifecycle = Lifecycle {
            catalog: catalog.clone(),
            clock: clock.clone(),
            kept: options.noncurrent,
            every: options.expire_every,
        };
        let server = Server {
            service: builder.build(),
            unchecked: unchecked.build(),
            guard: Arc::new(Guard {
                hosts: options.hosts,
                forms: options.forms,
                cors: Cors::new(options.allowed_origins),
            }),
            clock,
            forms: Arc::new(Forms::new(largest_form)),
            log: log_filter::ours_only(),
        };
        let drain = OutboxRelay {
            catalog: catalog.clone(),
            uploads: options.uploads,
            region: options.region,
        };

        let unusable = |source| EndpointError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let patience = options.drain;
        Ok(Self {
            listener,
            address,
            server,
            drain,
            record,
            lifecycle,
            catalog,
            health,
            tasks,
            patience,
            lock,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Asks it whether it can do its work.
    pub fn health(&self) -> EndpointHealth {
        self.health.clone()
    }

    /// Serves until `stop`. Then nothing new is accepted, requests under way end within the drain
    /// time, events go out once more, and the database is closed.
    pub async fn run(self, stop: CancellationToken) {
        let served = CancellationToken::new();
        let expiring = stop.clone();
        let serve = async {
            self.server.run(self.listener, stop, self.patience).await;
            self.tasks.close();
            self.tasks.wait().await;
            served.cancel();
        };
        let record = async {
            if let Some(record) = self.record {
                record.run(served.clone()).await;
            }
        };
        let expire = self.lifecycle.run(expiring);
        tokio::join!(serve, expire, self.drain.run(served.clone()), record);
        self.catalog.close().await;
        drop(self.lock);
    }
}

fn lock(folder: &PathBuf) -> Result<File, EndpointError> {
    let failed =
        |what| move |source| EndpointError::Folder { what, folder: folder.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed("making it"))?;
    let path = folder.join("objects.lock");
    let file = File::options().create(true).append(true).open(path);
    let file = file.map_err(failed("opening objects.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(EndpointError::InUse(folder.clone())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed("locking objects.lock")(source)),
    }
}
