//! The signal.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use lobar_core::failure::PortError;
use lobar_core::signal::Signal;

use crate::rig::inject::Injector;

/// A signal whose publishing may fail.
pub struct FaultySignal {
    inner: Arc<dyn Signal>,
    injector: Arc<Injector>,
}

impl FaultySignal {
    pub(in crate::rig) fn new(inner: Arc<dyn Signal>, injector: Arc<Injector>) -> Self {
        Self { inner, injector }
    }
}

#[async_trait]
impl Signal for FaultySignal {
    async fn publish(&self) -> Result<(), PortError> {
        match self.injector.call("signal.publish", None) {
            Some(fault) => Err(fault.kind.error()),
            None => self.inner.publish().await,
        }
    }
    async fn subscribe(&self) -> Result<BoxStream<'static, ()>, PortError> {
        self.inner.subscribe().await
    }
}
