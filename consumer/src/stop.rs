//! The two phases of a stop.

use tokio_util::sync::CancellationToken;

/// Tells a role to stop: gracefully first, at once when that takes too long. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new messages: finish what is in hand, give back what cannot be finished.
    pub receiving: CancellationToken,
    /// Return at once; leases lapse.
    pub abort: CancellationToken,
}
