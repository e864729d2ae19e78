//! How ingest behaves.

use std::time::Duration;

use lobar_core::junk::JunkNames;
use lobar_core::retry::Backoff;

use crate::retention::Retention;

/// Settings of one ingest role.
#[derive(Clone, Debug)]
pub struct IngestSettings {
    /// The buckets that may be notified of; every other goes to quarantine.
    pub buckets: Vec<String>,
    /// Loops that receive side by side.
    pub receivers: usize,
    /// Most messages taken at once; brokers may give fewer.
    pub batch: usize,
    /// Longest wait for a message.
    pub wait: Duration,
    /// How long a message is leased; the lease is extended at a third of it.
    pub lease: Duration,
    /// Whether each object's metadata is asked for `priority: stat` (one HEAD request an object).
    pub read_metadata: bool,
    /// HEAD requests at once.
    pub head_requests: usize,
    /// From this receive count on, an object whose metadata cannot be had goes to the routine lane,
    /// and a message that the store refuses for good goes to quarantine.
    pub max_receives: u32,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Names of files that are put aside where they hold no image.
    pub junk: JunkNames,
    /// How often unfinished images are looked for; zero never.
    pub sweep_every: Duration,
    /// How long an image may stay unfinished without a change before it gets another job.
    pub sweep_after: Duration,
    /// Most images given another job at once.
    pub sweep_limit: usize,
    /// How often the bucket is compared with the store; zero never.
    pub reconcile_every: Duration,
    /// How often erasures are gone on with, and images erased whose time is over; zero never.
    pub erase_every: Duration,
    /// How long things are kept; for ever unless said otherwise.
    pub retention: Retention,
    /// How often what is older is deleted; zero never.
    pub prune_every: Duration,
    /// Most rows deleted in one transaction.
    pub prune_batch: usize,
}

impl IngestSettings {
    /// The defaults, for one bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            buckets: vec![bucket.into()],
            receivers: 2,
            batch: 64,
            wait: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            read_metadata: true,
            head_requests: 16,
            max_receives: 4,
            backoff: Backoff { first: Duration::from_millis(500), max: Duration::from_secs(10) },
            junk: JunkNames::default(),
            sweep_every: Duration::from_secs(30),
            sweep_after: Duration::from_secs(120),
            sweep_limit: 500,
            reconcile_every: Duration::from_secs(24 * 3600),
            erase_every: Duration::from_secs(60),
            retention: Retention::default(),
            prune_every: Duration::from_secs(3600),
            prune_batch: 1_000,
        }
    }
}
