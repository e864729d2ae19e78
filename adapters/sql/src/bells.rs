//! One bell a queue, rung when something is sent to it.
//!
//! Receivers in this process hear it at once. Where a database carries news to other processes, its
//! adapter takes the names of the queues that rang here ([`Bells::rung`]) and rings those that rang
//! elsewhere ([`Bells::ring_from_afar`]). A ring may be lost; receivers look by themselves as well.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The bells of a database.
#[derive(Default)]
pub struct Bells {
    bells: Mutex<HashMap<String, Arc<Notify>>>,
    /// Queues that rang here and were not told of elsewhere; no more than there are queues.
    untold: Mutex<BTreeSet<String>>,
    told: Notify,
}

impl Bells {
    /// The bell of a queue.
    pub(super) fn of(&self, queue: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(queue.to_owned()).or_default().clone()
    }

    /// Something was sent to `queue` by this process.
    pub(super) fn ring(&self, queue: &str) {
        self.of(queue).notify_waiters();
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned());
        self.told.notify_one();
    }

    /// Something was sent to `queue` by another process.
    pub fn ring_from_afar(&self, queue: &str) {
        self.of(queue).notify_waiters();
    }

    /// Something may have been sent to any queue while nobody listened.
    pub fn ring_all(&self) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.values().for_each(|bell| bell.notify_waiters());
    }

    /// Waits until queues rang here, and takes their names. What rings while nobody waits is kept, each
    /// queue once.
    pub async fn rung(&self) -> BTreeSet<String> {
        loop {
            self.told.notified().await;
            let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
            if !untold.is_empty() {
                return std::mem::take(&mut *untold);
            }
        }
    }
}
