//! A stage that images pass through: a task that ends once nothing more comes to it.

use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Why a worker drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was told to stop.
    Stopped,
    /// A stage ended before its time: nothing can be finished any more.
    Early,
}

/// See the module's documentation.
pub(crate) struct Stage<T> {
    task: JoinHandle<Option<T>>,
    no_more: CancellationToken,
    result: Option<Result<Option<T>, JoinError>>,
}

impl<T: Send + 'static> Stage<T> {
    /// Starts a stage. It is given the token that tells it that nothing more comes in.
    pub(crate) fn start<F>(context: &Context, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let no_more = CancellationToken::new();
        Self { task: context.spawn_service_task(run(no_more.clone())), no_more, result: None }
    }

    /// Returns when it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        if self.result.is_none() {
            self.result = Some((&mut self.task).await);
        }
    }

    /// Whether that was seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.result.is_some()
    }

    /// Says that nothing more comes in, and waits for the end; `None` when it was killed.
    pub(crate) async fn close(mut self) -> Result<Option<T>, JoinError> {
        self.no_more.cancel();
        self.ended().await;
        self.result.unwrap_or(Ok(None))
    }
}
