//! Circuit breakers: while a service fails, receiving pauses, longer each time. An outage must neither
//! burn attempts nor churn the queues.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lobar_core::failure::PortError;
use lobar_core::retry::Backoff;
use tokio_util::sync::CancellationToken;

/// Whether one service answers. Open: it does not, and receiving pauses.
#[derive(Debug)]
pub struct CircuitBreaker {
    service: &'static str,
    backoff: Backoff,
    /// Failures in a row.
    failures: AtomicU32,
    /// Failures in a row that do not open it.
    tolerance: u32,
}

impl CircuitBreaker {
    /// A closed circuit. `service` is its name in the log: `jobs queue`, `store`. The pause is that of
    /// `backoff`, by the number of failures in a row.
    pub fn new(service: &'static str, backoff: Backoff) -> Self {
        Self { service, backoff, failures: AtomicU32::new(0), tolerance: 0 }
    }

    /// The same circuit, closed until there are more than this many failures in a row: for a service
    /// whose single answers may fail for reasons of their own.
    #[must_use]
    pub fn tolerating(mut self, failures: u32) -> Self {
        self.tolerance = failures;
        self
    }

    /// The service's name.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The service answered: the circuit closes.
    pub fn succeeded(&self) {
        if self.failures.swap(0, Ordering::Relaxed) > self.tolerance {
            tracing::info!(service = self.service, "{} answers again", self.service);
        }
    }

    /// The service failed.
    pub fn failed(&self, error: &PortError) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before < self.tolerance {
            return;
        }
        let service = self.service;
        let what = if error.is_transient() { "unreachable" } else { "rejects everything" };
        let seconds = self.pause_with(1.0).unwrap_or_default().as_secs_f64();
        if before == self.tolerance {
            tracing::warn!(service, %error, "receiving paused: {service} {what}; retrying within {seconds:.1} s");
        } else {
            tracing::debug!(service, %error, "{service} still {what}; retrying within {seconds:.1} s");
        }
    }

    /// How long to pause before the service is asked again; `None` while the circuit is closed.
    pub fn pause(&self) -> Option<Duration> {
        self.pause_with(rand::random())
    }

    fn pause_with(&self, jitter: f64) -> Option<Duration> {
        let excess = self.failures.load(Ordering::Relaxed).saturating_sub(self.tolerance);
        (excess > 0).then(|| self.backoff.delay(excess - 1, jitter))
    }

    /// Pauses until `answers` says that the service does again, or until told to stop. The circuit stays
    /// open: it closes when the service has done its work once, so that one that answers and fails all the
    /// same is asked less and less often.
    pub async fn wait_out<F>(&self, stopping: &CancellationToken, answers: impl Fn() -> F)
    where
        F: Future<Output = Result<(), PortError>>,
    {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.pause().unwrap_or_default()) => {}
                () = stopping.cancelled() => return,
            }
            match answers().await {
                Ok(()) => return,
                Err(error) => self.failed(&error),
            }
        }
    }
}

/// The longest pause that one of several circuits asks for; `None` when all are closed.
pub fn longest_pause<'a>(
    circuits: impl IntoIterator<Item = &'a CircuitBreaker>,
) -> Option<Duration> {
    circuits.into_iter().filter_map(CircuitBreaker::pause).max()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };

    fn away() -> PortError {
        PortError::transient("test", "away")
    }

    #[test]
    fn receiving_pauses_while_a_service_fails_and_goes_on_when_it_answers() {
        let circuit = CircuitBreaker::new("store", BACKOFF);
        assert_eq!(circuit.pause(), None);
        circuit.failed(&away());
        let first = circuit.pause().expect("a pause");
        circuit.failed(&away());
        circuit.failed(&away());
        assert!(circuit.pause().expect("a pause") > first);
        circuit.succeeded();
        assert_eq!(circuit.pause(), None);
    }

    #[test]
    fn a_single_object_that_fails_stops_nobody() {
        let circuit = CircuitBreaker::new("object store", BACKOFF).tolerating(2);
        circuit.failed(&away());
        circuit.failed(&away());
        assert_eq!(circuit.pause(), None);
        circuit.failed(&away());
        assert!(circuit.pause().is_some());
    }

    #[test]
    fn the_longest_pause_counts() {
        let (calm, short, long) = (
            CircuitBreaker::new("a", BACKOFF),
            CircuitBreaker::new("b", BACKOFF),
            CircuitBreaker::new("c", BACKOFF),
        );
        assert_eq!(longest_pause([&calm]), None);
        short.failed(&away());
        (0..4).for_each(|_| long.failed(&away()));
        assert!(longest_pause([&calm, &short, &long]).expect("a pause") >= Duration::from_secs(4));
    }

    #[tokio::test]
    async fn an_outage_is_waited_out_with_growing_pauses() {
        let backoff = Backoff { first: Duration::from_millis(2), max: Duration::from_secs(60) };
        let circuit = CircuitBreaker::new("store", backoff);
        circuit.failed(&away());
        let (began, probes) = (std::time::Instant::now(), Cell::new(0));
        let answers = async || {
            probes.set(probes.get() + 1);
            if probes.get() < 5 { Err(away()) } else { Ok(()) }
        };
        circuit.wait_out(&CancellationToken::new(), answers).await;
        assert_eq!(probes.get(), 5);
        // Half of 2 + 4 + 8 + 16 + 32 milliseconds at least.
        assert!(began.elapsed() >= Duration::from_millis(31), "{:?}", began.elapsed());
        assert!(circuit.pause().is_some(), "it closes when the service has done its work");
    }

    #[tokio::test]
    async fn a_stop_ends_the_waiting() {
        let circuit = CircuitBreaker::new("store", BACKOFF);
        circuit.failed(&away());
        let stopping = CancellationToken::new();
        stopping.cancel();
        circuit.wait_out(&stopping, async || Err(away())).await;
    }
}
