//! Queue depths, backlog and workers, for `GET /v1/queues` and the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{OptionFuture, join4};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes, State};
use lobar_core::presence::{Presence, PresentWorker};
use lobar_core::quarantine::Quarantine;
use lobar_core::queue::{Depth, JobQueues, Queue};
use lobar_core::scaling::{Decision, Load, Policy, decide};
use lobar_core::store::{Overview, Store};
use lobar_core::time::{Clock, Stamp};
use prometheus::Registry;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::gauges::Gauges;
use crate::throughput::Throughput;

/// How old figures may be that a request gets.
const FRESH: Duration = Duration::from_secs(1);
/// How long a queue may take to say how many messages it has.
const DEPTH_LIMIT: Duration = Duration::from_secs(2);
/// How long the store may take to say what it holds; after that it counts as away.
const STORE_LIMIT: Duration = Duration::from_secs(4);

/// Messages of one queue; null when it does not answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// Can be taken now.
    ready: Option<u64>,
    /// Somebody works on them.
    in_flight: Option<u64>,
    /// Wait for a retry.
    delayed: Option<u64>,
    /// Nobody understood them.
    pub(crate) dead: Option<u64>,
}

/// One lane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct LaneFigures {
    /// Its jobs.
    #[serde(flatten)]
    pub(crate) jobs: Waiting,
    /// Images that are not finished, queued jobs or not.
    unfinished: u64,
    /// Age of the oldest unfinished image in seconds; null when there is none.
    pub(crate) oldest_age_seconds: Option<f64>,
    /// How long what waits will take at the measured rate; null when no rate is known.
    pub(crate) backlog_seconds: Option<f64>,
}

/// Both lanes and the workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct QueueFigures {
    /// By lane: `stat`, `routine`.
    #[schema(value_type = std::collections::HashMap<String, LaneFigures>)]
    pub(crate) lanes: Lanes<LaneFigures>,
    /// Notifications of uploads, before they have a lane; null when this process does not know.
    pub(crate) uploads: Option<Waiting>,
    /// Images by state.
    pub(crate) images: BTreeMap<&'static str, u64>,
    /// Workers now; null when it is not known.
    pub(crate) workers: Option<u32>,
    /// Workers there should be; null until it is known how many there are.
    workers_wanted: Option<u32>,
    /// Why: `floor`, `backlog`, `arrivals`, `ceiling`, `calming`, `unknown`.
    #[schema(value_type = Option<String>, example = "floor")]
    workers_wanted_reason: Option<&'static str>,
    /// What all workers together could do when busy; null when it is not known.
    capacity_images_per_second: Option<f64>,
    /// Finished images a second in the best ten seconds of the last ten minutes; null when nothing
    /// was finished.
    images_per_second: Option<f64>,
    /// Admitted images a second, over the last minute.
    arrivals_per_second: f64,
}

/// What the queues and the presence service answered.
#[derive(Default)]
pub(crate) struct QueueReading {
    pub(crate) jobs: Lanes<Option<Depth>>,
    /// The outer one is missing where the queue is not reached from here at all.
    pub(crate) uploads: Option<Option<Depth>>,
    pub(crate) members: Option<Vec<PresentWorker>>,
}

/// What is measured about a moment, and how it becomes figures.
struct Moment {
    overview: Overview,
    queues: QueueReading,
    /// Best images a second of late.
    rate: Option<f64>,
    arrivals: f64,
    now: Stamp,
}

impl QueueReading {
    /// Workers at work; `None` when it is not known.
    pub(crate) fn workers(&self) -> Option<u32> {
        let members = self.members.as_ref()?;
        Some(u32::try_from(members.len()).unwrap_or(u32::MAX))
    }
}

impl Waiting {
    pub(crate) fn of(depth: Option<Depth>) -> Self {
        Self {
            ready: depth.map(|depth| depth.ready),
            in_flight: depth.map(|depth| depth.in_flight),
            delayed: depth.map(|depth| depth.delayed),
            dead: depth.map(|depth| depth.dead),
        }
    }

    /// All that are to be worked on.
    pub(crate) fn all(&self) -> Option<u64> {
        Some(self.ready? + self.in_flight? + self.delayed?)
    }
}

/// Images a second of which all workers together are capable. One that has not worked yet counts as
/// one like the others.
fn capacity(members: &[PresentWorker]) -> Option<f64> {
    let seconds = members.iter().filter_map(|member| member.load.seconds_per_image);
    let rates: Vec<f64> = seconds.filter(|seconds| *seconds > 0.0).map(f64::recip).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    (!rates.is_empty()).then_some(mean * members.len() as f64)
}

impl Moment {
    /// What the fleet can do: as its workers measure themselves, or else as seen from outside.
    fn capacity(&self) -> Option<f64> {
        self.queues.members.as_deref().and_then(capacity).or(self.rate)
    }

    fn load(&self) -> Load {
        Load {
            unfinished: self.overview.unfinished,
            uploads: Waiting::of(self.queues.uploads.flatten()).all().unwrap_or(0),
            arrivals: self.arrivals,
            capacity: self.capacity(),
            workers: self.queues.workers(),
        }
    }

