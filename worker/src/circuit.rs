//! What is away. While a part fails, receivers pause, longer each time, and then take one message to
//! find out: an outage must neither burn attempts nor churn the queues.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lobar_core::retry::Backoff;

/// The longest pause: when the part is back, work must go on soon.
const LONGEST: Duration = Duration::from_secs(5);

/// The state of one part.
#[derive(Debug)]
pub(crate) struct Circuit {
    part: &'static str,
    /// Failures in a row.
    failures: AtomicU32,
    /// Failures in a row that do not count yet.
    tolerance: u32,
}

impl Circuit {
    pub(crate) fn succeeded(&self) {
        if self.failures.swap(0, Ordering::Relaxed) > self.tolerance {
            tracing::info!(part = self.part, "the part answers again");
        }
    }

    pub(crate) fn failed(&self, error: &dyn std::error::Error) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before == self.tolerance {
            tracing::warn!(part = self.part, %error, "a part is away; receiving pauses");
        }
    }

    fn excess(&self) -> u32 {
        self.failures.load(Ordering::Relaxed).saturating_sub(self.tolerance)
    }
}

/// All parts that the worker needs.
#[derive(Debug)]
pub(crate) struct Circuits {
    pub(crate) jobs: Circuit,
    pub(crate) store: Circuit,
    /// Open while the store answers, but rejects every result.
    pub(crate) results: Circuit,
    /// One object may be slow or broken by itself; several in a row are the service.
    pub(crate) objects: Circuit,
}

impl Circuits {
    pub(crate) fn new() -> Self {
        let of = |part, tolerance| Circuit { part, failures: AtomicU32::new(0), tolerance };
        Self {
            jobs: of("jobs", 0),
            store: of("store", 0),
            results: of("results", 0),
            objects: of("objects", 2),
        }
    }

    /// How long to wait before receiving; `None` when everything answers.
    pub(crate) fn pause(&self, backoff: Backoff) -> Option<Duration> {
        let worst = [&self.jobs, &self.store, &self.results, &self.objects]
            .map(Circuit::excess)
            .into_iter()
            .max()?;
        let backoff = Backoff { max: backoff.max.min(LONGEST), ..backoff };
        (worst > 0).then(|| backoff.delay(worst - 1, rand::random()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };

    #[test]
    fn receiving_pauses_while_a_part_fails_and_goes_on_when_it_answers() {
        let circuits = Circuits::new();
        assert_eq!(circuits.pause(BACKOFF), None);
        circuits.store.failed(&std::fmt::Error);
        let first = circuits.pause(BACKOFF).expect("a pause");
        circuits.store.failed(&std::fmt::Error);
        circuits.store.failed(&std::fmt::Error);
        assert!(circuits.pause(BACKOFF).expect("a pause") > first);
        circuits.store.succeeded();
        assert_eq!(circuits.pause(BACKOFF), None);
    }

    #[test]
    fn a_single_object_that_fails_stops_nobody() {
        let circuits = Circuits::new();
        circuits.objects.failed(&std::fmt::Error);
        circuits.objects.failed(&std::fmt::Error);
        assert_eq!(circuits.pause(BACKOFF), None);
        circuits.objects.failed(&std::fmt::Error);
        assert!(circuits.pause(BACKOFF).is_some());
    }
}
