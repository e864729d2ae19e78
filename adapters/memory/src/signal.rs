//! The signal between tasks of one process.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use lobar_core::failure::PortError;
use lobar_core::signal::Signal;
use tokio::sync::watch;

/// Signals of one process. A subscriber that is slow finds one item for all that it missed.
#[derive(Debug)]
pub struct MemorySignal(watch::Sender<()>);

impl MemorySignal {
    /// A signal without subscribers.
    pub fn new() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Default for MemorySignal {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Signal for MemorySignal {
    async fn publish(&self) -> Result<(), PortError> {
        self.0.send_replace(());
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, ()>, PortError> {
        // The stream ends with the signal.
        let changes = futures::stream::unfold(self.0.subscribe(), |mut seen| async {
            seen.changed().await.ok()?;
            Some(((), seen))
        });
        Ok(changes.boxed())
    }
}
