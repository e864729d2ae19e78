//! Goes on with erasures that were interrupted, or that the bucket refused, and erases images whose time is over.

use std::time::Duration;

use lobar_core::audit::Actor;
use lobar_core::erasure::{Erased, ErasureOrder, ErasurePorts, ErasureReason};
use lobar_core::failure::PortError;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::ingest::Ingest;

/// Batches by age in one round, so that what is asked for meanwhile does not wait for all of them.
const BATCHES: usize = 20;

impl Ingest {
    pub(crate) async fn erase_loop(&self, stop: &CancellationToken) {
        let every = self.intake.settings.erase_every;
        let Some(ports) = self.erasure.as_ref().filter(|_| !every.is_zero()) else { return };
        let mut refused = 0;
        loop {
            let pausing = tokio::time::sleep(every.mul_f64(0.5 + rand::random::<f64>()));
            if stop.run_until_cancelled(pausing).await.is_none() {
                return;
            }
            let Some(done) = stop.run_until_cancelled(self.erase(ports)).await else { return };
            refused = match done {
                // Once each time that it changes: it may stay so for years.
                Ok(Erased { refused: objects, .. }) => {
                    if objects != refused && objects > 0 {
                        tracing::warn!(
                            objects,
                            "the bucket refuses to delete versions of erased images; they are not served, and tried \
                             again (docs/erasure.md)"
                        );
                    }
                    objects
                }
                Err(error) => {
                    let seconds = every.as_secs();
                    tracing::warn!(%error, seconds, "erased images were not deleted from the bucket; trying again");
                    refused
                }
            };
        }
    }

    /// One round: what was asked for first, then by age. An error of the one does not keep from the other.
    async fn erase(&self, ports: &ErasurePorts) -> Result<Erased, PortError> {
        let done = ports.finish().await;
        if let Ok(done) = &done {
            self.count(done);
        }
        if let Some(age) = self.intake.settings.retention.images {
            self.erase_old(ports, age).await.and(done)
        } else {
            done
        }
    }

    async fn erase_old(&self, ports: &ErasurePorts, age: Duration) -> Result<(), PortError> {
        let order = ErasureOrder {
            reason: ErasureReason::Retention,
            actor: Actor::system(),
            role: None,
            request: None,
            detail: Value::Null,
        };
        let mut images = 0;
        let mut ended = Ok(());
        for _ in 0..BATCHES {
            match ports.erase_old(age, self.clock.now(), &order).await {
                Ok(None) => break,
                Ok(Some(done)) => {
                    self.count(&done);
                    images += done.images.len();
                }
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            }
        }
        if images > 0 {
            let hours = age.as_secs() / 3600;
            tracing::info!(images, "erased images that were kept for {hours} hours");
            self.intake.publish_change().await;
        }
        ended
    }

    fn count(&self, done: &Erased) {
        let erased = &self.intake.metrics.erased;
        erased.with_label_values(&["gone"]).inc_by(done.gone);
        erased.with_label_values(&["refused"]).inc_by(done.refused);
    }
}
