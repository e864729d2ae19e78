//! The slow comparison of bucket and store, in the background.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ingest::Ingest;
use crate::reconcile::{ReconcileOptions, ReconcilePorts, Reconciled, reconcile};

/// How long after its start, or after a comparison that failed, a process compares at the earliest. Up to as long
/// again is added, so that processes that start together do not list the bucket together.
const SOON: Duration = Duration::from_secs(120);

impl Ingest {
    pub(crate) async fn reconcile_loop(&self, stop: &CancellationToken) {
        let every = self.intake.settings.reconcile_every;
        let Some(listing) = self.listing.clone().filter(|_| !every.is_zero()) else { return };
        let ports = ReconcilePorts {
            uploads: self.uploads.clone(),
            store: self.intake.store.clone(),
            objects: self.intake.objects.clone(),
            listing,
            clock: self.clock.clone(),
        };
        let results_kept = self.intake.settings.retention.results;
        let junk = self.intake.settings.junk.clone();
        let options =
            ReconcileOptions { mark: false, results_kept, junk, ..ReconcileOptions::default() };
        let mut pause = SOON;
        loop {
            let pausing = tokio::time::sleep(pause.mul_f64(1.0 + rand::random::<f64>()));
            if stop.run_until_cancelled(pausing).await.is_none() {
                return;
            }
            let Some(done) = stop.run_until_cancelled(reconcile(&ports, &options)).await else {
                return;
            };
            pause = match done {
                Ok(done) => {
                    self.tell(&done).await;
                    every
                }
                Err(error) => {
                    let pause = if error.is_transient() { SOON } else { every };
                    let seconds = pause.as_secs();
                    self.intake.metrics.reconciled.with_label_values(&["failed"]).inc();
                    tracing::warn!(
                        %error,
                        seconds,
                        "bucket and store were not compared, so that lost notifications are not found; trying again"
                    );
                    pause
                }
            };
        }
    }

    /// Counts what was found, and says so where it was anything.
    async fn tell(&self, done: &Reconciled) {
        let Reconciled { objects, admitted, restored, images, missing, .. } = *done;
        for (outcome, count) in
            [("admitted", admitted), ("restored", restored), ("missing", missing)]
        {
            self.intake.metrics.reconciled.with_label_values(&[outcome]).inc_by(count);
        }
        if restored > 0 {
            self.intake.publish_change().await;
        }
        if admitted + restored > 0 {
            tracing::warn!(
                objects,
                admitted,
                restored,
                images,
                missing,
                "notifications were lost: objects without an image are admitted, images whose object is current again are \
                 queued"
            );
        } else if missing > 0 {
            tracing::info!(
                images,
                missing,
                "images without their object in the bucket are kept; `lobar reconcile` marks them as removed"
            );
        } else {
            tracing::debug!(objects, images, "bucket and store were compared, and agree");
        }
    }
}
