//! A bucket that notifies a queue, and roles on them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::batch::Batches;
use lobar_core::event::Seq;
use lobar_core::image::{Image, Lanes, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::queue::Queue;
use lobar_core::retry::Backoff;
use lobar_core::store::Store;
use lobar_core::time::SystemClock;
use lobar_ingest::{Ingest, IngestMetrics, IngestPorts, IngestSettings};
use lobar_memory::MemorySignal;
use lobar_opener::Opener;
use lobar_opener::url::{SqliteFile, StoreUrl};
use lobar_s3::S3ObjectStore;
use lobar_sqs::{SqsOptions, SqsQueue};
use lobar_testkit::services::http_proxy::HttpProxy;
use lobar_testkit::services::ministack::{self, MiniStack, Queues};
use lobar_tests::aws::{s3_options, sqs_options};
use lobar_tests::rig::ScriptedEngine;
use lobar_worker::model::EngineSource;
use lobar_worker::{Capacity, Worker, WorkerError, WorkerMetrics, WorkerPorts, WorkerSettings};
use prometheus::Registry;
use tokio::task::JoinHandle;

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// Short, so that what is lost on the way comes back soon.
const LEASE: Duration = Duration::from_secs(3);
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(50), max: Duration::from_millis(500) };
/// More receives than any test makes.
const RECEIVES: u32 = 1_000;

/// Our adapter of a queue, with little patience for a test's sake.
async fn queue(name: &str, endpoint: String) -> Arc<SqsQueue> {
    let options = SqsOptions { attempts: 3, ..sqs_options(name, endpoint) };
    Arc::new(SqsQueue::open(options, Arc::new(SystemClock)).await.expect("a queue"))
}

/// Everything that images pass through, on S3 and SQS behind a proxy, with a store of its own.
pub(crate) struct Cloud {
    pub(crate) ministack: &'static MiniStack,
    pub(crate) proxy: HttpProxy,
    pub(crate) bucket: String,
    pub(crate) notified: Queues,
    pub(crate) store: Arc<dyn Store>,
    batches: Arc<dyn Batches>,
    pub(crate) uploads: Arc<SqsQueue>,
    pub(crate) jobs: Lanes<Arc<SqsQueue>>,
    pub(crate) objects: Arc<S3ObjectStore>,
    opener: Opener,
    _folder: tempfile::TempDir,
}

/// A role that runs.
pub(crate) struct Running<T> {
    stop: Box<dyn Fn() + Send + Sync>,
    task: JoinHandle<T>,
    registry: Registry,
}

impl Cloud {
    /// A bucket with or without versions, its queue, and two for the jobs.
    pub(crate) async fn open(versions: bool) -> Self {
        let ministack = ministack::shared().await;
        let notified = ministack.queues(RECEIVES).await;
        let bucket = ministack.bucket(&notified, versions).await;
        let proxy = HttpProxy::open(ministack.port).await;
        let lane = async || {
            let queues = ministack.queues(RECEIVES).await;
            queue(&queues.name, proxy.url()).await
        };
        let jobs = Lanes { stat: lane().await, routine: lane().await };
        let uploads = queue(&notified.name, proxy.url()).await;
        let mut options = s3_options(&bucket, proxy.url());
        options.body_timeout = Duration::from_secs(2);
        let objects = Arc::new(S3ObjectStore::connect(options).await);
        let folder = tempfile::tempdir().expect("a folder");
        let opener = Opener::new(Arc::new(SystemClock));
        let url = StoreUrl::Sqlite(SqliteFile::at(folder.path().join("lobar.db")));
        let store = opener.database("store", &url).await.expect("a store");
        Self {
            ministack,
            proxy,
            bucket,
            notified,
            batches: store.clone(),
            store,
            uploads,
            jobs,
            objects,
            opener,
            _folder: folder,
        }
    }

    pub(crate) fn ingest_settings(&self) -> IngestSettings {
        IngestSettings {
            lease: LEASE,
            wait: Duration::from_secs(1),
            backoff: BACKOFF,
            sweep_every: Duration::ZERO,
            ..IngestSettings::new(&self.bucket)
        }
    }

    fn ports(&self) -> Lanes<Arc<dyn Queue>> {
        Lanes { stat: self.jobs.stat.clone(), routine: self.jobs.routine.clone() }
    }

    pub(crate) fn ingest(&self, settings: IngestSettings) -> Running<()> {
        let registry = Registry::new();
        let parts = IngestPorts {
            uploads: self.uploads.clone(),
            jobs: self.ports(),
            store: self.store.clone(),
            batches: self.batches.clone(),
            objects: self.objects.clone(),
            listing: None,
            erasure: None,
            signal: Arc::new(MemorySignal::new()),
            clock: Arc::new(SystemClock),
            metrics: IngestMetrics::register(&registry).expect("an empty registry"),
        };
        let stop = lobar_ingest::Stop::default();
        let task = tokio::spawn(Ingest::new(parts, settings).run(stop.clone()));
        Running { stop: Box::new(move || stop.receiving.cancel()), task, registry }
    }

