//! Whether ingest can do its work, for readiness.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Written by the running role, read by whoever answers for its readiness.
#[derive(Debug, Default)]
pub struct IngestHealth {
    running: AtomicBool,
    waiting: AtomicU32,
    test_events: AtomicU64,
}

impl IngestHealth {
    /// Whether it receives, and nothing it needs is away.
    pub fn is_ready(&self) -> bool {
        self.running.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Test events seen: the bucket's notifications are wired.
    pub fn test_events(&self) -> u64 {
        self.test_events.load(Ordering::Relaxed)
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }

    pub(crate) fn saw_test_event(&self) {
        self.test_events.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that one loop waits for an outage to end, until the answer is dropped.
    pub(crate) fn waiting(&self) -> OutageGuard<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        OutageGuard(self)
    }
}

pub(crate) struct OutageGuard<'a>(&'a IngestHealth);

impl Drop for OutageGuard<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
