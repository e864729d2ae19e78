//! Receiving until told to stop.

use std::time::Duration;

use lobar_core::failure::PortError;
use lobar_core::queue::{Delivery, Queue};
use tokio_util::sync::CancellationToken;

/// How long a receive that is under way may go on after the stop. Ending it at once could lose what
/// it is about to bring until its lease has run out.
const STOP_POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// Receives once. `None` when `stopping` was cancelled and nothing came in the meantime; what comes
/// after the stop is the caller's to give back.
pub async fn receive(
    queue: &dyn Queue,
    max: usize,
    wait: Duration,
    lease: Duration,
    stopping: &CancellationToken,
) -> Option<Result<Vec<Delivery>, PortError>> {
    let stopped = async {
        stopping.cancelled().await;
        tokio::time::sleep(STOP_POLL_TIMEOUT).await;
    };
    tokio::select! {
        received = queue.receive(max, wait, lease) => Some(received),
        () = stopped => None,
    }
}