    pub(crate) fn work(&self) -> Running<Result<(), WorkerError>> {
        let registry = Registry::new();
        let parts = WorkerPorts {
            jobs: self.ports(),
            store: self.store.clone(),
            objects: self.objects.clone(),
            signal: Arc::new(MemorySignal::new()),
            engine: EngineSource::Pinned(Box::new(ScriptedEngine::truthful())),
            metrics: WorkerMetrics::register(&registry).expect("an empty registry"),
        };
        let settings = WorkerSettings {
            lease: LEASE,
            wait: Duration::from_secs(1),
            backoff: BACKOFF,
            max_attempts: 50,
            ..WorkerSettings::new(Capacity::for_batch(16).expect("valid"))
        };
        let stop = lobar_worker::Stop::default();
        let task = tokio::spawn(Worker::new(parts, settings).run(stop.clone()));
        Running { stop: Box::new(move || stop.receiving.cancel()), task, registry }
    }

    /// Puts an object as a hospital's client would, and says which version it became.
    pub(crate) async fn put(&self, key: &str, body: Vec<u8>) -> ObjectVersion {
        self.put_with(key, body, None).await
    }

    /// The same, with a priority in its metadata.
    pub(crate) async fn put_with(
        &self,
        key: &str,
        body: Vec<u8>,
        priority: Option<&str>,
    ) -> ObjectVersion {
        let size = Some(body.len() as u64);
        let s3 = self.ministack.s3().await;
        let mut put = s3.put_object().bucket(&self.bucket).key(key).body(body.into());
        if let Some(priority) = priority {
            put = put.metadata("priority", priority);
        }
        let done = put.send().await.expect("stored");
        ObjectVersion {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            version: done.version_id().map(str::to_owned),
            etag: done.e_tag().map(|etag| etag.trim_matches('"').to_owned()),
            sequencer: None,
            size,
        }
    }

    /// Messages of the uploads queue that are not finished with.
    pub(crate) async fn notifications(&self) -> u64 {
        let depth = self.uploads.depth().await.unwrap_or_default();
        depth.ready + depth.in_flight + depth.delayed
    }

    pub(crate) async fn image(&self, id: ImageId) -> Image {
        self.store.image(id).await.expect("answers").expect("known")
    }

    /// Images in each state.
    pub(crate) async fn states(&self) -> HashMap<State, u64> {
        self.store.overview().await.expect("answers").by_state.into_iter().collect()
    }

    /// How often each image reached a terminal state.
    pub(crate) async fn ends(&self) -> HashMap<ImageId, u32> {
        let events = self.store.events(Seq(0), 100_000).await.expect("answers");
        let mut ends = HashMap::new();
        for event in events.iter().filter(|event| event.state.is_terminal()) {
            *ends.entry(event.image).or_insert(0) += 1;
        }
        ends
    }

    /// Waits until `images` are known, all of them are finished and no message is left.
    pub(crate) async fn until_quiet(&self, images: u64) {
        until("all images finished and the queues empty", async || {
            let states = self.states().await;
            let open = [State::Queued, State::Analysing];
            let open: u64 = open.iter().filter_map(|state| states.get(state)).sum();
            states.values().sum::<u64>() == images && open == 0 && self.messages().await == Some(0)
        })
        .await;
    }

    /// Waits until `images` are known and every notification is settled.
    pub(crate) async fn until_admitted(&self, images: u64) {
        until("everything notified is admitted", async || {
            self.states().await.values().sum::<u64>() == images && self.notifications().await == 0
        })
        .await;
    }

    async fn messages(&self) -> Option<u64> {
        let mut messages = 0;
        for queue in [&self.uploads, &self.jobs.stat, &self.jobs.routine] {
            let depth = queue.depth().await.ok()?;
            messages += depth.ready + depth.in_flight + depth.delayed;
        }
        Some(messages)
    }

    pub(crate) async fn close(self) {
        for queue in [&self.uploads, &self.jobs.stat, &self.jobs.routine] {
            queue.close().await;
        }
        self.opener.close().await;
    }
}

impl<T> Running<T> {
    /// Stops it gracefully.
    pub(crate) async fn stop(self) -> T {
        (self.stop)();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").expect("no panic")
    }

    /// The sum of a metric over the labels that `which` picks by value.
    pub(crate) fn metric(&self, name: &str, which: impl Fn(&str) -> bool) -> f64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name);
        let metrics = metrics.flat_map(|family| family.get_metric());
        let picked = metrics.filter(|one| one.get_label().iter().all(|label| which(label.value())));
        picked.map(|one| one.get_counter().get_value()).sum()
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, reached: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !reached().await {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
