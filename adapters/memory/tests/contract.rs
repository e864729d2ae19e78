//! The contracts of the signal, the cache and the roster, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use lobar_adapters::opener::Opener;
use lobar_core::cache::Cache;
use lobar_core::roster::Roster;
use lobar_core::signal::Signal;
use lobar_core::time::SystemClock;
use lobar_tests::contract::cache::CacheHarness;
use lobar_tests::contract::roster::RosterHarness;
use lobar_tests::contract::signal::SignalHarness;

struct OneProcess(Opener);

impl OneProcess {
    fn new() -> Self {
        Self(Opener::new(Arc::new(SystemClock)))
    }
}

#[async_trait]
impl SignalHarness for OneProcess {
    const FLOOD: usize = 100_000;

    async fn start() -> Self {
        Self::new()
    }

    async fn open(&self) -> Arc<dyn Signal> {
        self.0.signal("signal", "memory:").expect("a signal")
    }
}

#[async_trait]
impl CacheHarness for OneProcess {
    async fn start() -> Self {
        Self::new()
    }

    async fn open(&self) -> Arc<dyn Cache> {
        self.0.cache("signal", "memory:").expect("opens").expect("a cache")
    }
}

#[async_trait]
impl RosterHarness for OneProcess {
    async fn start() -> Self {
        Self::new()
    }

    async fn open(&self) -> Arc<dyn Roster> {
        self.0.roster("signal", "memory:").expect("opens").expect("a roster")
    }
}

mod signal {
    lobar_tests::signal_contract!(super::OneProcess);
}

mod cache {
    lobar_tests::cache_contract!(super::OneProcess);
}

mod roster {
    lobar_tests::roster_contract!(super::OneProcess);
}

#[test]
fn without_a_service_between_processes_there_is_no_cache_and_no_roster() {
    let opener = OneProcess::new().0;
    assert!(opener.cache("signal", "poll:").expect("opens").is_none());
    assert!(opener.roster("signal", "poll:").expect("opens").is_none());
    for refused in [
        opener.cache("signal", "valkyrie://user:secret@host").err(),
        opener.roster("signal", "valkyrie://user:secret@host").err(),
        opener.signal("signal", "redis://user:secret@").err(),
    ] {
        let text = refused.expect("refused").to_string();
        assert!(text.contains("signal") && !text.contains("secret"), "{text}");
    }
}
