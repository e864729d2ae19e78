//! Ports with a switch: off, each call fails as if the service were away. Each call can also be answered
//! with an error of another kind; see [`inject`](super::inject).

mod commitments;
mod objects;
mod queue;
mod signal;
mod store;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lobar_core::failure::PortError;

pub use commitments::FaultyCommitments;
pub use objects::FaultyObjects;
pub use queue::FaultyQueue;
pub use signal::FaultySignal;
pub use store::FaultyStore;

/// On at first.
#[derive(Debug, Default)]
pub struct Switch {
    off: AtomicBool,
    refused: AtomicU64,
    held: AtomicU64,
}

impl Switch {
    /// From now on calls fail.
    pub fn off(&self) {
        self.off.store(true, Ordering::SeqCst);
    }

    /// From now on calls go through.
    pub fn on(&self) {
        self.off.store(false, Ordering::SeqCst);
    }

    /// Whether calls fail.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }

    /// How many calls failed so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// How many calls waited so far.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        self.held.fetch_add(u64::from(self.is_off()), Ordering::SeqCst);
        while self.is_off() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn pass(&self) -> Result<(), PortError> {
        if !self.is_off() {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Err(PortError::transient("test", "switched off"))
    }
}
