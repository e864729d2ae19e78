//! The workers that there should be, and why.

use std::sync::{Arc, Mutex, PoisonError};

use lobar_core::scaling::ScalingReason;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Opts};

const WANTED: &str = "lobar_workers_wanted";
const WANTED_HELP: &str = "Workers there should be for the load, and why.";

/// One series whose label changes: a scraper never finds two of them, or none.
#[derive(Clone)]
pub(super) struct WantedGauge {
    desc: Desc,
    now: Arc<Mutex<Option<(u32, ScalingReason)>>>,
}

impl WantedGauge {
    pub(super) fn new() -> prometheus::Result<Self> {
        let labels = vec!["reason".to_owned()];
        let desc = Desc::new(WANTED.into(), WANTED_HELP.into(), labels, Default::default())?;
        Ok(Self { desc, now: Arc::default() })
    }

    pub(super) fn set(&self, wanted: u32, reason: ScalingReason) {
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
    use prometheus::Registry;

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
