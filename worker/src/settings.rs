//! How a worker behaves.

use std::time::Duration;

use lobar_core::retry::Backoff;
use lobar_imaging::Limits;

use crate::capacity::Capacity;

/// When an object whose fetch fails for now, again and again, counts as one that cannot be read: when both bounds
/// are reached. They are wide, so that a bucket that is throttled or half away for hours costs no image.
#[derive(Clone, Copy, Debug)]
pub struct UnreadableObject {
    /// Failures in a row, of those before which another object was delivered. While nothing is delivered, none
    /// counts: then it is the bucket that is away.
    pub failures: u32,
    /// Time since the image was received.
    pub age: Duration,
}

impl Default for UnreadableObject {
    fn default() -> Self {
        Self { failures: 100, age: Duration::from_secs(24 * 3600) }
    }
}

/// Settings of one worker role.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The largest batch, and how many images are in hand at once.
    pub capacity: Capacity,
    /// Longest wait for a job.
    pub wait: Duration,
    /// How long a job is leased; the lease is extended at a third of it.
    pub lease: Duration,
    /// Attempts after which an image goes to quarantine.
    pub max_attempts: u32,
    /// When an object counts as one that cannot be read.
    pub unreadable: UnreadableObject,
    /// What a file may be at most.
    pub limits: Limits,
    /// What the files in memory may take together, bytes; one larger than that is alone.
    pub file_memory: u64,
    /// How many batches in a row may pass over waiting `routine` images, and how many urgent ones in a row where they wait to
    /// be fetched or decoded.
    pub routine_patience: u32,
    /// How long one batch may take before the engine counts as hung.
    pub watchdog: Duration,
    /// How long work under way may go on after the stop; the rest is given back.
    pub drain: Duration,
    /// Waits after failures.
    pub backoff: Backoff,
    /// How often the registry is asked which model is active.
    pub follow_every: Duration,
    /// Waits between tries of a model that could not be loaded.
    pub model_backoff: Backoff,
    /// How long a model may take to be fetched, loaded and proven.
    pub loading: Duration,
    /// Images that may wait for the shadow; more are not compared.
    pub shadow_queue: usize,
}

impl WorkerSettings {
    /// The usual settings, for this much in hand.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            wait: Duration::from_secs(5),
            lease: Duration::from_secs(30),
            max_attempts: 5,
            unreadable: UnreadableObject::default(),
            limits: Limits::default(),
            file_memory: 1 << 30,
            routine_patience: 3,
            watchdog: Duration::from_secs(120),
            drain: Duration::from_secs(20),
            backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) },
            follow_every: Duration::from_secs(2),
            model_backoff: Backoff { first: Duration::from_secs(5), max: Duration::from_secs(300) },
            loading: Duration::from_secs(1_800),
            shadow_queue: 64,
        }
    }
}