    fn figures(&self, decision: Option<&Decision>) -> QueueFigures {
        let load = self.load();
        // The urgent lane goes first, so it waits for itself alone; the other waits for both, and
        // for uploads of which nobody knows the lane yet.
        let ahead = Lanes { stat: load.unfinished.stat, routine: load.images() };
        let lane = |lane: Lane| {
            let oldest = self.overview.oldest_unfinished.of(lane);
            let own = *load.unfinished.of(lane);
            let waits = own > 0 || lane == Lane::Routine && load.uploads > 0;
            LaneFigures {
                jobs: Waiting::of(*self.queues.jobs.of(lane)),
                unfinished: own,
                oldest_age_seconds: oldest.map(|at| self.now.since(at).as_secs_f64()),
                backlog_seconds: match load.capacity {
                    _ if !waits => Some(0.0),
                    capacity => capacity.map(|rate| *ahead.of(lane) as f64 / rate),
                },
            }
        };
        let counted = |state: State| {
            let rows = self.overview.by_state.iter().filter(move |(one, _)| *one == state);
            rows.map(|(_, count)| count).sum()
        };
        QueueFigures {
            lanes: Lanes { stat: lane(Lane::Stat), routine: lane(Lane::Routine) },
            uploads: self.queues.uploads.map(Waiting::of),
            images: State::ALL.map(|state| (state.as_str(), counted(state))).into(),
            workers: load.workers,
            workers_wanted: decision.map(|decision| decision.wanted),
            workers_wanted_reason: decision.map(|decision| decision.reason.as_str()),
            capacity_images_per_second: load.capacity,
            images_per_second: self.rate,
            arrivals_per_second: self.arrivals,
        }
    }
}

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
pub(crate) struct Figures {
    sources: FigurePorts,
    policy: Policy,
    gauges: Gauges,
    last: Mutex<Last>,
}

impl Figures {
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

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::presence::WorkerLoad;
    use uuid::Uuid;

    fn moment(rate: Option<f64>) -> Moment {
        let overview = Overview {
            unfinished: Lanes { stat: 10, routine: 590 },
            oldest_unfinished: Lanes { stat: Some(Stamp(1_000_000)), routine: None },
            ..Overview::default()
        };
        Moment {
            overview,
            queues: QueueReading::default(),
            rate,
            arrivals: 0.0,
            now: Stamp(4_000_000),
        }
    }

    fn worker(seconds_per_image: Option<f64>) -> PresentWorker {
        let load = WorkerLoad { seconds_per_image, ..WorkerLoad::default() };
        PresentWorker { worker: Uuid::new_v4(), load }
    }

    fn figures(moment: &Moment) -> QueueFigures {
        moment.figures(Some(&decide(&Policy::default(), None, &moment.load(), moment.now)))
    }

    #[test]
    fn the_routine_lane_waits_for_both_and_the_urgent_one_for_itself() {
        let figures = figures(&moment(Some(5.0)));
        assert_eq!(figures.lanes.stat.backlog_seconds, Some(2.0));
        assert_eq!(figures.lanes.routine.backlog_seconds, Some(120.0));
        assert_eq!(figures.lanes.stat.oldest_age_seconds, Some(3.0));
    }

    #[test]
    fn uploads_that_nobody_has_read_yet_count_as_routine() {
        let depth = Depth { ready: 200, in_flight: 90, delayed: 10, dead: 7, oldest: None };
        let queues = QueueReading { uploads: Some(Some(depth)), ..QueueReading::default() };
        let mut moment = Moment { queues, ..moment(Some(5.0)) };
        assert_eq!(figures(&moment).lanes.routine.backlog_seconds, Some(180.0));
        assert_eq!(figures(&moment).lanes.stat.backlog_seconds, Some(2.0));
        moment.overview.unfinished = Lanes::default();
        assert_eq!(figures(&moment).lanes.routine.backlog_seconds, Some(60.0));
        assert_eq!(figures(&moment).lanes.stat.backlog_seconds, Some(0.0));
    }

    #[test]
    fn what_workers_measure_of_themselves_goes_before_what_is_seen_from_outside() {
        let members = Some(vec![worker(Some(0.1)), worker(Some(0.05)), worker(None)]);
        let queues = QueueReading { members, ..QueueReading::default() };
        let moment = Moment { queues, ..moment(Some(1.0)) };
        let figures = figures(&moment);
        assert_eq!(figures.capacity_images_per_second, Some(45.0), "the new one as the others");
        assert_eq!(figures.workers, Some(3));
        assert_eq!(figures.lanes.routine.backlog_seconds, Some(600.0 / 45.0));
        assert_eq!(capacity(&[worker(None)]), None);
        assert_eq!(capacity(&[]), None);
    }

    #[test]
    fn without_a_measured_rate_the_backlog_is_unknown_unless_there_is_none() {
        let unknown = figures(&moment(None));
        assert_eq!(unknown.lanes.routine.backlog_seconds, None);
        assert_eq!((unknown.workers, unknown.workers_wanted_reason), (None, Some("unknown")));
        let mut idle = moment(None);
        idle.overview.unfinished = Lanes::default();
        assert_eq!(figures(&idle).lanes.routine.backlog_seconds, Some(0.0));
        assert_eq!(figures(&idle).workers_wanted, Some(1));
    }

    #[test]
    fn a_queue_that_does_not_answer_is_unknown_and_not_empty() {
        let json = serde_json::to_value(figures(&moment(None))).expect("JSON");
        assert_eq!(json["lanes"]["stat"]["ready"], serde_json::Value::Null);
        assert_eq!(json["uploads"], serde_json::Value::Null);
    }
}
