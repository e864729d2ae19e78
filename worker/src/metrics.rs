//! What the worker counts. Labels come from closed sets; nothing personal.

use lobar_core::engine::EngineInfo;
use lobar_core::image::Lane;
use lobar_core::time::{Clock as _, Stamp, SystemClock};
use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use crate::model::{LoadStage, shadow};
use crate::work_item::DeadLetter;

/// The worker's metrics. Cloning shares them.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    pub(crate) images: IntCounterVec,
    pub(crate) stage_seconds: HistogramVec,
    pub(crate) finished_seconds: HistogramVec,
    pub(crate) batch_size: Histogram,
    pub(crate) busy_ratio: Gauge,
    pub(crate) in_flight: IntGauge,
    pub(crate) leases_lost: IntCounter,
    pub(crate) refused: IntCounter,
    pub(crate) returned: IntCounterVec,
    pub(crate) rejections: IntCounterVec,
    pub(crate) dead_letters: IntCounterVec,
    pub(crate) batches_failed: IntCounter,
    pub(crate) model_info: IntGaugeVec,
    pub(crate) model_swaps: IntCounter,
    pub(crate) model_failures: IntCounterVec,
    pub(crate) shadow_images: IntCounterVec,
}

impl WorkerMetrics {
    /// Adds the metrics to `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let stages = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
        // The service levels' own bounds are among them: 10 s, 60 s and 15 minutes.
        let waits = &[
            0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0,
            3_600.0, 14_400.0,
        ];
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
            finished_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "lobar_finished_seconds",
                    "Time from an image's admission to its result, or to its being left to a person",
                )
                .buckets(waits.to_vec()),
                &["lane"],
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
            rejections: IntCounterVec::new(
                Opts::new(
                    "lobar_worker_rejections_total",
                    "Images, or messages of theirs, for which a service rejected an operation for good; \
                     they are tried again a few times and then put aside",
                ),
                &["operation"],
            )?,
            dead_letters: IntCounterVec::new(
                Opts::new(
                    "lobar_worker_dead_letters_total",
                    "Jobs put aside on the dead-letter queue, by reason",
                ),
                &["reason"],
            )?,
            batches_failed: IntCounter::new(
                "lobar_worker_batches_failed_total",
                "Batches that failed as a whole and were cut in two",
            )?,
            model_info: IntGaugeVec::new(
                Opts::new(
                    "lobar_model_info",
                    "Always 1; the labels say which weights answer images here, and where",
                ),
                &["version", "sha256", "preprocessing", "device"],
            )?,
            model_swaps: IntCounter::new(
                "lobar_worker_model_swaps_total",
                "Models that took another's place between two batches",
            )?,
            model_failures: IntCounterVec::new(
                Opts::new(
                    "lobar_worker_model_failures_total",
                    "Models that the registry wanted here and that could not be taken into use, by \
                     what failed; the model before goes on",
                ),
                &["stage"],
            )?,
            shadow_images: IntCounterVec::new(
                Opts::new(
                    "lobar_worker_shadow_images_total",
                    "Answered images that were offered to the shadow: compared, dropped because it \
                     was behind, failed in it, or lost because the comparison could not be kept",
                ),
                &["outcome"],
            )?,
        };
        // From 0, so that the first failure is an increase and not a new series.
        for state in ["ready", "needs_human", "superseded", "failed"] {
            metrics.images.with_label_values(&[state]);
        }
        registry.register(Box::new(metrics.images.clone()))?;
        registry.register(Box::new(metrics.stage_seconds.clone()))?;
        registry.register(Box::new(metrics.finished_seconds.clone()))?;
        registry.register(Box::new(metrics.batch_size.clone()))?;
        registry.register(Box::new(metrics.busy_ratio.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.leases_lost.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.returned.clone()))?;
        registry.register(Box::new(metrics.rejections.clone()))?;
        registry.register(Box::new(metrics.dead_letters.clone()))?;
        registry.register(Box::new(metrics.batches_failed.clone()))?;
        registry.register(Box::new(metrics.model_info.clone()))?;
        registry.register(Box::new(metrics.model_swaps.clone()))?;
        registry.register(Box::new(metrics.model_failures.clone()))?;
        registry.register(Box::new(metrics.shadow_images.clone()))?;
        // Every series from the start: one that appears with its first event hides that event from
        // a rate.
        for state in ["ready", "needs_human", "failed", "superseded"] {
            metrics.images.with_label_values(&[state]).inc_by(0);
        }
        for operation in ["claim", "complete", "retried", "released", "fetch", "settle"] {
            metrics.rejections.with_label_values(&[operation]);
        }
        for how in ["retried", "released"] {
            metrics.returned.with_label_values(&[how]);
        }
        for reason in DeadLetter::ALL {
            metrics.dead_letters.with_label_values(&[reason.code()]);
        }
        for flaw in LoadStage::ALL {
            metrics.model_failures.with_label_values(&[flaw.as_str()]);
        }
        for outcome in shadow::OUTCOMES {
            metrics.shadow_images.with_label_values(&[outcome]);
        }
        for stage in ["fetch", "decode", "wait", "infer"] {
            metrics.stage_seconds.with_label_values(&[stage]);
        }
        for lane in Lane::ALL {
            metrics.finished_seconds.with_label_values(&[lane.as_str()]);
        }
        Ok(metrics)
    }

    /// An image that was admitted at `received_at` has its end.
    pub(crate) fn finished(&self, lane: Lane, received_at: Stamp) {
        let seconds = SystemClock.now().since(received_at).as_secs_f64();
        self.finished_seconds.with_label_values(&[lane.as_str()]).observe(seconds);
    }

    /// From now on these weights answer.
    pub(crate) fn model(&self, info: &EngineInfo) {
        let model = &info.model;
        self.model_info.reset();
        self.model_info
            .with_label_values(&[&model.version, &model.sha256, &model.preprocessing, &info.device])
            .set(1);
    }

    /// This many images were rejected for good by an operation.
    pub(crate) fn rejected(&self, operation: &str, images: usize) {
        let counter = self.rejections.with_label_values(&[operation]);
        counter.inc_by(images.try_into().unwrap_or(u64::MAX));
    }

    pub(crate) fn stage(&self, stage: &str, seconds: f64) {
        self.stage_seconds.with_label_values(&[stage]).observe(seconds);
    }
}
