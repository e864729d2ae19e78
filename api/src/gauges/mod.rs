//! The same as Prometheus gauges. What could not be read is absent, or NaN where other figures of its family were read:
//! never the last value.

mod wanted;
mod while_fresh;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lobar_core::image::{Lane, State};
use lobar_core::scaling::Decision;
use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntGaugeVec, Opts, Registry};

use crate::figures::{OTHER, QueueFigures, QueueReading, Waiting};
use crate::quarantine::by_reason;
use wanted::WantedGauge;
use while_fresh::{Boxed, LastRead, WhileFresh};

/// How long a figure is shown after it was read: three times the pause between two readings.
const STALE: Duration = Duration::from_secs(15);

/// Everything that [`QueueFigures`] shows, and the quarantine. Before the first reading there are no series.
pub(crate) struct Gauges {
    depth: GaugeVec,
    dead: GaugeVec,
    backlog: GaugeVec,
    oldest: GaugeVec,
    images: IntGaugeVec,
    quarantined: IntGaugeVec,
    site_images: IntGaugeVec,
    site_oldest: GaugeVec,
    /// Sites that are shown: one that is not registered any more has no series.
    sites: Mutex<BTreeSet<String>>,
    workers: Gauge,
    wanted: WantedGauge,
    /// The queues and the presence service, each of which may be unknown within a reading.
    queues: LastRead,
    /// The store, without which there is nothing of it.
    store: LastRead,
}

