//! The contracts of the signal, the cache and presence, on Redis.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::cache::Cache;
use lobar_core::presence::Presence;
use lobar_core::signal::Signal;
use lobar_redis::{RedisCache, RedisPresence, RedisSignal};
use lobar_testkit::contract::cache::CacheHarness;
use lobar_testkit::contract::presence::PresenceHarness;
use lobar_testkit::contract::signal::SignalHarness;
use lobar_testkit::services::redis;

/// Roles give up on Redis within milliseconds; a busy machine may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database of its own, that each handle reaches as another process would.
struct Database(String);

impl Database {
    async fn new() -> Self {
        Self(redis::shared().await.url())
    }
}

#[async_trait]
impl SignalHarness for Database {
    const FLOOD: usize = 3_000;

    async fn start() -> Self {
        Self::new().await
    }

    async fn open(&self) -> Arc<dyn Signal> {
        Arc::new(RedisSignal::open(&self.0).expect("a signal").within(PATIENCE))
    }
}

#[async_trait]
impl CacheHarness for Database {
    async fn start() -> Self {
        Self::new().await
    }

    async fn open(&self) -> Arc<dyn Cache> {
        Arc::new(RedisCache::open(&self.0).expect("a cache").within(PATIENCE))
    }
}

#[async_trait]
impl PresenceHarness for Database {
    async fn start() -> Self {
        let database = Self::new().await;
        // One that has run for a while: it could not know who is there before that.
        let client = ::redis::Client::open(database.0.as_str()).expect("a client");
        let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
        let set = ::redis::cmd("SET").arg("lobar:roster:since").arg(0).to_owned();
        set.exec_async(&mut connection).await.expect("set");
        database
    }

    async fn open(&self) -> Arc<dyn Presence> {
        Arc::new(RedisPresence::open(&self.0).expect("a presence service").within(PATIENCE))
    }
}

mod signal {
    lobar_testkit::signal_contract!(super::Database);
}

mod cache {
    lobar_testkit::cache_contract!(super::Database);
}

mod presence {
    lobar_testkit::presence_contract!(super::Database);
}

#[tokio::test]
async fn databases_of_one_server_do_not_hear_each_other() {
    use futures::StreamExt;
    let (one, other) = (Database::new().await, Database::new().await);
    let here = SignalHarness::open(&one).await;
    let mut changes = here.subscribe().await.expect("subscribed");
    let next = async |changes: &mut futures::stream::BoxStream<'static, ()>, wait: u64| {
        tokio::time::timeout(Duration::from_millis(wait), changes.next()).await.is_ok()
    };
    assert!(next(&mut changes, 20_000).await, "once after connecting");
    while next(&mut changes, 600).await {}
    SignalHarness::open(&other).await.publish().await.expect("published");
    here.publish().await.expect("published");
    assert!(next(&mut changes, 20_000).await);
    assert!(!next(&mut changes, 600).await, "one publication, not two");
}
