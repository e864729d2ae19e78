//! What the autoscaler counts.

use prometheus::{Error, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::fleet::Counts;

/// The autoscaler's metrics. Cloning shares them.
#[derive(Clone, Debug)]
pub struct AutoscaleMetrics {
    workers: IntGaugeVec,
    pub(crate) starts: IntCounter,
    ends: IntCounterVec,
}

impl AutoscaleMetrics {
    /// Adds the metrics to `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let workers = IntGaugeVec::new(
            Opts::new(
                "lobar_autoscale_workers",
                "Worker processes of this machine by what they do, and how many are wanted",
            ),
            &["state"],
        )?;
        let starts =
            IntCounter::new("lobar_autoscale_starts_total", "Worker processes that were started")?;
        let ends = IntCounterVec::new(
            Opts::new(
                "lobar_autoscale_ends_total",
                "Worker processes that ended: drained, because fewer were wanted, or crashed, by themselves",
            ),
            &["how"],
        )?;
        registry.register(Box::new(workers.clone()))?;
        registry.register(Box::new(starts.clone()))?;
        registry.register(Box::new(ends.clone()))?;
        let metrics = Self { workers, starts, ends };
        for is_crash in [false, true] {
            metrics.end(is_crash).inc_by(0);
        }
        Ok(metrics)
    }

    pub(crate) fn end(&self, is_crash: bool) -> IntCounter {
        self.ends.with_label_values(&[if is_crash { "crashed" } else { "drained" }])
    }

    pub(crate) fn show(&self, wanted: u32, counts: Counts) {
        let Counts { running, draining, backing_off } = counts;
        let states = [
            ("wanted", wanted),
            ("running", running),
            ("draining", draining),
            ("backing_off", backing_off),
        ];
        for (state, count) in states {
            self.workers.with_label_values(&[state]).set(i64::from(count));
        }
    }
}
