//! Wakes the receivers that wait on a queue when something is sent to it.
//!
//! Receivers in this process hear it at once. Where a database carries notifications to other
//! processes, its adapter takes the names of the queues that were notified here
//! ([`Notifier::take_notified`]) and wakes receivers of those that were notified elsewhere
//! ([`Notifier::notify_remote`]). A notification may be lost; receivers poll as well.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The waiters of a database, by queue.
#[derive(Default)]
pub struct Notifier {
    waiters: Mutex<HashMap<String, Arc<Notify>>>,
    /// Queues that were notified here and were not told of elsewhere; no more than there are queues.
    unsent: Mutex<BTreeSet<String>>,
    told: Notify,
}

impl Notifier {
    /// Where receivers of a queue wait.
    pub(super) fn waiter(&self, queue: &str) -> Arc<Notify> {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.entry(queue.to_owned()).or_default().clone()
    }

    /// Something was sent to `queue` by this process.
    pub(super) fn notify(&self, queue: &str) {
        self.waiter(queue).notify_waiters();
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned());
        self.told.notify_one();
    }

    /// Something was sent to `queue` by another process.
    pub fn notify_remote(&self, queue: &str) {
        self.waiter(queue).notify_waiters();
    }

    /// Something may have been sent to any queue while nobody listened.
    pub fn notify_all(&self) {
        let waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.values().for_each(|waiter| waiter.notify_waiters());
    }

    /// Waits until queues were notified here, and takes their names. What is notified while nobody waits is kept, each
    /// queue once.
    pub async fn take_notified(&self) -> BTreeSet<String> {
        loop {
            self.told.notified().await;
            let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
            if !unsent.is_empty() {
                return std::mem::take(&mut *unsent);
            }
        }
    }
}
