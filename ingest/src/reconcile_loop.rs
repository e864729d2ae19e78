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
        let options = ReconcileOptions::default();
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
                    tracing::warn!(%error, "bucket and store were not compared; trying again in a few minutes");
                    SOON
                }
            };
        }
    }

    /// Counts what was found, and says so where it was anything.
    async fn tell(&self, done: &Reconciled) {
        let Reconciled { objects, admitted, hidden, images, removed, spared } = *done;
        for (outcome, count) in
            [("admitted", admitted), ("hidden", hidden), ("removed", removed), ("spared", spared)]
        {
            self.intake.metrics.reconciled.with_label_values(&[outcome]).inc_by(count);
        }
        if removed > 0 {
            self.intake.publish_change().await;
        }
        if spared > 0 {
            tracing::error!(
                images,
                spared,
                "most images have no object in the bucket: none is marked, since LOBAR_BUCKET or LOBAR_S3_ENDPOINT may \
                 name another bucket; `lobar reconcile --force` marks them"
            );
        } else if admitted + hidden + removed > 0 {
            tracing::warn!(
                objects,
                admitted,
                hidden,
                images,
                removed,
                "bucket and store differed: objects without an image are admitted, images without their object are \
                 marked as removed"
            );
        } else {
            tracing::debug!(objects, images, "bucket and store were compared, and agree");
        }
    }
}
