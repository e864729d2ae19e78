//! What tells a process to stop: the first SIGTERM or SIGINT drains, the second exits. A worker that an autoscaler started
//! drains at the end of its standard input too, which ends with the autoscaler.

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

/// Cancels `stop` when standard input ends. On a thread of its own, which nobody waits for: a read cannot be called off.
pub fn at_eof(stop: CancellationToken) -> Result<(), Failure> {
    let read = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if !stop.is_cancelled() {
            tracing::info!(
                "stopping: the process that started this one has ended; work in flight is finished first"
            );
            stop.cancel();
        }
    };
    let thread = std::thread::Builder::new().name("stdin".into()).spawn(read);
    thread.map(drop).map_err(Failure::failed)
}
