//! What the role tells of itself.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::tables::Status;

/// What became of a request for an association.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    Accepted,
    Refused,
    Full,
    Failed,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Accepted, Self::Refused, Self::Full, Self::Failed];

    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

/// What became of a request for storage commitment.
#[derive(Clone, Copy)]
pub(crate) enum CommitmentOutcome {
    Kept,
    Incomplete,
    Unreported,
}

impl CommitmentOutcome {
    const ALL: [Self; 3] = [Self::Kept, Self::Incomplete, Self::Unreported];

    fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Incomplete => "incomplete",
            Self::Unreported => "unreported",
        }
    }
}

/// The role's metrics.
#[derive(Clone)]
pub struct DicomMetrics {
    associations: IntCounterVec,
    open: IntGauge,
    stores: IntCounterVec,
    seconds: Histogram,
    bytes: IntCounter,
    commitments: IntCounterVec,
}

impl DicomMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label])
        };
        let metrics = Self {
            associations: counters(
                "lobar_dicom_associations_total",
                "Associations that were asked for, by what became of them: accepted, refused (title, host or certificate), full (too many), failed (no valid request)",
                "result",
            )?,
            open: IntGauge::new("lobar_dicom_associations_open", "Associations that are open now")?,
            stores: counters(
                "lobar_dicom_stores_total",
                "Instances that were sent by C-STORE, by the status that was answered",
                "status",
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "lobar_dicom_store_seconds",
                    "Time from the command of a C-STORE to its answer",
                )
                .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
            )?,
            bytes: IntCounter::new(
                "lobar_dicom_received_bytes_total",
                "Bytes of data sets that were sent by C-STORE",
            )?,
            commitments: counters(
                "lobar_dicom_commitments_total",
                "Requests for storage commitment, by what was reported: kept, incomplete, or unreported",
                "result",
            )?,
        };
        registry.register(Box::new(metrics.associations.clone()))?;
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.stores.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.commitments.clone()))?;
        for outcome in Outcome::ALL {
            metrics.associations.with_label_values(&[outcome.word()]);
        }
        for outcome in CommitmentOutcome::ALL {
            metrics.commitments.with_label_values(&[outcome.word()]);
        }
        for status in Status::ALL.iter().filter(|status| status.is_of_store()) {
            metrics.stores.with_label_values(&[status.word]);
        }
        Ok(metrics)
    }

    pub(crate) fn association(&self, outcome: Outcome) {
        self.associations.with_label_values(&[outcome.word()]).inc();
    }

    pub(crate) fn open(&self, associations: usize) {
        self.open.set(i64::try_from(associations).unwrap_or(i64::MAX));
    }

    pub(crate) fn stored(&self, status: Status, bytes: u64, took: Duration) {
        self.stores.with_label_values(&[status.word]).inc();
        self.bytes.inc_by(bytes);
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn committed(&self, outcome: CommitmentOutcome) {
        self.commitments.with_label_values(&[outcome.word()]).inc();
    }
}
