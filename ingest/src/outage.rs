//! Services that are away, and how their return is waited for.

use std::sync::Arc;

use lobar_consumer::CircuitBreaker;
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, Lanes};
use lobar_core::retry::Backoff;

/// What ingest cannot work without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Uploads,
    Store,
    Jobs(Lane),
}

impl Service {
    /// The word used in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Store => "store",
            Self::Jobs(_) => "jobs",
        }
    }
}

/// A service that is away, or rejects everything. Nobody's message is to blame.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) service: Service,
    pub(crate) error: Arc<PortError>,
}

impl Outage {
    /// An error of a service makes it one.
    pub(crate) fn of(service: Service) -> impl Fn(PortError) -> Self {
        move |error| Self { service, error: Arc::new(error) }
    }
}

/// A circuit breaker for each service.
#[derive(Debug)]
pub(crate) struct Services {
    uploads: CircuitBreaker,
    store: CircuitBreaker,
    jobs: Lanes<CircuitBreaker>,
}

impl Services {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self {
            uploads: CircuitBreaker::new("uploads queue", backoff),
            store: CircuitBreaker::new("store", backoff),
            jobs: Lanes {
                stat: CircuitBreaker::new("jobs queue stat", backoff),
                routine: CircuitBreaker::new("jobs queue routine", backoff),
            },
        }
    }

    pub(crate) fn of(&self, service: Service) -> &CircuitBreaker {
        match service {
            Service::Uploads => &self.uploads,
            Service::Store => &self.store,
            Service::Jobs(lane) => self.jobs.of(lane),
        }
    }

    /// A batch went through: all of them answer.
    pub(crate) fn succeeded(&self) {
        for circuit in [&self.uploads, &self.store, &self.jobs.stat, &self.jobs.routine] {
            circuit.succeeded();
        }
    }
}
