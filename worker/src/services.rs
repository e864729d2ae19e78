//! The services that a worker needs, and whether they answer.

use std::time::Duration;

use lobar_consumer::{CircuitBreaker, longest_pause};
use lobar_core::image::{Lane, Lanes};
use lobar_core::retry::Backoff;

/// The longest pause: when a service is back, work must go on soon.
const LONGEST: Duration = Duration::from_secs(5);
/// One object may be slow or broken by itself; several in a row are the service.
const SINGLE_OBJECTS: u32 = 2;

/// A circuit breaker for each. While one is open, receivers pause, and then take one message to find out.
#[derive(Debug)]
pub(crate) struct Services {
    /// One a lane: a queue that answers says nothing of the other.
    pub(crate) jobs: Lanes<CircuitBreaker>,
    pub(crate) store: CircuitBreaker,
    /// Open while the store answers, but rejects every result.
    pub(crate) results: CircuitBreaker,
    pub(crate) objects: CircuitBreaker,
}

impl Services {
    pub(crate) fn new(backoff: Backoff) -> Self {
        let backoff = Backoff { max: backoff.max.min(LONGEST), ..backoff };
        Self {
            jobs: Lanes {
                stat: CircuitBreaker::new("jobs queue stat", backoff),
                routine: CircuitBreaker::new("jobs queue routine", backoff),
            },
            store: CircuitBreaker::new("store", backoff),
            results: CircuitBreaker::new("store of results", backoff),
            objects: CircuitBreaker::new("object store", backoff).tolerating(SINGLE_OBJECTS),
        }
    }

    /// How long to wait before a lane's jobs are received; `None` when everything answers.
    pub(crate) fn pause(&self, lane: Lane) -> Option<Duration> {
        longest_pause([self.jobs.of(lane), &self.store, &self.results, &self.objects])
    }
}
