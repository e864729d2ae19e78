//! A start that finds a service away, or the disk full: it waits, live and not ready, and says so. A process that ended
//! instead would be started again every second until its service manager gives up.

use std::error::Error;
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
        // Boxed, or the type of what waits for it gets too deep for the compiler.
        Box::pin(self.until(open, is_away)).await.map_err(failed)
    }

    /// Does `open` again, in growing pauses, while it fails with what `passes` by itself or by an operator's doing.
    ///
    /// # Errors
    /// The first failure of another kind.
    pub async fn until<T, E: Error>(
        &self,
        open: impl AsyncFn() -> Result<T, E>,
        passes: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let mut tries = 0;
        loop {
            let error = match open().await {
                Err(error) if passes(&error) => error,
                ended => return ended,
            };
            let pause = BACKOFF.delay(tries, rand::random());
            tries += 1;
            let (error, seconds) = (chain(&error), pause.as_secs_f64());
            tracing::warn!(
                error,
                "start: a service does not answer or the disk is full; nothing is received or served until that is \
                 mended; retrying in {seconds:.1} s"
            );
            self.0.fail("waits for a service that does not answer, or for room on the disk; the log says which");
            tokio::time::sleep(pause).await;
        }
    }
}

fn is_away(error: &OpenError) -> bool {
    matches!(error, OpenError::Port { source, .. } if source.is_transient())
}
