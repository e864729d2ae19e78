//! Sends the worker's heartbeats until it stops.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::presence::{HEARTBEAT_INTERVAL, HEARTBEAT_TTL, Presence};
use lobar_worker::WorkerHealth;
use uuid::Uuid;

use super::running::Running;

/// How soon a failed announcement is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// Announces a worker while it is ready, under a random name.
pub fn send_heartbeats(
    presence: Arc<dyn Presence>,
    health: Arc<WorkerHealth>,
    running: &mut Running,
) {
    let stop = running.receiving.clone();
    running.start("presence", async move {
        let worker = Uuid::new_v4();
        let announcing = async {
            loop {
                let announced = match health.is_ready() {
                    true => presence.heartbeat(worker, &health.load(), HEARTBEAT_TTL).await,
                    false => Ok(()),
                };
                let pause = match announced {
                    Ok(()) if health.is_ready() => HEARTBEAT_INTERVAL,
                    Ok(()) => AGAIN,
                    Err(error) => {
                        tracing::debug!(%error, "presence not announced; announcing again");
                        AGAIN
                    }
                };
                tokio::time::sleep(pause).await;
            }
        };
        stop.run_until_cancelled(announcing).await.unwrap_or(());
        // Who does not hear of it finds out when the announcement runs out.
        if let Err(error) = presence.leave(worker).await {
            tracing::debug!(%error, "departure not announced; the entry expires");
        }
        Ok(())
    });
}
