//! Several receivers on one queue, and a subscription that goes silent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lobar_core::queue::Settlement;
use lobar_core::time::SystemClock;
use lobar_testkit::services::rabbitmq::RabbitMq;

use crate::{LEASE, Process, SOON, bodies, url_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_holds_grows_with_what_it_asks_for() {
    const MESSAGES: usize = 400;
    let broker = RabbitMq::shared().await;
    let process = Process::open(&url_of(broker).0).await;
    let numbers: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
    process.send(&numbers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut held = Vec::new();
    for step in (1..).map(|step| step * 3) {
        if held.len() == MESSAGES {
            break;
        }
        held.extend(process.take(step.min(MESSAGES - held.len())).await);
    }
    assert_eq!(bodies(&held).len(), MESSAGES);
    assert!(held.iter().all(|delivery| delivery.receive_count == 1));
    let depth = process.queue.depth().await.expect("depth");
    assert_eq!((depth.in_flight, depth.ready), (MESSAGES as u64, 0));
    // Every second one, and then the others: acknowledgements in no order.
    let (odd, even): (Vec<_>, Vec<_>) = held.into_iter().enumerate().partition(|(n, _)| n % 2 == 1);
    for half in [odd, even] {
        let done = half.into_iter().map(|(_, one)| (one.receipt, Settlement::Done)).collect();
        assert!(process.queue.settle(done).await.iter().all(Result::is_ok));
    }
    process.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_idle_receiver_was_sent_goes_to_another_uncounted() {
    let broker = RabbitMq::shared().await;
    let (url, _) = url_of(broker);
    let (idle, busy) = (Process::open(&url).await, Process::open(&url).await);
    idle.send(&["held"]).await;
    // It asks for more than there is, so that it has room left, and does not come back.
    let held = idle.queue.receive(8, SOON, LEASE).await.expect("received").remove(0);
    idle.send(&["a", "b", "c", "d"]).await;
    let taken = busy.take(4).await;
    assert_eq!(bodies(&taken), ["a", "b", "c", "d"].map(String::from).into());
    assert!(
        taken.iter().all(|delivery| delivery.receive_count == 1),
        "nobody received them before"
    );
    idle.settle(&held.receipt, Settlement::Done).await.expect("its lease is still held");
    idle.close().await;
    busy.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_nobody_leaves_with_its_process() {
    let broker = RabbitMq::shared().await;
    let (url, _) = url_of(broker);
    let (leaving, staying) = (Process::open(&url).await, Process::open(&url).await);
    leaving.send(&["leased"]).await;
    let leased = leaving.queue.receive(8, SOON, LEASE).await.expect("received").remove(0);
    leaving.send(&["waiting"]).await;
    leaving.close().await;
    for delivery in staying.take(2).await {
        let was_leased = delivery.body == leased.body;
        assert_eq!(delivery.receive_count, if was_leased { 2 } else { 1 });
    }
    staying.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handles_of_one_process_are_one_queue() {
    let broker = RabbitMq::shared().await;
    let (url, _) = url_of(broker);
    let process = Process::open(&url).await;
    let other = process.brokers.queue(&url, "jobs", Arc::new(SystemClock)).await.expect("a queue");
    process.send(&["a"]).await;
    let taken = other.receive(1, SOON, LEASE).await.expect("received").remove(0);
    process.settle(&taken.receipt, Settlement::Done).await.expect("settled");
    process.close().await;
    assert!(other.receive(1, Duration::ZERO, LEASE).await.is_err(), "it is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_goes_silent_is_noticed() {
    let broker = RabbitMq::shared().await;
    let (url, prefix) = url_of(broker);
    let process = Process::open(&url).await;
    let queue = process.queue.clone();
    let started = Instant::now();
    let waiting =
        tokio::spawn(async move { queue.receive(1, Duration::from_secs(120), LEASE).await });
    let subscribed = format!("length(rabbit_amqqueue:consumers(Q)) =:= {}", 1);
    let eval = async |then: String| {
        let name = format!("{prefix}.jobs");
        let lookup =
            format!("rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{name}\">>))");
        broker.ctl(&["eval", &format!("{{ok, Q}} = {lookup}, {then}.")]).await
    };
    while !eval(subscribed.clone()).await.contains("true") {
        assert!(started.elapsed() < SOON, "it subscribes");
    }
    // The queue forgets its consumer, and tells neither the channel nor us.
    eval(
        "[{ok, _, _} = ra:process_command(amqqueue:get_pid(Q), \
          rabbit_fifo:make_checkout({element(2, C), element(1, C)}, cancel, #{})) \
          || C <- rabbit_amqqueue:consumers(Q)]"
            .into(),
    )
    .await;
    assert!(eval(subscribed).await.contains("false"), "it is gone");
    process.send(&["a"]).await;
    let taken = waiting.await.expect("the receiver").expect("received");
    assert_eq!(taken.len(), 1);
    println!("noticed after {:?}", started.elapsed());
    process.close().await;
}
