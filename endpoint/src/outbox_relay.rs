//! Outbox relay: sends events to the uploads queue and deletes them from the outbox once the queue
//! has confirmed them. A crash in between duplicates an event, never loses it.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::queue::{Outgoing, Queue};
use lobar_core::retry::Backoff;
use tokio_util::sync::CancellationToken;

use super::catalog::Catalog;
use super::fault::EndpointFault;

/// How many events are sent at a time.
const BATCH: u32 = 100;
/// Pauses after failures.
const PAUSES: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// See the module's documentation.
pub(super) struct OutboxRelay {
    pub(super) catalog: Arc<Catalog>,
    pub(super) uploads: Arc<dyn Queue>,
    pub(super) region: String,
}

/// What one round left.
enum RelayRound {
    Nothing,
    More,
    /// The queue did not take this many events.
    Refused(usize),
}

impl OutboxRelay {
    /// Sends what is there and what comes, until told to stop; then what is there once more.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            match self.round().await {
                Ok(RelayRound::More) => failures = 0,
                Ok(RelayRound::Nothing) => {
                    failures = 0;
                    tokio::select! {
                        () = self.catalog.announced.notified() => {}
                        () = stop.cancelled() => {}
                    }
                }
                Ok(RelayRound::Refused(events)) => {
                    tracing::warn!(
                        messages = events,
                        "embedded S3: the uploads queue refused notifications; sending them again"
                    );
                    rest(&mut failures, &stop).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "embedded S3: notifications not sent; sending them again");
                    rest(&mut failures, &stop).await;
                }
            }
        }
        while let Ok(RelayRound::More) = self.round().await {}
    }

    async fn round(&self) -> Result<RelayRound, EndpointFault> {
        let events = self.catalog.waiting(BATCH).await?;
        if events.is_empty() {
            return Ok(RelayRound::Nothing);
        }
        let messages =
            events.iter().map(|event| Outgoing::now(event.notification(&self.region).to_string()));
        let results = self.uploads.send(messages.collect()).await;
        let sent: Vec<i64> = events
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_ok())
            .map(|(event, _)| event.sequencer)
            .collect();
        let refused = events.len() - sent.len();
        self.catalog.forget(sent).await?;
        Ok(if refused > 0 { RelayRound::Refused(refused) } else { RelayRound::More })
    }
}

async fn rest(failures: &mut u32, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(PAUSES.delay(*failures, rand::random())) => {}
        () = stop.cancelled() => {}
    }
    *failures = failures.saturating_add(1);
}
