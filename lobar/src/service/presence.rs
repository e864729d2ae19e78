//! A worker says that it is there, again and again, until it stops.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::roster::{ANNOUNCE_EVERY, ANNOUNCED_FOR, Roster};
use lobar_worker::WorkerHealth;
use uuid::Uuid;

use super::running::Running;

/// How soon a failed announcement is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// Announces a worker while it is ready, under a random name.
pub fn announce(roster: Arc<dyn Roster>, health: Arc<WorkerHealth>, running: &mut Running) {
    let stop = running.receiving.clone();
    running.start("presence", async move {
        let worker = Uuid::new_v4();
        let announcing = async {
            loop {
                let announced = match health.is_ready() {
                    true => roster.announce(worker, &health.presence(), ANNOUNCED_FOR).await,
                    false => Ok(()),
                };
                let pause = match announced {
                    Ok(()) if health.is_ready() => ANNOUNCE_EVERY,
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
        if let Err(error) = roster.leave(worker).await {
            tracing::debug!(%error, "departure not announced; the entry expires");
        }
        Ok(())
    });
}
