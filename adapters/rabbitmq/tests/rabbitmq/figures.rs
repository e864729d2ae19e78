//! How fast it is. Nothing is asserted about time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::queue::{Outgoing, Settlement};
use lobar_core::time::SystemClock;
use lobar_rabbitmq::RabbitBrokers;
use lobar_testkit::services::rabbitmq::RabbitMq;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_s_whole_cycle() {
    let broker = RabbitMq::shared().await;
    let started = Instant::now();
    let brokers = RabbitBrokers::default();
    let url = format!("{}?prefix={}", broker.url(), broker.prefix());
    let queue = brokers.queue(&url, "jobs", Arc::new(SystemClock)).await.expect("a queue");
    println!("declared in {:?}", started.elapsed());
    let started = Instant::now();
    let again = RabbitBrokers::default();
    again.queue(&url, "jobs", Arc::new(SystemClock)).await.expect("a queue");
    println!("declared again in {:?}", started.elapsed());
    let started = Instant::now();
    queue.depth().await.expect("depth");
    println!("depth in {:?}", started.elapsed());
    let started = Instant::now();
    queue.depth().await.expect("depth");
    println!("depth again in {:?}", started.elapsed());
    again.close().await;

    for (batch, messages) in [(1, 300), (16, 4_000), (64, 10_000)] {
        let started = Instant::now();
        let sender = {
            let queue = queue.clone();
            async move {
                for _ in 0..messages / batch {
                    let batch = (0..batch).map(|_| Outgoing::now(vec![b'x'; 200])).collect();
                    assert!(queue.send(batch).await.iter().all(Result::is_ok));
                }
            }
        };
        let receiver = {
            let queue = queue.clone();
            async move {
                let mut received = 0;
                while received < (messages / batch * batch) as usize {
                    let wait = Duration::from_secs(10);
                    let taken = queue.receive(batch as usize, wait, Duration::from_secs(60)).await;
                    let taken = taken.expect("received");
                    received += taken.len();
                    let done =
                        taken.into_iter().map(|one| (one.receipt, Settlement::Done)).collect();
                    assert!(queue.settle(done).await.iter().all(Result::is_ok));
                }
            }
        };
        tokio::join!(sender, receiver);
        let took = started.elapsed();
        let rate = f64::from(messages) / took.as_secs_f64();
        println!("batches of {batch}: {rate:.0} messages a second");
    }
    brokers.close().await;
}
