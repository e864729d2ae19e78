//! A server that swallows everything.

use std::time::{Duration, Instant};

use lobar_core::object::ImageId;
use lobar_redis::RedisCache;
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_testkit::services::redis;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_cache_is_an_error_soon_and_not_a_miss() {
    let proxy = Proxy::open(redis::shared().await.address).await;
    proxy.set(Weather::Blackhole);
    let url = format!("redis://{}/0", proxy.address);
    let cache = RedisCache::open(&url).expect("a cache");
    let began = Instant::now();
    for n in 0..300 {
        let asked = lobar_core::cache::Cache::get(&cache, ImageId(Uuid::from_u128(n))).await;
        assert!(asked.expect_err("nothing passes").is_transient());
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
