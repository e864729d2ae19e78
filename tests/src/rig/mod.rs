//! Roles on private embedded parts: a real store and real queues in SQLite, a real S3 endpoint, and a
//! switch at each port that makes it fail as an absent service does. Time of leases and delays is
//! stepped by the test.

mod engine;
mod faults;
mod inject;
mod line;
mod models;
mod running;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lobar_core::accounts::Accounts;
use lobar_core::audit::Audit;
use lobar_core::batch::Batches;
use lobar_core::erasure::ErasurePorts;
use lobar_core::event::{Event, Seq};
use lobar_core::exposure::Exposures;
use lobar_core::image::{Image, Lane, Lanes, NewImage, State};
use lobar_core::job::Job;
use lobar_core::model_registry::ModelRegistry;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::object_store::Upload;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{Depth, JobQueues, Outgoing, Queue};
use lobar_core::study::Studies;
use lobar_core::time::{Clock, ManualClock, SystemClock};
use lobar_core::verdict::Verdicts;
use lobar_core::worklist::Worklist;
use lobar_endpoint::{Endpoint, EndpointOptions};
use lobar_memory::MemorySignal;
use lobar_opener::Opener;
use lobar_s3::S3ObjectStore;
use tokio_util::sync::CancellationToken;

use crate::aws::{s3_options, server_key_pair};

pub use engine::{Answers, ScriptedEngine, Steps, score};
pub use faults::{
    FaultyCommitments, FaultyObjects, FaultyQueue, FaultySignal, FaultyStore, Switch,
};
pub use inject::{Count, Injector, Kind, Plan, Scope};
pub use line::Line;
pub use models::{ScriptedEngines, model};
pub use running::{Ingesting, Working};

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The bucket.
pub const BUCKET: &str = "xrays";

/// The parts.
pub struct Rig {
    /// Moves leases and delays.
    pub clock: ManualClock,
    /// The store.
    pub store: Arc<FaultyStore>,
    /// The model registry, in the same database.
    pub registry: Arc<dyn ModelRegistry>,
    /// What readers said of images, in the same database.
    pub verdicts: Arc<dyn Verdicts>,
    /// What ingest put aside, in the same database.
    pub quarantine: Arc<dyn Quarantine>,
    /// What is erased, in the same database, and the bucket.
    pub erasure: ErasurePorts,
    /// People, sessions, tokens, sites.
    pub accounts: Arc<dyn Accounts>,
    /// The audit record, in the same database.
    pub audit: Arc<dyn Audit>,
    /// What readers met of answers, in the same database.
    pub exposures: Arc<dyn Exposures>,
    /// Who reads what, in the same database.
    pub worklist: Arc<dyn Worklist>,
    /// What was uploaded together, in the same database.
    pub batches: Arc<dyn Batches>,
    /// Whose images are, in the same database.
    pub studies: Arc<dyn Studies>,
    /// What peers wait to be told is stored, in the same database.
    pub commitments: Arc<FaultyCommitments>,
    /// The uploads queue.
    pub uploads: Arc<FaultyQueue>,
    /// The job queues.
    pub jobs: Lanes<Arc<FaultyQueue>>,
    /// The bucket itself.
    pub bucket: Arc<S3ObjectStore>,
    /// The bucket, as roles see it.
    pub objects: Arc<FaultyObjects>,
    /// Where its endpoint is: `http://127.0.0.1:PORT`.
    pub s3: String,
    /// Where a role that uses these parts is killed.
    pub line: Arc<Line>,
    /// What each call on these ports is answered with.
    pub injector: Arc<Injector>,
    /// The signal.
    pub signal: Arc<MemorySignal>,
    /// The signal, as roles see it.
    pub faulty_signal: Arc<FaultySignal>,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Opens everything in a folder of its own.
    pub async fn open() -> Self {
        Self::open_on(None, None).await
    }

    /// Opens everything, with the store and the queues where these URLs say; what has none is in a folder
    /// of its own.
    pub async fn open_on(store: Option<&str>, queues: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = ManualClock::new(SystemClock.now());
        let opener = Opener::new(Arc::new(clock.clone()));
        let file = format!("sqlite:{}", folder.path().join("lobar.db").display());
        let url = store.unwrap_or(&file).parse().expect("a store's URL");
        let store = opener.database("store", &url).await.expect("opens");
        let (registry, verdicts) = (store.clone(), store.clone());
        let quarantine = store.clone();
        let erasures = store.clone();
        let accounts = store.clone();
        let (audit, exposures, studies) = (store.clone(), store.clone(), store.clone());
        let commitments = store.clone();
        let worklist = store.clone();
        let batches = store.clone();
        let url = queues.unwrap_or(&file).parse().expect("a queue's URL");
        let line = Arc::new(Line::default());
        let injector = Arc::new(Injector::default());
        let queue = async |name| {
            let queue = opener.queue("queue", &url, name).await.expect("opens");
            Arc::new(FaultyQueue::new(queue, name, line.clone(), injector.clone()))
        };
        let uploads = queue("uploads").await;
        let jobs = Lanes { stat: queue("jobs-stat").await, routine: queue("jobs-routine").await };
        let listen = "127.0.0.1:0".parse().expect("an address");
        let events: Arc<dyn Queue> = uploads.clone();
        let options =
            EndpointOptions::new(folder.path().join("s3"), listen, server_key_pair(), events);
        let endpoint = Endpoint::open(options).await.expect("opens");
        let address = endpoint.local_addr();
        let stop = CancellationToken::new();
        tokio::spawn(endpoint.run(stop.clone()));
        let objects = S3ObjectStore::connect(s3_options(BUCKET, format!("http://{address}")));
        let rival = jobs.routine.inner.clone();
        let commitments = FaultyCommitments::new(commitments, line.clone());
        let store = FaultyStore::new(store, line.clone(), injector.clone(), rival);
        let bucket = Arc::new(objects.await);
        let objects = FaultyObjects::new(bucket.clone(), line.clone(), injector.clone());
        let signal = Arc::new(MemorySignal::new());
        Self {
            clock,
            store: Arc::new(store),
            registry,
            verdicts,
            quarantine,
            erasure: ErasurePorts { erasures, objects: bucket.clone() },
            accounts,
            audit,
            exposures,
            worklist,
            batches,
            studies,
            commitments: Arc::new(commitments),
            uploads,
            jobs,
            bucket,
            objects: Arc::new(objects),
            line,
            faulty_signal: Arc::new(FaultySignal::new(signal.clone(), injector.clone())),
            injector,
            signal,
            s3: format!("http://{address}"),
            stop,
            folder,
        }
    }

