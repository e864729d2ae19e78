//! Removes versions whose time is over, now and then.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::time::Clock;
use tokio_util::sync::CancellationToken;

use super::catalog::Catalog;

/// See the module's documentation.
pub(super) struct Lifecycle {
    pub(super) catalog: Arc<Catalog>,
    pub(super) clock: Arc<dyn Clock>,
    /// For how long versions stay that are not current; `None` for ever.
    pub(super) kept: Option<Duration>,
    pub(super) every: Duration,
}

impl Lifecycle {
    /// Works until told to stop. What an error leaves, the next round removes.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let Some(kept) = self.kept else { return };
        loop {
            match self.catalog.expire(self.clock.now().minus(kept)).await {
                Ok(0) => {}
                Ok(versions) => {
                    tracing::info!(
                        versions,
                        "embedded S3: replaced and deleted versions removed; their time was over"
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "embedded S3: replaced and deleted versions not removed; trying again later");
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(self.every)).await.is_none() {
                return;
            }
        }
    }
}
