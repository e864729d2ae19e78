//! A server that swallows everything.

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
    let mut at_once = 0;
    for n in 0..300 {
        let asked = lobar_core::cache::Cache::get(&cache, ImageId(Uuid::from_u128(n))).await;
        let error = asked.expect_err("nothing passes");
        assert!(error.is_transient());
        // Those who wait are told how long; the others, that it is known to be away.
        at_once += usize::from(error.to_string().contains("away"));
    }
    assert!(at_once > 200, "only {at_once} of 300 did not wait");
}