    /// The file of the store and the queues that have none of their own.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("lobar.db")
    }

    /// Registers models of these versions, and activates the first.
    pub async fn register(&self, versions: &[&str]) {
        for version in versions {
            self.registry.register(&model(version), "test").await.expect("registered");
        }
        self.registry.activate(versions[0], "test").await.expect("activated");
    }

    /// The job queues as roles see them.
    pub fn ports(&self) -> JobQueues {
        Lanes { stat: self.jobs.stat.clone(), routine: self.jobs.routine.clone() }
    }

    /// Puts an object, and says which version it became. Its event goes onto the uploads queue.
    pub async fn put(&self, key: &str, lane: Lane, body: impl Into<Bytes>) -> ObjectVersion {
        let metadata = Default::default();
        let upload = Upload { key: key.into(), body: body.into(), lane, metadata };
        self.objects.inner.put(upload).await.expect("stored")
    }

    /// Puts an object, admits it, and sends its job: what ingest would do.
    pub async fn admit(&self, key: &str, lane: Lane, body: impl Into<Bytes>) -> ImageId {
        let object = self.put(key, Lane::Routine, body).await;
        let admitted = self.store.inner.admit(&[NewImage { object, lane }]).await;
        let image = admitted.expect("admitted")[0].id();
        self.send(image, lane).await;
        image
    }

    /// Sends a job.
    pub async fn send(&self, image: ImageId, lane: Lane) {
        let job = Outgoing::now(Job { image }.encode());
        self.jobs.of(lane).inner.send(vec![job]).await.remove(0).expect("sent");
    }

    /// One image.
    pub async fn image(&self, id: ImageId) -> Image {
        self.store.inner.image(id).await.expect("answers").expect("known")
    }

    /// Every event there is.
    pub async fn events(&self) -> Vec<Event> {
        self.store.inner.events(Seq(0), 100_000).await.expect("answers")
    }

    /// How many images are in a state.
    pub async fn count(&self, state: State) -> u64 {
        let overview = self.store.inner.overview().await.expect("answers");
        overview.by_state.iter().filter(|(one, _)| *one == state).map(|(_, n)| n).sum()
    }

    /// Images whose work has not ended.
    pub async fn open_images(&self) -> u64 {
        // Of one moment: an image may go from one of the two states to the other at any time.
        let unfinished = self.store.inner.overview().await.expect("answers").unfinished;
        unfinished.stat + unfinished.routine
    }

    /// What is on one lane's queue.
    pub async fn depth(&self, lane: Lane) -> Depth {
        self.jobs.of(lane).inner.depth().await.expect("answers")
    }

    /// Waits until `reached` says so, stepping the clock by a second each time it looks, so that
    /// delayed messages come back.
    pub async fn until(&self, what: &str, reached: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !reached().await {
            if began.elapsed() > PATIENCE {
                panic!("in vain: {what}; {}", self.describe().await);
            }
            self.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `reached` says so, the clock going on as fast as time does, so that leases are kept.
    pub async fn until_in_time(&self, what: &str, reached: impl AsyncFn() -> bool) {
        let (began, mut last) = (Instant::now(), Instant::now());
        while !reached().await {
            assert!(began.elapsed() < PATIENCE, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(25)).await;
            let now = Instant::now();
            self.clock.advance(now - last);
            last = now;
        }
    }

    /// Waits until nothing of a role that was ended at once holds any of the parts: unlike a killed
    /// process, its tasks end a moment later, and until then may lease a message that no step of the
    /// clock brings back.
    async fn until_let_go(&self) {
        self.until("the parts are let go", async || {
            let jobs = [&self.jobs.stat, &self.jobs.routine].map(Arc::strong_count);
            Arc::strong_count(&self.store) == 1 && jobs == [1, 1]
        })
        .await;
    }

    /// Waits until work has ended on all images and no job is left.
    pub async fn until_quiet(&self) {
        self.until("all images settled and the job queues empty", async || {
            let mut waiting = self.open_images().await;
            for lane in Lane::ALL {
                let depth = self.depth(lane).await;
                waiting += depth.ready + depth.in_flight + depth.delayed;
            }
            waiting == 0
        })
        .await;
    }

    /// How many images are in each state, and what is on the job queues, for the message of a test that
    /// waited in vain.
    async fn describe(&self) -> String {
        let overview = self.store.inner.overview().await.expect("answers");
        let (stat, routine) = (self.depth(Lane::Stat).await, self.depth(Lane::Routine).await);
        format!("images {:?}, stat {stat:?}, routine {routine:?}", overview.by_state)
    }

    /// Every image's terminal states, in the order of events; each must have had exactly one.
    pub async fn assert_each_ended_once(&self, images: &[ImageId]) {
        let events = self.events().await;
        for image in images {
            let ends = events.iter().filter(|e| e.image == *image && e.state.is_terminal());
            assert_eq!(ends.count(), 1, "image {image} is shown once");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
