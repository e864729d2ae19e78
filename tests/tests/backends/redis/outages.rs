//! What each part does while Redis is away.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::BoxStream;
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_testkit::services::redis::{self, RedisServer};
use lobar_tests::rig::Rig;

use super::fixture::{PATIENCE, Page, finish, signal, version};

async fn hears(changes: &mut BoxStream<'static, ()>, within: Duration) -> bool {
    matches!(tokio::time::timeout(within, changes.next()).await, Ok(Some(())))
}

/// Reads what comes without having been asked for, until there is a second of silence.
async fn silence(changes: &mut BoxStream<'static, ()>) {
    let began = Instant::now();
    while hears(changes, Duration::from_secs(1)).await {
        assert!(began.elapsed() < PATIENCE, "it does not fall silent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_starts_before_redis_looks_by_itself_and_then_hears() {
    let redis = RedisServer::start().await;
    redis.stop();
    let mut changes = signal(redis.address).subscribe().await.expect("no start is prevented");
    for _ in 0..8 {
        assert!(hears(&mut changes, PATIENCE).await, "it looks again and again");
    }
    redis.restart().await;
    silence(&mut changes).await;
    signal(redis.address).publish().await.expect("published");
    assert!(hears(&mut changes, PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_cut_off_hears_something_when_it_is_back() {
    let proxy = Proxy::open(redis::shared().await.address).await;
    let mut changes = signal(proxy.address).subscribe().await.expect("subscribed");
    for _ in 0..3 {
        silence(&mut changes).await;
        proxy.cut();
        // Nobody published: this is the new connection, or a look before it.
        assert!(hears(&mut changes, PATIENCE).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_notices_that_nothing_passes_any_more() {
    let proxy = Proxy::open(redis::shared().await.address).await;
    let mut changes = signal(proxy.address).subscribe().await.expect("subscribed");
    silence(&mut changes).await;
    proxy.set(Weather::Blackhole);
    for _ in 0..4 {
        assert!(hears(&mut changes, PATIENCE).await, "it looks by itself");
    }
    proxy.set(Weather::Fair);
    silence(&mut changes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_ends_with_its_subscriber() {
    let redis = RedisServer::start().await;
    let client = ::redis::Client::open(redis.url()).expect("a client");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
    let mut clients = async || {
        let list = ::redis::cmd("CLIENT").arg("LIST").to_owned();
        let list: String = list.query_async(&mut connection).await.expect("answers");
        list.lines().filter(|line| line.contains("sub=1")).count()
    };
    let changes = signal(redis.address).subscribe().await.expect("subscribed");
    let began = Instant::now();
    while clients().await != 1 {
        assert!(began.elapsed() < PATIENCE, "it is not connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(changes);
    while clients().await != 0 {
        assert!(began.elapsed() < PATIENCE, "it stays connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_fails_soon_whatever_is_wrong_and_works_again_after_it() {
    let proxy = Proxy::open(redis::shared().await.address).await;
    let signal = signal(proxy.address);
    for weather in [Weather::Down, Weather::Blackhole, Weather::Slow(Duration::from_secs(30))] {
        proxy.set(weather);
        // Broken or not, no connection outlives this.
        let began = Instant::now();
        let mut failed = 0;
        for _ in 0..300 {
            failed += u32::from(signal.publish().await.is_err());
        }
        // Each alone would take a tenth of a second.
        assert!(began.elapsed() < Duration::from_secs(15), "{weather:?}: {:?}", began.elapsed());
        assert_eq!(failed, 300, "{weather:?}");
        proxy.set(Weather::Fair);
        let began = Instant::now();
        while signal.publish().await.is_err() {
            assert!(began.elapsed() < PATIENCE, "{weather:?}: it does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_starts_without_redis_and_shows_what_the_store_has() {
    let redis = RedisServer::start().await;
    redis.stop();
    let rig = Rig::open().await;
    let page = Page::open(&rig, redis.address).await;
    let id = finish(&*rig.store, version("incoming/north/a.jpg", 1)).await;
    for _ in 0..3 {
        assert_eq!(page.status(&id.to_string()).await, "ready");
    }
    assert!(page.lookups("error").await >= 3);
    assert_eq!(page.lookups("hit").await, 0);
    redis.restart().await;
    super::fixture::until("the cache is used", async || {
        assert_eq!(page.status(&id.to_string()).await, "ready");
        page.lookups("hit").await > 0
    })
    .await;
}
