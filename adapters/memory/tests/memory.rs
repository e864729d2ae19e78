//! The contracts of the signal, the cache and presence, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use lobar_core::cache::Cache;
use lobar_core::presence::Presence;
use lobar_core::signal::Signal;
use lobar_memory::{MemoryCache, MemoryPresence, MemorySignal};
use lobar_testkit::contract::cache::CacheHarness;
use lobar_testkit::contract::presence::PresenceHarness;
use lobar_testkit::contract::signal::SignalHarness;

/// What one process has.
#[derive(Default)]
struct OneProcess {
    signal: Arc<MemorySignal>,
    cache: Arc<MemoryCache>,
    presence: Arc<MemoryPresence>,
}

#[async_trait]
impl SignalHarness for OneProcess {
    const FLOOD: usize = 100_000;

    async fn start() -> Self {
        Self::default()
    }

    async fn open(&self) -> Arc<dyn Signal> {
        self.signal.clone()
    }
}

#[async_trait]
impl CacheHarness for OneProcess {
    async fn start() -> Self {
        Self::default()
    }

    async fn open(&self) -> Arc<dyn Cache> {
        self.cache.clone()
    }
}

#[async_trait]
impl PresenceHarness for OneProcess {
    async fn start() -> Self {
        Self::default()
    }

    async fn open(&self) -> Arc<dyn Presence> {
        self.presence.clone()
    }
}

mod signal {
    lobar_testkit::signal_contract!(super::OneProcess);
}

mod cache {
    lobar_testkit::cache_contract!(super::OneProcess);
}

mod presence {
    lobar_testkit::presence_contract!(super::OneProcess);
}
