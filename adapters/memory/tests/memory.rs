//! The contracts of the signal, the cache and the roster, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use lobar_core::cache::Cache;
use lobar_core::roster::Roster;
use lobar_core::signal::Signal;
use lobar_memory::{MemoryCache, MemoryRoster, MemorySignal};
use lobar_testkit::contract::cache::CacheHarness;
use lobar_testkit::contract::roster::RosterHarness;
use lobar_testkit::contract::signal::SignalHarness;

/// What one process has.
#[derive(Default)]
struct OneProcess {
    signal: Arc<MemorySignal>,
    cache: Arc<MemoryCache>,
    roster: Arc<MemoryRoster>,
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
impl RosterHarness for OneProcess {
    async fn start() -> Self {
        Self::default()
    }

    async fn open(&self) -> Arc<dyn Roster> {
        self.roster.clone()
    }
}

mod signal {
    lobar_testkit::signal_contract!(super::OneProcess);
}

mod cache {
    lobar_testkit::cache_contract!(super::OneProcess);
}

mod roster {
    lobar_testkit::roster_contract!(super::OneProcess);
}
