//! T4: the broker away, the connection cut or silent.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::queue::Queue;
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_testkit::services::rabbitmq::RabbitMq;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::account::Account;
use crate::{Process, breakable};

/// A moment in which some messages travel.
async fn a_moment(random: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(random.random_range(200..1_500))).await;
}

async fn processes(url: &str) -> (Vec<Process>, Vec<Arc<dyn Queue>>) {
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::open(url).await);
    }
    let handles = processes.iter().map(|process| process.queue.clone()).collect();
    (processes, handles)
}

async fn close(processes: Vec<Process>) {
    for process in processes {
        process.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_broker_is_restarted_again_and_again() {
    let broker = breakable().await;
    for seed in 0..2 {
        let mut random = StdRng::seed_from_u64(seed);
        let url = format!("{}?prefix={}&heartbeat=4", broker.url(), broker.prefix());
        let (processes, handles) = processes(&url).await;
        let account = Account::open(&handles, seed);
        for _ in 0..3 {
            account.until_it_goes_on().await;
            a_moment(&mut random).await;
            if random.random_bool(0.5) {
                broker.stop().await;
            } else {
                broker.kill().await;
            }
            a_moment(&mut random).await;
            broker.start_again().await;
        }
        account.until_it_goes_on().await;
        account.close(&format!("restarts, seed {seed}")).await.assert_sound();
        close(processes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_connections_are_cut_slow_and_silent() {
    let broker = RabbitMq::shared().await;
    for seed in 0..3 {
        let mut random = StdRng::seed_from_u64(seed);
        let proxy = Proxy::open(broker.address()).await;
        let through = broker.url_through(proxy.address);
        let url = format!("{through}?prefix={}&heartbeat=2", broker.prefix());
        let (processes, handles) = processes(&url).await;
        let account = Account::open(&handles, seed);
        for fault in 0..6 {
            account.until_it_goes_on().await;
            a_moment(&mut random).await;
            match (fault + seed) % 6 {
                0 | 3 => proxy.cut(),
                1 => proxy.set(Weather::Down),
                2 => proxy.set(Weather::Slow(Duration::from_millis(20))),
                4 => proxy.set(Weather::Truncate(random.random_range(1..5_000))),
                _ => {
                    // Longer than two heartbeats: both ends give the connection up.
                    proxy.set(Weather::Blackhole);
                    tokio::time::sleep(Duration::from_secs(6)).await;
                }
            }
            a_moment(&mut random).await;
            proxy.set(Weather::Fair);
        }
        account.until_it_goes_on().await;
        account.close(&format!("connections, seed {seed}")).await.assert_sound();
        close(processes).await;
    }
}
