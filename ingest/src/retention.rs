//! Deletes what is kept for a time only, a batch at a time, in the background.
//!
//! Every ingest does; the store lets one at a time ([`Store::prune`](lobar_core::store::Store::prune)).

use std::time::Duration;

use lobar_core::failure::PortError;
use lobar_core::store::Retained;
use tokio_util::sync::CancellationToken;

use crate::ingest::Ingest;

/// How long things are kept; `None` for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events.
    pub events: Option<Duration>,
    /// Messages in quarantine that somebody decided on.
    pub quarantine: Option<Duration>,
    /// Results of images.
    pub results: Option<Duration>,
    /// Images, with their objects: see [`erasure`](lobar_core::erasure).
    pub images: Option<Duration>,
    /// Entries of the audit record.
    pub audit: Option<Duration>,
    /// First opinions, and what readers met of answers.
    pub exposure: Option<Duration>,
}

impl Retention {
    /// How long one kind is kept.
    pub fn of(&self, what: Retained) -> Option<Duration> {
        match what {
            Retained::Events => self.events,
            Retained::Quarantine => self.quarantine,
            Retained::Results => self.results,
            Retained::Audit => self.audit,
            Retained::Exposure => self.exposure,
        }
    }
}

/// How long a process waits at most after its start, before a random share of as much again.
const SOON: Duration = Duration::from_secs(60);
/// Between two batches, so that those who write get their turn.
const BETWEEN: Duration = Duration::from_millis(20);

impl Ingest {
    pub(crate) async fn prune_loop(&self, stop: &CancellationToken) {
        let every = self.intake.settings.prune_every;
        let retention = self.intake.settings.retention;
        if every.is_zero() || retention == Retention::default() {
            return;
        }
        let mut pause = every.min(SOON);
        loop {
            let pausing = tokio::time::sleep(pause.mul_f64(1.0 + rand::random::<f64>()));
            if stop.run_until_cancelled(pausing).await.is_none() {
                return;
            }
            pause = every;
            for what in Retained::ALL {
                let Some(kept) = retention.of(what) else { continue };
                let Some(pruned) = stop.run_until_cancelled(self.prune(what, kept)).await else {
                    return;
                };
                if let Err(error) = pruned {
                    let (kind, minutes) = (what.as_str(), every.as_secs() / 60);
                    tracing::warn!(kind, %error, "what is no longer kept was not deleted; trying again in {minutes} min");
                }
            }
        }
    }

    /// All that is too old. What was deleted before an error stays deleted.
    async fn prune(&self, what: Retained, kept: Duration) -> Result<(), PortError> {
        let settings = &self.intake.settings;
        let counter = self.intake.metrics.pruned.with_label_values(&[what.as_str()]);
        let mut rows = 0;
        let end = loop {
            let pruned = match self.intake.store.prune(what, kept, settings.prune_batch).await {
                Ok(pruned) => pruned,
                Err(error) => break Err(error),
            };
            counter.inc_by(pruned as u64);
            rows += pruned;
            if pruned < settings.prune_batch {
                break Ok(());
            }
            tokio::time::sleep(BETWEEN).await;
        };
        if rows > 0 {
            let (kind, hours) = (what.as_str(), kept.as_secs() / 3600);
            tracing::info!(kind, rows, "deleted what was kept for {hours} hours");
            if what == Retained::Results {
                self.intake.publish_change().await;
            }
        }
        end
    }
}
