//! What the way over Redis costs, measured on request:
//! `cargo test --release -p lobar-tests --test backends redis::figures -- --ignored --nocapture --test-threads 1`

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::{Duration, Instant};

use lobar_testkit::services::redis::RedisServer;
use lobar_tests::kit::Follower;
use lobar_tests::rig::Rig;

use super::fixture::{Page, finish, signal, until, version};

const ROUNDS: usize = 200;

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", at(0.5), at(0.99), at(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn from_a_commit_to_the_event_in_a_client_s_hands_over_redis() {
    let redis = RedisServer::start().await;
    let rig = Rig::open().await;
    let page = Page::open(&rig, redis.address).await;
    let follower = Follower::follow(&page.base);
    let signal = signal(redis.address);
    let (mut published, mut shown) = (Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        let id = finish(&*rig.store, version(&format!("incoming/north/{n}"), 1)).await;
        let committed = Instant::now();
        signal.publish().await.expect("published");
        published.push(committed.elapsed());
        let id = id.to_string();
        until("it is shown", async || follower.results().contains_key(&id)).await;
        let seen = &follower.results()[&id][0];
        shown.push(seen.at.saturating_duration_since(committed));
    }
    show("publishing", published);
    show("commit to SSE event over Redis, through a proxy, idle", shown);
}
