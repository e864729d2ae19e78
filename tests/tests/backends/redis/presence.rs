//! Workers while Redis is away: unknown, not zero.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::presence::{Presence, WorkerLoad};
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use lobar_testkit::services::proxy::Weather;
use lobar_testkit::services::redis::RedisServer;
use lobar_tests::rig::Rig;
use serde_json::Value;
use uuid::Uuid;

use super::fixture::{Page, until};

/// Announces a worker every two seconds for as long as the test runs.
fn work(presence: Arc<dyn Presence>, seconds_per_image: f64) {
    tokio::spawn(async move {
        let worker = Uuid::new_v4();
        let seconds_per_image = Some(seconds_per_image);
        let load = WorkerLoad { seconds_per_image, ..WorkerLoad::default() };
        loop {
            let _ = presence.heartbeat(worker, &load, Duration::from_secs(60)).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
}

async fn known(page: &Page, workers: Value) {
    until(&format!("{workers} workers are known"), async || {
        let figures = page.get("/v1/queues").await;
        let now = &figures["workers"];
        assert!(*now == 2 || now.is_null(), "not known is neither none nor some: {now}");
        *now == workers
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_are_unknown_while_redis_is_away_and_for_as_long_as_they_need_to_come_back() {
    let redis = RedisServer::start().await;
    let rig = Rig::open().await;
    let page = Page::open(&rig, redis.address).await;
    let opener = Opener::new(Arc::new(SystemClock));
    let url = format!("redis://{}/0", redis.address).parse().expect("a URL");
    for _ in 0..2 {
        let presence = opener.presence("signal", &url).expect("opens").expect("a presence service");
        work(presence, 0.1);
    }
    known(&page, 2.into()).await;
    let figures = page.get("/v1/queues").await;
    assert_eq!(figures["capacity_images_per_second"], 20.0);

    page.proxy.set(Weather::Blackhole);
    known(&page, Value::Null).await;
    assert_eq!(page.get("/v1/queues").await["workers_wanted"], 2, "what is, stays");
    page.proxy.set(Weather::Fair);
    known(&page, 2.into()).await;

    // A Redis that has forgotten everybody does not make them none.
    redis.kill();
    known(&page, Value::Null).await;
    redis.restart().await;
    known(&page, 2.into()).await;
}
