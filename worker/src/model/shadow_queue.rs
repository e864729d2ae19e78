//! Queue of finished images to the shadow model. Bounded; never blocks the main path.

use std::sync::{Mutex, PoisonError};

use lobar_core::engine::NetworkInput;
use lobar_core::finding::Finding;
use lobar_core::object::ImageId;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::shadow::DROPPED;
use crate::metrics::WorkerMetrics;

/// An answered image, and what is shown of it.
pub(super) struct AnsweredImage {
    pub(super) image: ImageId,
    pub(super) input: NetworkInput,
    pub(super) version: String,
    pub(super) probability: f64,
    pub(super) flagged: bool,
}

/// See the module's documentation.
pub(crate) struct ShadowQueue {
    /// Where the shadow waits, while there is one.
    shadow: Mutex<Option<mpsc::Sender<AnsweredImage>>>,
    idle: watch::Sender<bool>,
    metrics: WorkerMetrics,
}

impl ShadowQueue {
    pub(crate) fn new(metrics: WorkerMetrics) -> Self {
        Self { shadow: Mutex::default(), idle: watch::Sender::new(true), metrics }
    }

    /// Offers an image that was answered. Without a shadow nothing happens; what it has no room for is
    /// counted.
    pub(crate) fn offer(&self, image: ImageId, shown: &Finding, input: NetworkInput) {
        let shadow = self.shadow.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shadow) = shadow.as_ref() else { return };
        let Finding { model, probability, flagged, .. } = shown;
        let (version, probability, flagged) = (model.version.clone(), *probability, *flagged);
        let seen = AnsweredImage { image, input, version, probability, flagged };
        if let Err(TrySendError::Full(_)) = shadow.try_send(seen) {
            self.metrics.shadow_images.with_label_values(&[DROPPED]).inc();
        }
    }

    /// Says whether the engine that answers has a batch in hand.
    pub(crate) fn main_engine_is_busy(&self, busy: bool) {
        self.idle.send_if_modified(|idle| {
            let changed = *idle == busy;
            *idle = !busy;
            changed
        });
    }

    /// Returns while the engine that answers has nothing to do.
    pub(super) async fn until_idle(&self) {
        // It cannot fail: the sender is here.
        let _ = self.idle.subscribe().wait_for(|idle| *idle).await;
    }

    /// Sends what is offered from now on there; `None`: nowhere.
    pub(super) fn connect(&self, shadow: Option<mpsc::Sender<AnsweredImage>>) {
        *self.shadow.lock().unwrap_or_else(PoisonError::into_inner) = shadow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn the_shadow_begins_only_while_the_engine_that_answers_has_nothing_in_hand() {
        let metrics = WorkerMetrics::register(&prometheus::Registry::new()).expect("an empty one");
        let post = ShadowQueue::new(metrics);
        assert!(post.until_idle().now_or_never().is_some());
        post.main_engine_is_busy(true);
        let mut waiting = Box::pin(post.until_idle());
        assert!((&mut waiting).now_or_never().is_none());
        post.main_engine_is_busy(false);
        assert!((&mut waiting).now_or_never().is_some());
    }
}
