//! Queues, backlog and workers as figures, for `GET /v1/queues` and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes};
use lobar_core::queue::{Depth, Jobs};
use lobar_core::store::{Overview, Store};
use lobar_core::time::{Clock, Stamp};
use prometheus::{Gauge, GaugeVec, IntGaugeVec, Opts, Registry};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::throughput::Throughput;

/// How old figures may be that a request gets.
const FRESH: Duration = Duration::from_secs(1);

/// One lane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct LaneFigures {
    /// Jobs that can be taken now.
    ready: u64,
    /// Jobs that a worker holds.
    in_flight: u64,
    /// Jobs that wait for a retry.
    delayed: u64,
    /// Jobs nobody understood.
    dead: u64,
    /// Images that are not finished, queued jobs or not.
    unfinished: u64,
    /// Age of the oldest unfinished image in seconds; null when there is none.
    oldest_age_seconds: Option<f64>,
    /// How long the unfinished images will take at the measured rate; null when no rate is known.
    backlog_seconds: Option<f64>,
}

/// Both lanes and the workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct QueueFigures {
    /// By lane: `stat`, `routine`.
    #[schema(value_type = std::collections::HashMap<String, LaneFigures>)]
    lanes: Lanes<LaneFigures>,
    /// Workers now; null when this process does not know.
    workers: Option<u32>,
    /// Workers that would work the backlog off in the set time; null when no rate is known.
    workers_wanted: Option<u32>,
    /// The best ten seconds of the last ten minutes; null when nothing was finished.
    images_per_second: Option<f64>,
}

/// What is measured about a moment, and how it becomes figures.
struct Moment {
    overview: Overview,
    depths: Lanes<Depth>,
    rate: Option<f64>,
    workers: Option<u32>,
    now: Stamp,
    target: Duration,
}

impl Moment {
    fn figures(&self) -> QueueFigures {
        // The urgent lane goes first, so it waits for itself alone; the other waits for both.
        let unfinished = &self.overview.unfinished;
        let ahead = Lanes { stat: unfinished.stat, routine: unfinished.stat + unfinished.routine };
        let seconds = |images: u64| match self.rate {
            _ if images == 0 => Some(0.0),
            rate => rate.map(|rate| images as f64 / rate),
        };
        let lane = |lane: Lane| {
            let depth = self.depths.of(lane);
            let oldest = self.overview.oldest_unfinished.of(lane);
            let own = *unfinished.of(lane);
            LaneFigures {
                ready: depth.ready,
                in_flight: depth.in_flight,
                delayed: depth.delayed,
                dead: depth.dead,
                unfinished: own,
                oldest_age_seconds: oldest.map(|at| self.now.since(at).as_secs_f64()),
                backlog_seconds: if own == 0 { Some(0.0) } else { seconds(*ahead.of(lane)) },
            }
        };
        QueueFigures {
            lanes: Lanes { stat: lane(Lane::Stat), routine: lane(Lane::Routine) },
            workers: self.workers,
            workers_wanted: seconds(ahead.routine).and_then(|backlog| self.wanted(backlog)),
            images_per_second: self.rate,
        }
    }

    fn wanted(&self, backlog_seconds: f64) -> Option<u32> {
        let workers = f64::from(self.workers?.max(1));
        let wanted = (workers * backlog_seconds / self.target.as_secs_f64().max(1.0)).ceil();
        // One stays, so that the first image need not wait for a start; saturates far above need.
        Some((wanted as u32).max(1))
    }
}

/// The gauges, under the names of the contract.
struct Gauges {
    depth: IntGaugeVec,
    backlog: GaugeVec,
    oldest: GaugeVec,
    workers: Gauge,
    wanted: Gauge,
}

