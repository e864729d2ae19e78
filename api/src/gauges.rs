//! The same as Prometheus gauges.

use std::sync::{Arc, Mutex, PoisonError};

use lobar_core::image::Lane;
use lobar_core::scaling::{Decision, ScalingReason};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntGaugeVec, Opts, Registry};

use crate::figures::{QueueFigures, Waiting};

const WANTED: &str = "lobar_workers_wanted";
const WANTED_HELP: &str = "Workers there should be for the load, and why.";

/// Everything that [`QueueFigures`] shows. Before the first reading there are no series.
pub(crate) struct Gauges {
    depth: GaugeVec,
    dead: GaugeVec,
    backlog: GaugeVec,
    oldest: GaugeVec,
    images: IntGaugeVec,
    workers: Gauge,
    wanted: WantedGauge,
}

impl Gauges {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let images = "Images in each state, as the store counts them.";
        let gauges = Self {
            depth: gauge(
                "lobar_queue_depth",
                "Messages that are ready, in flight or delayed; NaN when the queue does not answer. \
                 Uploads have no lane yet.",
                &["queue", "lane"],
            )?,
            dead: gauge(
                "lobar_queue_dead",
                "Messages that were put aside; NaN when the queue does not answer.",
                &["queue", "lane"],
            )?,
            backlog: gauge(
                "lobar_backlog_seconds",
                "Time that what waits will take at the measured rate; NaN when no rate is known.",
                &["lane"],
            )?,
            oldest: gauge(
                "lobar_oldest_unfinished_seconds",
                "Age of the oldest unfinished image; 0 when there is none.",
                &["lane"],
            )?,
            images: IntGaugeVec::new(Opts::new("lobar_images", images), &["state"])?,
            workers: Gauge::new("lobar_workers", "Workers at work; NaN when not known.")?,
            wanted: WantedGauge::new()?,
        };
        registry.register(Box::new(gauges.images.clone()))?;
        registry.register(Box::new(gauges.workers.clone()))?;
        registry.register(Box::new(gauges.wanted.clone()))?;
        gauges.workers.set(f64::NAN);
        Ok(gauges)
    }

    pub(crate) fn show(&self, figures: &QueueFigures, decision: Option<&Decision>) {
        for lane in Lane::ALL {
            let (of, name) = (figures.lanes.of(lane), lane.as_str());
            self.waiting("jobs", name, &of.jobs);
            let backlog = of.backlog_seconds.unwrap_or(f64::NAN);
            self.backlog.with_label_values(&[name]).set(backlog);
            let oldest = of.oldest_age_seconds.unwrap_or(0.0);
            self.oldest.with_label_values(&[name]).set(oldest);
        }
        if let Some(uploads) = &figures.uploads {
            self.waiting("uploads", "any", uploads);
        }
        for (state, count) in &figures.images {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.images.with_label_values(&[state]).set(count);
        }
        self.workers.set(figures.workers.map_or(f64::NAN, f64::from));
        if let Some(decision) = decision {
            self.wanted.set(decision.wanted, decision.reason);
        }
    }

    fn waiting(&self, queue: &str, lane: &str, waiting: &Waiting) {
        let number = |count: Option<u64>| count.map_or(f64::NAN, |count| count as f64);
        self.depth.with_label_values(&[queue, lane]).set(number(waiting.all()));
        self.dead.with_label_values(&[queue, lane]).set(number(waiting.dead));
    }
}

/// One series whose label changes: a scraper never finds two of them, or none.
#[derive(Clone)]
struct WantedGauge {
    desc: Desc,
    now: Arc<Mutex<Option<(u32, ScalingReason)>>>,
}

impl WantedGauge {
    fn new() -> prometheus::Result<Self> {
        let labels = vec!["reason".to_owned()];
        let desc = Desc::new(WANTED.into(), WANTED_HELP.into(), labels, Default::default())?;
        Ok(Self { desc, now: Arc::default() })
    }

    fn set(&self, wanted: u32, reason: ScalingReason) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some((wanted, reason));
    }
}

impl Collector for WantedGauge {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((wanted, reason)) = now else { return Vec::new() };
        let options = Opts::new(WANTED, WANTED_HELP).const_label("reason", reason.as_str());
        let Ok(gauge) = Gauge::with_opts(options) else { return Vec::new() };
        gauge.set(f64::from(wanted));
        gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_wanted_are_one_series_whose_reason_changes() {
        let wanted = WantedGauge::new().expect("a metric");
        let registry = Registry::new();
        registry.register(Box::new(wanted.clone())).expect("registered");
        assert!(registry.gather().is_empty());
        for (count, reason) in
            [(3, ScalingReason::Backlog), (2, ScalingReason::Calming), (2, ScalingReason::Floor)]
        {
            wanted.set(count, reason);
            let families = registry.gather();
            let series = families[0].get_metric();
            assert_eq!(series.len(), 1);
            assert_eq!(series[0].get_gauge().get_value(), f64::from(count));
            assert_eq!(series[0].get_label()[0].value(), reason.as_str());
        }
    }
}
