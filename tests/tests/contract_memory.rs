//! The contract of the signal, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use lobar_adapters::opener::Opener;
use lobar_core::signal::Signal;
use lobar_core::time::SystemClock;
use lobar_tests::contract::signal::SignalHarness;

struct OneProcess(Opener);

#[async_trait]
impl SignalHarness for OneProcess {
    async fn start() -> Self {
        Self(Opener::new(Arc::new(SystemClock)))
    }

    async fn open(&self) -> Arc<dyn Signal> {
        self.0.signal("signal", "memory:").expect("a signal")
    }
}

lobar_tests::signal_contract!(OneProcess);
