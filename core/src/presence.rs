//! The port of presence: which workers are at work, and how much each can do. A hint for scaling
//! and for people; no image depends on it. Contract:
//!
//! - A worker that announced itself is known to everyone with what it does.
//! - A worker that announces itself again is known once with what it said last.
//! - A worker that leaves is gone at once.
//! - A worker that falls silent is gone by itself.
//! - One worker's silence does not end another.
//! - Leaving without having come is no error.
//!
//! Nobody known is not the same as nothing known: while the service is away, or has lately lost what
//! it knew, the question fails.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::failure::PortError;

/// How often a worker sends a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
/// How long a heartbeat holds: two may get lost.
pub const HEARTBEAT_TTL: Duration = Duration::from_secs(10);

/// How much a worker does, measured over the last seconds. What another release does not say is as if nothing were done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerLoad {
    /// Share of the time in which the engine was computing, 0..=1.
    pub busy: f64,
    /// Images that left the engine, per second.
    pub images_per_second: f64,
    /// Engine seconds an image takes; `None` until one was computed. Its inverse is what this
    /// worker could do when fully busy.
    pub seconds_per_image: Option<f64>,
    /// Images in hand.
    pub in_flight: usize,
}

/// One worker that is present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresentWorker {
    /// Its process, by a random name.
    pub worker: Uuid,
    /// What it said last.
    pub load: WorkerLoad,
}

/// See the module's documentation. Every call answers within a second.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Says that `worker` is at work; holds for `keep`.
    async fn heartbeat(
        &self,
        worker: Uuid,
        load: &WorkerLoad,
        keep: Duration,
    ) -> Result<(), PortError>;

    /// Says that `worker` takes no more work.
    async fn leave(&self, worker: Uuid) -> Result<(), PortError>;

    /// Everyone at work, in no order.
    ///
    /// # Errors
    /// When it is not known who is at work.
    async fn workers(&self) -> Result<Vec<PresentWorker>, PortError>;
}
