//! T4: the broker short of memory. It stops reading from connections that publish.

use std::time::{Duration, Instant};

use lobar_core::queue::{LeaseError, Outgoing, Settlement};

use crate::{LEASE, Process, SOON, breakable, url_of};

/// In which a call must answer, generously: it waits 10 s at most in each of its steps.
const BOUND: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_broker_refuses_what_is_sent_while_receiving_and_settling_go_on() {
    let broker = breakable().await;
    let (url, _) = url_of(&broker);
    let process = Process::open(&url).await;
    process.send(&["a", "b", "c", "d", "e", "f"]).await;
    let before = process.take(3).await;
    broker.starve(true).await;

    for round in 0..3 {
        let started = Instant::now();
        let sent =
            process.queue.send(vec![Outgoing::now(format!("blocked {round}"))]).await.remove(0);
        let error = sent.expect_err("the broker takes nothing");
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("memory"), "{error}");
        assert!(started.elapsed() < BOUND);
    }
    let later = process.take(3).await;
    for delivery in &later {
        process.settle(&delivery.receipt, Settlement::Done).await.expect("settled");
    }
    let held = &before[0].receipt;
    let refused = process.settle(held, Settlement::Retry { after: LEASE }).await;
    assert!(
        matches!(&refused, Err(LeaseError::Port(error)) if error.is_transient()),
        "a retry is a message to send: {refused:?}"
    );
    process.settle(held, Settlement::Done).await.expect("the lease is still held");

    broker.starve(false).await;
    let started = Instant::now();
    while process.queue.send(vec![Outgoing::now("after")]).await[0].is_err() {
        assert!(started.elapsed() < BOUND, "it takes messages again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    process.settle(&before[1].receipt, Settlement::Release).await.expect("released");
    // What was refused may have been on its way: at least once.
    let mut wanted = vec!["after".to_owned(), String::from_utf8_lossy(&before[1].body).into()];
    while !wanted.is_empty() {
        for delivery in process.queue.receive(5, SOON, LEASE).await.expect("received") {
            let body = String::from_utf8_lossy(&delivery.body).into_owned();
            assert!(wanted.contains(&body) || body.starts_with("blocked"), "{body}");
            wanted.retain(|one| *one != body);
        }
    }
    process.close().await;
}
