//! Queue depths, backlog and workers: what is measured of a moment, and the figures that come of it. Pure.

use std::collections::BTreeMap;

use lobar_core::image::{Lane, Lanes, State};
use lobar_core::presence::PresentWorker;
use lobar_core::queue::Depth;
use lobar_core::scaling::{Decision, Load, capacity};
use lobar_core::store::Overview;
use lobar_core::time::Stamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Under which images are counted whose site is not registered or not known. A site that is called so is counted with them.
pub(crate) const OTHER: &str = "other";

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

/// The images of one site, wherever their jobs wait: queues hold those of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct SiteFigures {
    /// Images that wait for a worker.
    pub(crate) ready: u64,
    /// Images in workers' hands.
    pub(crate) in_flight: u64,
    /// By lane: images that are not finished.
    #[schema(value_type = std::collections::HashMap<String, u64>)]
    pub(crate) unfinished: Lanes<u64>,
    /// Age of its oldest unfinished image in seconds; null when there is none, and for `other`.
    pub(crate) oldest_age_seconds: Option<f64>,
    /// How long its last image will wait at most: the backlog of its lane, of which it has a part; null when no rate is
    /// known.
    pub(crate) backlog_seconds: Option<f64>,
    /// Images by state.
    pub(crate) images: BTreeMap<&'static str, u64>,
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
    /// By registered site; images of other sites and of unknown ones are under `other`.
    #[schema(value_type = std::collections::HashMap<String, SiteFigures>)]
    pub(crate) sites: BTreeMap<String, SiteFigures>,
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
pub(crate) struct Moment {
    pub(crate) overview: Overview,
    pub(crate) queues: QueueReading,
    /// Best images a second of late.
    pub(crate) rate: Option<f64>,
    /// Admitted images a second.
    pub(crate) arrivals: f64,
    pub(crate) now: Stamp,
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

/// Unfinished images and images by state, to be counted up and down.
#[derive(Default)]
struct Counted {
    unfinished: Lanes<u64>,
    by_state: BTreeMap<State, u64>,
}

impl Counted {
    fn of(unfinished: &Lanes<u64>, by_state: &[(State, u64)]) -> Self {
        let mut counted = Self { unfinished: *unfinished, ..Self::default() };
        for (state, images) in by_state {
            *counted.by_state.entry(*state).or_default() += images;
        }
        counted
    }

    /// The whole was read a moment before its parts, so a part may be larger.
    fn take(&mut self, part: &Self) {
        for lane in Lane::ALL {
            let left = self.unfinished.of_mut(lane);
            *left = left.saturating_sub(*part.unfinished.of(lane));
        }
        for (state, images) in &part.by_state {
            let left = self.by_state.entry(*state).or_default();
            *left = left.saturating_sub(*images);
        }
    }

    fn add(&mut self, other: &Self) {
        for lane in Lane::ALL {
            *self.unfinished.of_mut(lane) += *other.unfinished.of(lane);
        }
        for (state, images) in &other.by_state {
            *self.by_state.entry(*state).or_default() += images;
        }
    }

    fn figures(&self, oldest: Option<f64>, lanes: &Lanes<LaneFigures>) -> SiteFigures {
        let counted = |state: State| self.by_state.get(&state).copied().unwrap_or(0);
        // The routine lane waits for the other one too.
        let backlog = match (self.unfinished.routine, self.unfinished.stat) {
            (0, 0) => Some(0.0),
            (0, _) => lanes.stat.backlog_seconds,
            _ => lanes.routine.backlog_seconds,
        };
        SiteFigures {
            ready: counted(State::Queued),
            in_flight: counted(State::Analysing),
            unfinished: self.unfinished,
            oldest_age_seconds: oldest,
            backlog_seconds: backlog,
            images: State::ALL.map(|state| (state.as_str(), counted(state))).into(),
        }
    }
}

impl Moment {
    /// What the fleet can do: as its workers measure themselves, or else as seen from outside.
    fn capacity(&self) -> Option<f64> {
        self.queues.members.as_deref().and_then(capacity).or(self.rate)
    }

    /// What the autoscaler goes by.
    pub(crate) fn load(&self) -> Load {
        Load {
            unfinished: self.overview.unfinished,
            uploads: Waiting::of(self.queues.uploads.flatten()).all().unwrap_or(0),
            arrivals: self.arrivals,
            capacity: self.capacity(),
            workers: self.queues.workers(),
        }
    }

    /// By site, and what is left of the whole under [`OTHER`].
    fn sites(&self, lanes: &Lanes<LaneFigures>) -> BTreeMap<String, SiteFigures> {
        let mut left = Counted::of(&self.overview.unfinished, &self.overview.by_state);
        let mut sites = BTreeMap::new();
        let mut namesake = None;
        for of_site in &self.overview.sites {
            let counted = Counted::of(&of_site.unfinished, &of_site.by_state);
            left.take(&counted);
            if of_site.site.as_str() == OTHER {
                namesake = Some(counted);
                continue;
            }
            let oldest = of_site.oldest_unfinished.map(|at| self.now.since(at).as_secs_f64());
            sites.insert(of_site.site.to_string(), counted.figures(oldest, lanes));
        }
        if let Some(namesake) = namesake {
            left.add(&namesake);
        }
        sites.insert(OTHER.into(), left.figures(None, lanes));
        sites
    }

    /// The same for people and programs.
    pub(crate) fn figures(&self, decision: Option<&Decision>) -> QueueFigures {
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
        let lanes = Lanes { stat: lane(Lane::Stat), routine: lane(Lane::Routine) };
        QueueFigures {
            sites: self.sites(&lanes),
            lanes,
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

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::access::SiteName;
    use lobar_core::presence::WorkerLoad;
    use lobar_core::scaling::{Policy, decide};
    use lobar_core::store::SiteOverview;
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
    fn sites_are_told_of_one_by_one_and_what_is_left_is_other() {
        let of_site = |site: &str, stat, routine, ready| SiteOverview {
            site: SiteName::parse(site).expect("a name"),
            by_state: vec![(State::Queued, stat + routine), (State::Ready, ready)],
            oldest_unfinished: Some(Stamp(1_000_000)),
            unfinished: Lanes { stat, routine },
        };
        let mut moment = moment(Some(5.0));
        moment.overview.by_state = vec![(State::Queued, 600), (State::Ready, 40)];
        moment.overview.sites = vec![of_site("north", 10, 0, 7), of_site("south", 0, 500, 30)];
        let sites = figures(&moment).sites;
        let told = |name: &str| {
            let site = &sites[name];
            (site.ready, site.images["ready"], site.oldest_age_seconds, site.backlog_seconds)
        };
        assert_eq!(told("north"), (10, 7, Some(3.0), Some(2.0)));
        assert_eq!(told("south"), (500, 30, Some(3.0), Some(120.0)));
        assert_eq!(told(OTHER), (90, 3, None, Some(120.0)));
        // One that is called so is counted with them.
        moment.overview.sites = vec![of_site(OTHER, 10, 0, 7)];
        let sites = figures(&moment).sites;
        assert_eq!(sites.len(), 1);
        assert_eq!((sites[OTHER].ready, sites[OTHER].images["ready"]), (600, 40));
    }

    #[test]
    fn a_queue_that_does_not_answer_is_unknown_and_not_empty() {
        let json = serde_json::to_value(figures(&moment(None))).expect("JSON");
        assert_eq!(json["lanes"]["stat"]["ready"], serde_json::Value::Null);
        assert_eq!(json["uploads"], serde_json::Value::Null);
    }
}