impl Gauges {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauges = Self {
            depth: IntGaugeVec::new(
                Opts::new("lobar_queue_depth", "Jobs that are ready or in flight, by lane."),
                &["queue", "lane"],
            )?,
            backlog: GaugeVec::new(
                Opts::new(
                    "lobar_backlog_seconds",
                    "Time the unfinished images will take at the measured rate; NaN when unknown.",
                ),
                &["lane"],
            )?,
            oldest: GaugeVec::new(
                Opts::new(
                    "lobar_oldest_unfinished_seconds",
                    "Age of the oldest unfinished image; 0 when there is none.",
                ),
                &["lane"],
            )?,
            workers: Gauge::new("lobar_workers", "Workers now; NaN when not known here.")?,
            wanted: Gauge::new(
                "lobar_workers_wanted",
                "Workers that would work the backlog off in the set time; NaN when unknown.",
            )?,
        };
        registry.register(Box::new(gauges.depth.clone()))?;
        registry.register(Box::new(gauges.backlog.clone()))?;
        registry.register(Box::new(gauges.oldest.clone()))?;
        registry.register(Box::new(gauges.workers.clone()))?;
        registry.register(Box::new(gauges.wanted.clone()))?;
        Ok(gauges)
    }

    fn show(&self, figures: &QueueFigures) {
        for lane in Lane::ALL {
            let (of, name) = (figures.lanes.of(lane), lane.as_str());
            let depth = i64::try_from(of.ready + of.in_flight).unwrap_or(i64::MAX);
            self.depth.with_label_values(&["jobs", name]).set(depth);
            let backlog = of.backlog_seconds.unwrap_or(f64::NAN);
            self.backlog.with_label_values(&[name]).set(backlog);
            let oldest = of.oldest_age_seconds.unwrap_or(0.0);
            self.oldest.with_label_values(&[name]).set(oldest);
        }
        self.workers.set(figures.workers.map_or(f64::NAN, f64::from));
        self.wanted.set(figures.workers_wanted.map_or(f64::NAN, f64::from));
    }
}

/// The ports that figures are read from.
pub(crate) struct Sources {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) jobs: Jobs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) throughput: Arc<Throughput>,
    pub(crate) workers: Option<Arc<AtomicU32>>,
    /// In how long a backlog should be worked off.
    pub(crate) target: Duration,
}

/// Figures, read at most once a second however many ask.
pub(crate) struct Figures {
    sources: Sources,
    gauges: Gauges,
    last: Mutex<Option<(Instant, QueueFigures)>>,
}

impl Figures {
    pub(crate) fn register(sources: Sources, registry: &Registry) -> prometheus::Result<Self> {
        let gauges = Gauges::register(registry)?;
        Ok(Self { sources, gauges, last: Mutex::default() })
    }

    /// The figures of now, or of a second ago.
    pub(crate) async fn current(&self) -> Result<QueueFigures, PortError> {
        let mut last = self.last.lock().await;
        if let Some((at, figures)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(figures.clone());
        }
        let figures = self.read().await?;
        self.gauges.show(&figures);
        *last = Some((Instant::now(), figures.clone()));
        Ok(figures)
    }

    async fn read(&self) -> Result<QueueFigures, PortError> {
        let Sources { store, jobs, clock, throughput, workers, target } = &self.sources;
        let now = clock.now();
        let moment = Moment {
            overview: store.overview().await?,
            depths: Lanes { stat: jobs.stat.depth().await?, routine: jobs.routine.depth().await? },
            rate: throughput.per_second(now),
            workers: workers.as_ref().map(|workers| workers.load(Ordering::Relaxed)),
            now,
            target: *target,
        };
        Ok(moment.figures())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(rate: Option<f64>) -> Moment {
        let overview = Overview {
            unfinished: Lanes { stat: 10, routine: 590 },
            oldest_unfinished: Lanes { stat: Some(Stamp(1_000_000)), routine: None },
            ..Overview::default()
        };
        let (now, target) = (Stamp(4_000_000), Duration::from_secs(60));
        Moment { overview, depths: Lanes::default(), rate, workers: Some(2), now, target }
    }

    #[test]
    fn the_routine_lane_waits_for_both_and_the_urgent_one_for_itself() {
        let figures = moment(Some(5.0)).figures();
        assert_eq!(figures.lanes.stat.backlog_seconds, Some(2.0));
        assert_eq!(figures.lanes.routine.backlog_seconds, Some(120.0));
        assert_eq!(figures.lanes.stat.oldest_age_seconds, Some(3.0));
        assert_eq!(figures.workers_wanted, Some(4));
    }

    #[test]
    fn without_a_measured_rate_the_backlog_is_unknown_unless_there_is_none() {
        let figures = moment(None).figures();
        assert_eq!(figures.lanes.routine.backlog_seconds, None);
        assert_eq!(figures.workers_wanted, None);
        let mut idle = moment(None);
        idle.overview.unfinished = Lanes::default();
        assert_eq!(idle.figures().lanes.routine.backlog_seconds, Some(0.0));
        assert_eq!(idle.figures().workers_wanted, Some(1));
    }
}
