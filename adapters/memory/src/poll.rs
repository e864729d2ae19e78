//! The signal of processes that share a store and nothing else: everyone looks, again and again.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use lobar_core::failure::PortError;
use lobar_core::signal::{LOOK_EVERY, Signal};

/// A signal that says "something may have changed" four times a second, whatever is published.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollSignal;

#[async_trait]
impl Signal for PollSignal {
    async fn publish(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, ()>, PortError> {
        let ticks = futures::stream::repeat(()).then(|()| tokio::time::sleep(LOOK_EVERY));
        Ok(ticks.boxed())
    }
}
