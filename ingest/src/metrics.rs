//! What ingest counts. Labels come from closed sets; nothing personal.

use lobar_core::quarantine::REASONS;
use lobar_core::store::Retained;
use prometheus::{Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

/// Ingest's metrics. Cloning shares them.
#[derive(Clone, Debug)]
pub struct IngestMetrics {
    pub(crate) messages: IntCounterVec,
    pub(crate) records: IntCounterVec,
    pub(crate) admissions: IntCounterVec,
    pub(crate) jobs: IntCounterVec,
    pub(crate) swept: IntCounterVec,
    pub(crate) rejections: IntCounterVec,
    pub(crate) outages: IntCounterVec,
    pub(crate) quarantined: IntCounterVec,
    pub(crate) reconciled: IntCounterVec,
    pub(crate) pruned: IntCounterVec,
    pub(crate) erased: IntCounterVec,
    pub(crate) leases_lost: IntCounter,
    pub(crate) newer_minor: IntCounter,
    pub(crate) batch_seconds: Histogram,
    pub(crate) lag_seconds: Histogram,
}

impl IngestMetrics {
    /// Adds the metrics to `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str, label: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let plain = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let histogram = Histogram::with_opts(opts)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, Error>(histogram)
        };
        let quarantined = counter(
            "lobar_ingest_quarantined_total",
            "Messages and records put in quarantine, which are not analysed until somebody replays them",
            "reason",
        )?;
        for reason in REASONS {
            quarantined.with_label_values(&[reason]).inc_by(0);
        }
        let reconciled = counter(
            "lobar_ingest_reconciled_total",
            "What differed when the bucket was compared with the store: objects admitted, images queued again whose \
             object is current again, images without their object; and comparisons that failed",
            "outcome",
        )?;
        for outcome in ["admitted", "restored", "missing", "failed"] {
            reconciled.with_label_values(&[outcome]).inc_by(0);
        }
        let pruned = counter(
            "lobar_ingest_pruned_total",
            "What this process deleted since the time for which it is kept was over: events, decided messages of the \
             quarantine, results of images, entries of the audit record",
            "kind",
        )?;
        for kind in Retained::ALL {
            pruned.with_label_values(&[kind.as_str()]).inc_by(0);
        }
        let erased = counter(
            "lobar_ingest_erased_total",
            "Objects of erased images: gone from the bucket, or refused by it each time it was asked",
            "outcome",
        )?;
        for outcome in ["gone", "refused"] {
            erased.with_label_values(&[outcome]).inc_by(0);
        }
        Ok(Self {
            erased,
            quarantined,
            reconciled,
            pruned,
            messages: counter(
                "lobar_ingest_messages_total",
                "Messages of the uploads queue, by how they were settled",
                "outcome",
            )?,
            records: counter(
                "lobar_ingest_records_total",
                "Records in those messages, by what they say",
                "kind",
            )?,
            admissions: counter(
                "lobar_ingest_admissions_total",
                "Objects admitted to the store: seen first, seen before, or finished already",
                "outcome",
            )?,
            jobs: counter("lobar_ingest_jobs_total", "Jobs sent to the workers", "lane")?,
            swept: counter(
                "lobar_ingest_swept_total",
                "Images that stayed unfinished too long and got another job",
                "lane",
            )?,
            rejections: counter(
                "lobar_ingest_rejections_total",
                "Items for which a service rejected an operation for good; their message is tried again \
                 a few times and then put aside",
                "operation",
            )?,
            outages: counter(
                "lobar_ingest_outages_total",
                "Times that ingest stopped receiving because a part was away",
                "part",
            )?,
            leases_lost: plain(
                "lobar_ingest_leases_lost_total",
                "Messages whose lease ended, or was taken by another, while they were worked on",
            )?,
            newer_minor: plain(
                "lobar_ingest_newer_minor_total",
                "Messages with an event of a newer minor version than this release knows",
            )?,
            batch_seconds: histogram(
                "lobar_ingest_batch_seconds",
                "From receiving a batch of messages to settling it",
                &[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0],
            )?,
            lag_seconds: histogram(
                "lobar_ingest_lag_seconds",
                "From the sending of a notification to its settlement",
                &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0],
            )?,
        })
    }
}
