//! How much waits, how fast it arrives, and what the workers can do.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::failure::PortError;
use lobar_core::image::State;
use lobar_core::presence::Presence;
use lobar_core::queue::Queue;
use lobar_core::scaling::{Load, Throughput, capacity};
use lobar_core::store::{Overview, Store};
use lobar_core::time::Clock;
use tokio::time::timeout;

/// How long the store may take to answer.
const STORE_LIMIT: Duration = Duration::from_secs(4);
/// How long the others may take, without which there is still an answer.
const HINT_LIMIT: Duration = Duration::from_secs(2);

/// What is measured.
pub struct MeterPorts {
    /// Holds the images.
    pub store: Arc<dyn Store>,
    /// Notifications that are not admitted yet.
    pub uploads: Option<Arc<dyn Queue>>,
    /// Who is at work, where there is a service for it.
    pub presence: Option<Arc<dyn Presence>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Measures the load for [`lobar_core::scaling::decide`].
pub struct Meter {
    ports: MeterPorts,
    arrivals: Throughput,
    finished: Throughput,
    last: Option<Totals>,
}

/// All images, and those of them that are worked off.
#[derive(Clone, Copy)]
struct Totals {
    images: u64,
    finished: u64,
}

impl Totals {
    fn of(overview: &Overview) -> Self {
        let unfinished = |state: &State| matches!(state, State::Queued | State::Analysing);
        let mut totals = Self { images: 0, finished: 0 };
        for (state, count) in &overview.by_state {
            totals.images += count;
            totals.finished += if unfinished(state) { 0 } else { *count };
        }
        totals
    }
}

impl Meter {
    /// Nothing is measured yet.
    pub fn new(ports: MeterPorts) -> Self {
        Self { ports, arrivals: Throughput::default(), finished: Throughput::default(), last: None }
    }

    /// The load of now. `own` are the processes that this machine runs: the workers, where no service knows of all.
    ///
    /// # Errors
    /// When the store does not answer. What else does not answer is left unknown.
    pub async fn read(&mut self, own: u32) -> Result<Load, PortError> {
        let uploads = async {
            let depth =
                timeout(HINT_LIMIT, self.ports.uploads.as_ref()?.depth()).await.ok()?.ok()?;
            Some(depth.ready + depth.in_flight + depth.delayed)
        };
        let workers =
            async { timeout(HINT_LIMIT, self.ports.presence.as_ref()?.workers()).await.ok()?.ok() };
        let (uploads, workers) = tokio::join!(uploads, workers);
        // After the queue: what moves on meanwhile is counted twice rather than not at all.
        let overview =
            timeout(STORE_LIMIT, self.ports.store.overview()).await.unwrap_or_else(|_| {
                let why = format!("no answer within {} s", STORE_LIMIT.as_secs());
                Err(PortError::transient("store: overview", why))
            })?;
        let now = self.ports.clock.now();
        let totals = Totals::of(&overview);
        if let Some(last) = self.last.replace(totals) {
            self.arrivals.count(totals.images.saturating_sub(last.images), now);
            self.finished.count(totals.finished.saturating_sub(last.finished), now);
        }
        let (at_work, measured) = match (&self.ports.presence, &workers) {
            (None, _) => (Some(own), None),
            (Some(_), None) => (None, None),
            (Some(_), Some(workers)) => {
                (Some(u32::try_from(workers.len()).unwrap_or(u32::MAX)), capacity(workers))
            }
        };
        Ok(Load {
            unfinished: overview.unfinished,
            uploads: uploads.unwrap_or(0),
            arrivals: self.arrivals.lately(now),
            capacity: measured.or_else(|| self.finished.best(now).filter(|rate| *rate > 0.0)),
            workers: at_work,
        })
    }
}
