//! Port of the signal: tells other processes that events were written. May be lost or duplicated;
//! only latency depends on it. Contract:
//!
//! - A subscriber hears of what is published after it subscribed.
//! - Every subscriber hears of it.
//! - Publishing without subscribers is no error.
//! - A slow subscriber delays nobody and still hears that something changed.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::failure::PortError;

/// How often a subscriber is told to look where nothing else tells it of changes: because there is no
/// signal between processes, or while its service is away.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

/// See the module's documentation.
#[async_trait]
pub trait Signal: Send + Sync {
    /// Says that events were written.
    async fn publish(&self) -> Result<(), PortError>;

    /// An item whenever something may have changed.
    async fn subscribe(&self) -> Result<BoxStream<'static, ()>, PortError>;
}
