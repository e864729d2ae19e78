//! Stop signals: the first SIGTERM or SIGINT drains, the second exits.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process.
pub fn on_signal(tasks: &tokio_util::task::TaskTracker) -> Result<CancellationToken, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tasks.spawn(async move {
        for count in 1.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if count == 2 {
                tracing::warn!("stopping at once: told to stop a second time");
                std::process::exit(1);
            }
            tracing::info!("stopping: told to; work in flight is finished first");
            told.cancel();
        }
    });
    Ok(stop)
}
