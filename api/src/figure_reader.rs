//! Reads the queues, the store and the presence service, at most once a second, for `GET /v1/queues` and the metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{OptionFuture, join4};
use lobar_core::failure::PortError;
use lobar_core::image::Lanes;
use lobar_core::presence::Presence;
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{Depth, JobQueues, Queue};
use lobar_core::scaling::{Decision, Policy, decide};
use lobar_core::store::{Overview, Store};
use lobar_core::time::Clock;
use prometheus::Registry;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::figures::{Moment, QueueFigures, QueueReading};
use crate::gauges::Gauges;
use lobar_core::scaling::Throughput;

/// How old figures may be that a request gets.
const FRESH: Duration = Duration::from_secs(1);
/// How long a queue may take to say how many messages it has.
const DEPTH_LIMIT: Duration = Duration::from_secs(2);
/// How long the store may take to say what it holds; after that it counts as away.
const STORE_LIMIT: Duration = Duration::from_secs(4);

/// The ports that figures are read from.
pub(crate) struct FigurePorts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) quarantine: Arc<dyn Quarantine>,
    pub(crate) jobs: JobQueues,
    pub(crate) uploads: Option<Arc<dyn Queue>>,
    pub(crate) presence: Option<Arc<dyn Presence>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) arrivals: Arc<Throughput>,
    pub(crate) throughput: Arc<Throughput>,
}

/// What was answered last.
#[derive(Default)]
struct Last {
    figures: Option<(Instant, QueueFigures)>,
    /// When the store did not answer.
    failed: Option<Instant>,
    decision: Option<Decision>,
}

/// Figures, read at most once a second however many ask.
pub(crate) struct FigureReader {
    sources: FigurePorts,
    policy: Policy,
    gauges: Gauges,
    last: Mutex<Last>,
}

impl FigureReader {
    pub(crate) fn register(
        sources: FigurePorts,
        policy: Policy,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let gauges = Gauges::register(registry)?;
        Ok(Self { sources, policy, gauges, last: Mutex::default() })
    }

    /// The figures of now, or of a second ago.
    pub(crate) async fn current(&self) -> Result<QueueFigures, PortError> {
        let mut last = self.last.lock().await;
        if let Some((at, figures)) = &last.figures
            && at.elapsed() < FRESH
        {
            return Ok(figures.clone());
        }
        // Those who waited for an answer in vain do not each ask anew.
        if last.failed.is_some_and(|at| at.elapsed() < FRESH) {
            return Err(PortError::transient("queue figures", "the store did not answer just now"));
        }
        let (queues, stored) = self.sources.read().await;
        self.gauges.show_queues(&queues);
        let (overview, waiting) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                self.gauges.store_failed();
                last.failed = Some(Instant::now());
                return Err(error);
            }
        };
        let now = self.sources.clock.now();
        let moment = Moment {
            overview,
            queues,
            rate: self.sources.throughput.best(now),
            arrivals: self.sources.arrivals.lately(now),
            now,
        };
        // A first decision without knowing who is there would send away whoever is.
        let blind = self.sources.presence.is_some() && moment.queues.members.is_none();
        if last.decision.is_some() || !blind {
            let before = last.decision.as_ref();
            last.decision = Some(decide(&self.policy, before, &moment.load(), moment.now));
        }
        let figures = moment.figures(last.decision.as_ref());
        self.gauges.show_store(&figures, &waiting, last.decision.as_ref());
        last.failed = None;
        last.figures = Some((Instant::now(), figures.clone()));
        Ok(figures)
    }
}

/// What the store holds, and what waits in its quarantine by reason.
type Stored = (Overview, Vec<(String, u64)>);

impl FigurePorts {
    /// What each part answers; what does not answer in time is left unknown.
    async fn read(&self) -> (QueueReading, Result<Stored, PortError>) {
        let uploads =
            OptionFuture::from(self.uploads.as_deref().map(|queue| depth(queue, "uploads")));
        let members = async {
            let members = timeout(DEPTH_LIMIT, self.presence.as_ref()?.workers()).await.ok()?;
            members
                .inspect_err(|error| tracing::debug!(%error, "workers unknown: presence not read"))
                .ok()
        };
        let (stat, routine, uploads, members) = join4(
            depth(&*self.jobs.stat, "stat"),
            depth(&*self.jobs.routine, "routine"),
            uploads,
            members,
        )
        .await;
        // After the queues: what moves on from one to the other meanwhile is counted twice rather than not at all.
        let stored = timeout(STORE_LIMIT, self.stored()).await.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", STORE_LIMIT.as_secs());
            Err(PortError::transient("store: overview", why))
        });
        (QueueReading { jobs: Lanes { stat, routine }, uploads, members }, stored)
    }

    async fn stored(&self) -> Result<Stored, PortError> {
        Ok((self.store.overview().await?, self.quarantine.waiting().await?))
    }
}

async fn depth(queue: &dyn Queue, name: &'static str) -> Option<Depth> {
    match timeout(DEPTH_LIMIT, queue.depth()).await {
        Ok(Ok(depth)) => Some(depth),
        Ok(Err(error)) => {
            tracing::debug!(%error, queue = name, "queue depth not read; its figures are left out");
            None
        }
        Err(_) => {
            tracing::debug!(queue = name, "queue depth not read in time; its figures are left out");
            None
        }
    }
}
