//! What the worker counts. Labels come from closed sets; nothing personal.

use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry,
};

/// The worker's metrics. Cloning shares them.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    pub(crate) images: IntCounterVec,
    pub(crate) stage_seconds: HistogramVec,
    pub(crate) batch_size: Histogram,
    pub(crate) busy_ratio: Gauge,
    pub(crate) in_flight: IntGauge,
    pub(crate) leases_lost: IntCounter,
    pub(crate) refused: IntCounter,
    pub(crate) returned: IntCounterVec,
    pub(crate) batches_failed: IntCounter,
}

impl WorkerMetrics {
    /// Adds the metrics to `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let stages = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
        let metrics = Self {
            images: IntCounterVec::new(
                Opts::new("lobar_images_total", "Images that reached a terminal state here"),
                &["state"],
            )?,
            stage_seconds: HistogramVec::new(
                HistogramOpts::new("lobar_stage_seconds", "Time an image spends in each stage")
                    .buckets(stages.to_vec()),
                &["stage"],
            )?,
            batch_size: Histogram::with_opts(
                HistogramOpts::new("lobar_batch_size", "Images in a batch")
                    .buckets(vec![1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0, 128.0]),
            )?,
            busy_ratio: Gauge::new(
                "lobar_engine_busy_ratio",
                "Share of the last seconds in which the engine was computing",
            )?,
            in_flight: IntGauge::new(
                "lobar_worker_in_flight_images",
                "Images in the worker's hands, from receipt to settlement",
            )?,
            leases_lost: IntCounter::new(
                "lobar_worker_leases_lost_total",
                "Leases that ran out or were taken while their image was being worked on",
            )?,
            refused: IntCounter::new(
                "lobar_worker_completions_refused_total",
                "Results refused by the store because another attempt came between",
            )?,
            returned: IntCounterVec::new(
                Opts::new("lobar_worker_returned_total", "Images given back unfinished"),
                &["how"],
            )?,
            batches_failed: IntCounter::new(
                "lobar_worker_batches_failed_total",
                "Batches that failed as a whole and were cut in two",
            )?,
        };
        // From 0, so that the first failure is an increase and not a new series.
        for state in ["ready", "needs_human", "superseded", "failed"] {
            metrics.images.with_label_values(&[state]);
        }
        registry.register(Box::new(metrics.images.clone()))?;
        registry.register(Box::new(metrics.stage_seconds.clone()))?;
        registry.register(Box::new(metrics.batch_size.clone()))?;
        registry.register(Box::new(metrics.busy_ratio.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.leases_lost.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.returned.clone()))?;
        registry.register(Box::new(metrics.batches_failed.clone()))?;
        // Every series from the start: one that appears with its first event hides that event from
        // a rate.
        for state in ["ready", "needs_human", "failed", "superseded"] {
            metrics.images.with_label_values(&[state]).inc_by(0);
        }
        for stage in ["fetch", "decode", "wait", "infer"] {
            metrics.stage_seconds.with_label_values(&[stage]);
        }
        Ok(metrics)
    }

    pub(crate) fn stage(&self, stage: &str, seconds: f64) {
        self.stage_seconds.with_label_values(&[stage]).observe(seconds);
    }
}