impl Gauges {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        Self::register_for(registry, STALE)
    }

    /// The same, with another age at which figures are absent.
    fn register_for(registry: &Registry, stale: Duration) -> prometheus::Result<Self> {
        let (queues, store) = (LastRead::default(), LastRead::default());
        let register = |metric: Box<dyn Collector>, source: &LastRead| {
            let source = source.clone();
            registry.register(Box::new(WhileFresh { metric: Boxed(metric), source, stale }))
        };
        let gauge = |name: &str, help: &str, labels: &[&str], source: &LastRead| {
            let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
            register(Box::new(gauge.clone()), source)?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let counts = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            register(Box::new(gauge.clone()), &store)?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauges = Self {
            depth: gauge(
                "lobar_queue_depth",
                "Messages that are ready, in flight or delayed; NaN when the queue does not answer. \
                 Uploads have no lane yet.",
                &["queue", "lane"],
                &queues,
            )?,
            dead: gauge(
                "lobar_queue_dead",
                "Messages that were put aside; NaN when the queue does not answer.",
                &["queue", "lane"],
                &queues,
            )?,
            backlog: gauge(
                "lobar_backlog_seconds",
                "Time that what waits will take at the measured rate; NaN when no rate is known, absent \
                 when the store does not answer.",
                &["lane"],
                &store,
            )?,
            oldest: gauge(
                "lobar_oldest_unfinished_seconds",
                "Age of the oldest unfinished image; 0 when there is none, absent when the store does not \
                 answer.",
                &["lane"],
                &store,
            )?,
            images: counts(
                "lobar_images",
                "Images in each state, as the store counts them; absent when it does not answer.",
                &["state"],
            )?,
            quarantined: counts(
                "lobar_quarantined",
                "Messages in quarantine that wait for an operator; absent when the store does not answer.",
                &["reason"],
            )?,
            site_images: counts(
                "lobar_site_images",
                "Images of each registered site in each state, `other` for all other sites; absent when the \
                 store does not answer.",
                &["site", "state"],
            )?,
            site_oldest: gauge(
                "lobar_site_oldest_unfinished_seconds",
                "Age of the oldest unfinished image of each registered site; 0 when there is none, absent \
                 when the store does not answer.",
                &["site"],
                &store,
            )?,
            sites: Mutex::default(),
            workers: Gauge::new("lobar_workers", "Workers at work; NaN when not known.")?,
            wanted: WantedGauge::new()?,
            queues: queues.clone(),
            store: store.clone(),
        };
        register(Box::new(gauges.workers.clone()), &queues)?;
        register(Box::new(gauges.wanted.clone()), &store)?;
        Ok(gauges)
    }

    /// What the queues and the presence service answered, NaN where one did not.
    pub(crate) fn show_queues(&self, reading: &QueueReading) {
        for lane in Lane::ALL {
            self.waiting("jobs", lane.as_str(), &Waiting::of(*reading.jobs.of(lane)));
        }
        if let Some(uploads) = reading.uploads {
            self.waiting("uploads", "any", &Waiting::of(uploads));
        }
        self.workers.set(reading.workers().map_or(f64::NAN, f64::from));
        self.queues.read();
    }

    /// What the store answered.
    pub(crate) fn show_store(
        &self,
        figures: &QueueFigures,
        waiting: &[(String, u64)],
        decision: Option<&Decision>,
    ) {
        for lane in Lane::ALL {
            let (of, name) = (figures.lanes.of(lane), lane.as_str());
            let backlog = of.backlog_seconds.unwrap_or(f64::NAN);
            self.backlog.with_label_values(&[name]).set(backlog);
            let oldest = of.oldest_age_seconds.unwrap_or(0.0);
            self.oldest.with_label_values(&[name]).set(oldest);
        }
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (state, images) in &figures.images {
            self.images.with_label_values(&[state]).set(count(*images));
        }
        self.show_sites(figures);
        for (reason, messages) in by_reason(waiting) {
            self.quarantined.with_label_values(&[reason]).set(count(messages));
        }
        if let Some(decision) = decision {
            self.wanted.set(decision.wanted, decision.reason);
        }
        self.store.read();
    }

    fn show_sites(&self, figures: &QueueFigures) {
        let mut shown = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        for (site, of_site) in &figures.sites {
            for (state, images) in &of_site.images {
                let images = i64::try_from(*images).unwrap_or(i64::MAX);
                self.site_images.with_label_values(&[site.as_str(), state]).set(images);
            }
            if site != OTHER {
                let oldest = of_site.oldest_age_seconds.unwrap_or(0.0);
                self.site_oldest.with_label_values(&[site.as_str()]).set(oldest);
            }
        }
        let now: BTreeSet<String> = figures.sites.keys().cloned().collect();
        for gone in shown.difference(&now) {
            for state in State::ALL {
                // What was never shown is not there: no matter.
                let _ = self.site_images.remove_label_values(&[gone.as_str(), state.as_str()]);
            }
            let _ = self.site_oldest.remove_label_values(&[gone.as_str()]);
        }
        *shown = now;
    }

    /// The store did not answer: nothing of it is known.
    pub(crate) fn store_failed(&self) {
        self.store.failed();
    }

    fn waiting(&self, queue: &str, lane: &str, waiting: &Waiting) {
        let number = |count: Option<u64>| count.map_or(f64::NAN, |count| count as f64);
        self.depth.with_label_values(&[queue, lane]).set(number(waiting.all()));
        self.dead.with_label_values(&[queue, lane]).set(number(waiting.dead));
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::image::Lanes;
    use lobar_core::queue::Depth;
    use lobar_core::scaling::{Load, Policy, decide};
    use lobar_core::time::Stamp;

    use super::*;
    use crate::figures::SiteFigures;

    fn names(registry: &Registry) -> Vec<String> {
        registry.gather().iter().map(|family| family.name().to_owned()).collect()
    }

    fn site(queued: u64) -> SiteFigures {
        SiteFigures { images: [("queued", queued)].into(), ..SiteFigures::default() }
    }

    #[test]
    fn a_site_that_is_not_registered_any_more_has_no_series() {
        let registry = Registry::new();
        let gauges = Gauges::register(&registry).expect("registered");
        let series = |figures: &QueueFigures| {
            gauges.show_store(figures, &[], None);
            let families = registry.gather();
            let of_sites = families.iter().filter(|family| family.name().contains("_site_"));
            of_sites.map(|family| family.get_metric().len()).collect::<Vec<_>>()
        };
        let mut figures = QueueFigures::default();
        figures.sites.insert("north".into(), site(5));
        figures.sites.insert(OTHER.into(), site(1));
        assert_eq!(series(&figures), [2, 1], "the oldest of all others is not known");
        figures.sites.remove("north");
        assert_eq!(series(&figures), [1]);
    }

    fn shown(gauges: &Gauges) {
        let mut figures = QueueFigures::default();
        figures.images.insert("queued", 5);
        figures.sites.insert("north".into(), site(5));
        let load = Load {
            unfinished: Lanes::default(),
            uploads: 0,
            arrivals: 0.0,
            capacity: None,
            workers: Some(1),
        };
        let decision = decide(&Policy::default(), None, &load, Stamp(0));
        gauges.show_queues(&QueueReading::default());
        gauges.show_store(&figures, &[("wrong_source".into(), 12)], Some(&decision));
    }

    #[test]
    fn what_the_store_does_not_tell_any_more_is_absent_and_the_queues_stay() {
        let registry = Registry::new();
        let gauges = Gauges::register(&registry).expect("registered");
        assert!(names(&registry).is_empty(), "nothing was read yet");
        shown(&gauges);
        let of_store = [
            "lobar_backlog_seconds",
            "lobar_images",
            "lobar_oldest_unfinished_seconds",
            "lobar_quarantined",
            "lobar_site_images",
            "lobar_site_oldest_unfinished_seconds",
            "lobar_workers_wanted",
        ];
        let of_queues = ["lobar_queue_dead", "lobar_queue_depth", "lobar_workers"];
        let all = names(&registry);
        assert!(of_store.iter().chain(&of_queues).all(|name| all.iter().any(|one| one == name)));
        gauges.store_failed();
        assert_eq!(names(&registry), of_queues);
        shown(&gauges);
        assert_eq!(names(&registry), all, "and back");
    }

    #[test]
    fn figures_that_nobody_renews_are_absent_after_a_while() {
        let registry = Registry::new();
        let gauges = Gauges::register_for(&registry, Duration::ZERO).expect("registered");
        shown(&gauges);
        assert!(names(&registry).is_empty(), "{:?}", names(&registry));
    }

    #[test]
    fn a_queue_and_a_presence_service_that_do_not_answer_are_no_number() {
        let registry = Registry::new();
        let gauges = Gauges::register(&registry).expect("registered");
        let depth = Depth { ready: 5, ..Default::default() };
        let answered = QueueReading {
            jobs: Lanes { stat: Some(depth), routine: Some(depth) },
            members: Some(Vec::new()),
            ..QueueReading::default()
        };
        gauges.show_queues(&answered);
        gauges.show_queues(&QueueReading::default());
        for family in registry.gather() {
            for series in family.get_metric() {
                let value = series.get_gauge().get_value();
                assert!(value.is_nan(), "{} {value}", family.name());
            }
        }
    }
}
