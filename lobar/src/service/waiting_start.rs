//! A start that finds a service away: it waits, live and not ready, and says so. A process that ended instead
//! would be started again every second until its service manager gives up.

use std::time::Duration;

use lobar_api::Check;
use lobar_core::failure::chain;
use lobar_core::retry::Backoff;
use lobar_opener::OpenError;

use super::ports::failed;
use crate::failure::Failure;

/// Pauses between tries.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(15) };

/// Waits, and says so with the readiness check of the start.
pub struct WaitingStart<'a>(pub &'a Check);

impl WaitingStart<'_> {
    /// Tries until it opens.
    ///
    /// # Errors
    /// What trying again would not mend.
    pub async fn out<T>(&self, open: impl AsyncFn() -> Result<T, OpenError>) -> Result<T, Failure> {
        let mut tries = 0;
        loop {
            let error = match open().await {
                Ok(opened) => return Ok(opened),
                Err(error) if is_away(&error) => error,
                Err(error) => return Err(failed(error)),
            };
            let pause = BACKOFF.delay(tries, rand::random());
            tries += 1;
            let (error, seconds) = (chain(&error), pause.as_secs_f64());
            tracing::warn!(
                error,
                "start: a service does not answer; nothing is received or served until it does; retrying in {seconds:.1} s"
            );
            self.0.fail("waits for a service that does not answer; the log says which");
            tokio::time::sleep(pause).await;
        }
    }
}

fn is_away(error: &OpenError) -> bool {
    matches!(error, OpenError::Port { source, .. } if source.is_transient())
}
