//! What the queue's adapter does beyond the contract: two processes on one queue, and SQS on a bad day.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use lobar_core::failure::PortError;
use lobar_core::queue::{Delivery, LeaseError, Outgoing, Queue, Receipt, Settlement};
use lobar_core::time::{Clock, ManualClock, SystemClock};
use lobar_sqs::{SqsOptions, SqsQueue};
use lobar_testkit::services::http_proxy::{
    Fault, HttpProxy, Response, edit_messages, fail_entries,
};
use lobar_testkit::services::ministack::{self, MiniStack, Queues};
use serde_json::{Value, json};

use crate::{options, queue, queue_with};

const LEASE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(10);

/// A queue behind a proxy.
async fn behind() -> (Queues, HttpProxy, Arc<SqsQueue>) {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(100).await;
    let proxy = HttpProxy::open(ministack.port).await;
    let queue = queue(&queues.name, proxy.url()).await;
    (queues, proxy, queue)
}

async fn send(queue: &SqsQueue, bodies: &[&str]) {
    let messages = bodies.iter().map(|body| Outgoing::now(body.as_bytes().to_vec())).collect();
    for sent in queue.send(messages).await {
        sent.expect("sent");
    }
}

async fn take(queue: &SqsQueue, count: usize) -> Vec<Delivery> {
    take_for(queue, count, LEASE).await
}

async fn take_for(queue: &SqsQueue, count: usize, lease: Duration) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let more = queue.receive(count - taken.len(), SOON, lease).await.expect("received");
        assert!(!more.is_empty(), "{} of {count} messages came in time", taken.len());
        taken.extend(more);
    }
    taken.sort_by(|one, other| one.body.cmp(&other.body));
    taken
}

async fn nothing(queue: &SqsQueue) -> bool {
    queue.receive(10, Duration::ZERO, LEASE).await.expect("received").is_empty()
}

async fn settle(
    queue: &SqsQueue,
    delivery: &Delivery,
    settlement: Settlement,
) -> Result<(), LeaseError> {
    queue.settle(vec![(delivery.receipt.clone(), settlement)]).await.remove(0)
}

fn lost(answer: &Result<(), LeaseError>) -> bool {
    matches!(answer, Err(LeaseError::Lost))
}

fn transient(answer: &Result<(), LeaseError>) -> bool {
    matches!(answer, Err(LeaseError::Port(error)) if error.is_transient())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_only_the_one_whose_lease_lasts_settles() {
    let (queues, _proxy, one) = behind().await;
    let other = queue(&queues.name, ministack::shared().await.url()).await;
    send(&one, &["a"]).await;
    let first = take_for(&one, 1, Duration::from_secs(1)).await.remove(0);
    let second = take(&other, 1).await.remove(0);
    assert_eq!((first.receive_count, second.receive_count), (1, 2));
    assert_eq!(first.sent_at, second.sent_at);
    assert!(lost(&one.extend(std::slice::from_ref(&first.receipt), LEASE).await[0]));
    for settlement in [Settlement::Done, Settlement::Release] {
        assert!(lost(&settle(&one, &first, settlement).await));
    }
    assert!(lost(&settle(&one, &second, Settlement::Done).await), "another process's receipt");
    settle(&other, &second, Settlement::Done).await.expect("its lease is unharmed");
    assert!(nothing(&one).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receive_asks_for_a_long_poll_the_lease_and_what_is_known_of_a_message() {
    let (_, proxy, queue) = behind().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    proxy.rule(move |request| {
        seen.lock().expect("whole").push(request.json());
        Fault::Answer(Response::sqs(200, ""))
    });
    let _ = tokio::time::timeout(
        Duration::from_secs(2),
        queue.receive(64, Duration::from_secs(60), Duration::from_millis(29_500)),
    )
    .await;
    let asked = asked.lock().expect("whole").first().cloned().expect("a request");
    assert_eq!(asked["WaitTimeSeconds"], 20);
    assert_eq!(asked["VisibilityTimeout"], 30);
    assert_eq!(asked["MaxNumberOfMessages"], 10);
    let names =
        json!(["ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp"]);
    assert_eq!(asked["MessageSystemAttributeNames"], names);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_may_last_longer_than_any_other_request() {
    let (queues, proxy, _) = behind().await;
    let second = Duration::from_secs(1);
    let queue =
        queue_with(&queues.name, proxy.url(), |options| options.attempt_timeout = second).await;
    let receiver = queue.clone();
    let waiting = tokio::spawn(async move { receiver.receive(1, LEASE, LEASE).await });
    tokio::time::sleep(second * 3).await;
    send(&queue, &["a"]).await;
    assert_eq!(waiting.await.expect("no panic").expect("received").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_twice_is_delivered_once_under_its_newest_receipt() {
    let (_, proxy, queue) = behind().await;
    send(&queue, &["a"]).await;
    proxy.rule(|request| match request.action() {
        "ReceiveMessage" => edit_messages(|messages| {
            let mut older = messages[0].clone();
            older["ReceiptHandle"] = json!("older");
            messages.insert(0, older);
        }),
        _ => Fault::Pass,
    });
    let taken = queue.receive(10, SOON, LEASE).await.expect("received");
    assert_eq!(taken.len(), 1);
    assert!(queue.extend(&[taken[0].receipt.clone()], LEASE).await[0].is_ok(), "the newer handle");
    proxy.fair();

    // Again later, although its lease goes on: SQS delivers at least once.
    let sqs = ministack::shared().await.sqs().await;
    let again = Arc::new(Mutex::new(None));
    let copy = again.clone();
    proxy.rule(move |request| match request.action() {
        "ChangeMessageVisibilityBatch" => {
            let mut asked = request.json();
            asked["Entries"][0]["VisibilityTimeout"] = json!(0);
            *copy.lock().expect("whole") = Some(asked["QueueUrl"].clone());
            request.set_json(&asked);
            Fault::Pass
        }
        _ => Fault::Pass,
    });
    assert!(queue.extend(&[taken[0].receipt.clone()], LEASE).await[0].is_ok());
    let newer = take(&queue, 1).await.remove(0);
    assert_eq!(newer.receive_count, 2);
    proxy.fair();
    assert!(lost(&queue.extend(&[taken[0].receipt.clone()], LEASE).await[0]));
    assert!(lost(&settle(&queue, &taken[0], Settlement::Done).await));
    settle(&queue, &newer, Settlement::Done).await.expect("the newest receipt");
    drop(sqs);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_that_fails_is_told_and_the_others_are_done() {
    let (_, proxy, queue) = behind().await;
    let failing = |action: &'static str| {
        let turn = AtomicU32::new(0);
        move |request: &mut lobar_testkit::services::http_proxy::Request| {
            if request.action() != action {
                return Fault::Pass;
            }
            fail_entries(request, "AccessDenied", true, || {
                turn.fetch_add(1, Ordering::Relaxed) % 5 == 1
            })
        }
    };
    let second_of_five = |n: usize| n % 5 == 1;
    proxy.rule(failing("SendMessageBatch"));
    let sent = queue.send((10..35).map(|n| Outgoing::now(n.to_string())).collect()).await;
    assert_eq!(sent.iter().filter(|one| one.is_err()).count(), 5);
    proxy.fair();
    let taken = take(&queue, 20).await;
    let receipts: Vec<Receipt> = taken.iter().map(|one| one.receipt.clone()).collect();

    proxy.rule(failing("ChangeMessageVisibilityBatch"));
    let extended = queue.extend(&receipts[..5], LEASE).await;
    for (place, one) in extended.iter().enumerate() {
        assert_eq!(one.is_err(), second_of_five(place), "{place}: {one:?}");
    }
    proxy.rule(failing("DeleteMessageBatch"));
    let done = receipts[..5].iter().map(|one| (one.clone(), Settlement::Done)).collect();
    for (place, one) in queue.settle(done).await.iter().enumerate() {
        assert_eq!(one.is_err(), second_of_five(place), "{place}: {one:?}");
    }
    proxy.fair();
    assert_eq!(queue.depth().await.expect("answers").in_flight, 16);
    settle(&queue, &taken[1], Settlement::Done).await.expect("may be tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_of_calls_and_of_entries_is_waited_out() {
    let (_, proxy, queue) = behind().await;
    let turn = AtomicU32::new(0);
    let whole = AtomicU32::new(0);
    proxy.rule(move |request| {
        // Every other call as a whole, and then every other entry of the rest.
        if whole.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return Fault::Answer(Response::sqs(400, "RequestThrottled"));
        }
        fail_entries(request, "RequestThrottled", false, || {
            turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
        })
    });
    send(&queue, &["a", "b", "c"]).await;
    let taken = take(&queue, 3).await;
    let receipts: Vec<Receipt> = taken.iter().map(|one| one.receipt.clone()).collect();
    assert!(queue.extend(&receipts, LEASE).await.iter().all(Result::is_ok));
    let done = receipts.into_iter().map(|one| (one, Settlement::Done)).collect();
    assert!(queue.settle(done).await.iter().all(Result::is_ok));
    proxy.fair();
    assert_eq!(queue.depth().await.expect("answers"), lobar_core::queue::Depth::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_sqs_is_transient_and_says_nothing_of_bodies() {
    let (_, proxy, queue) = behind().await;
    send(&queue, &["secret name"]).await;
    let taken = take(&queue, 1).await;
    proxy.rule(|_| Fault::Answer(Response::sqs(503, "ServiceUnavailable")));
    let failed = queue.send(vec![Outgoing::now("secret name")]).await.remove(0);
    let failed = failed.expect_err("nothing answers");
    assert!(failed.is_transient());
    let text = format!("{failed} {failed:?}");
    assert!(text.contains("503") && !text.contains("secret"), "{text}");
    assert!(queue.receive(1, Duration::ZERO, LEASE).await.is_err_and(|error| error.is_transient()));
    assert!(queue.depth().await.is_err_and(|error| error.is_transient()));
    assert!(transient(&queue.extend(&[taken[0].receipt.clone()], LEASE).await[0]));
    assert!(transient(&settle(&queue, &taken[0], Settlement::Done).await));
    proxy.fair();
    settle(&queue, &taken[0], Settlement::Done).await.expect("it may be tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_already_is_deleted() {
    let (queues, proxy, queue) = behind().await;
    send(&queue, &["a"]).await;
    let taken = take(&queue, 1).await;
    // SQS does it, but its answer is lost on the way: the SDK asks again.
    let turn = AtomicU32::new(0);
    proxy.rule(move |request| match request.action() {
        "DeleteMessageBatch" if turn.fetch_add(1, Ordering::Relaxed) == 0 => Fault::Lose,
        _ => Fault::Pass,
    });
    settle(&queue, &taken[0], Settlement::Done).await.expect("gone is gone");
    let left = ministack::shared().await.attributes(&queues.url).await;
    assert_eq!(left[&Attribute::ApproximateNumberOfMessagesNotVisible], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_sqs_no_longer_takes_is_a_lost_lease() {
    let (_, proxy, queue) = behind().await;
    send(&queue, &["a", "b", "c", "d"]).await;
    let taken = take(&queue, 4).await;
    for (delivery, code) in taken.iter().zip([
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
        "AWS.SimpleQueueService.MessageNotInflight",
    ]) {
        proxy.rule(move |request| fail_entries(request, code, true, || true));
        assert!(lost(&queue.extend(std::slice::from_ref(&delivery.receipt), LEASE).await[0]));
        proxy.fair();
        assert!(lost(&settle(&queue, delivery, Settlement::Done).await), "it stays lost");
    }
    proxy.rule(|request| fail_entries(request, "ReceiptHandleIsInvalid", true, || true));
    assert!(lost(&settle(&queue, &taken[3], Settlement::Retry { after: LEASE }).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_send_its_copy_loses_nothing() {
    let (_, proxy, queue) = behind().await;
    send(&queue, &["a"]).await;
    let taken = take(&queue, 1).await;
    proxy.rule(|request| match request.action() {
        "SendMessageBatch" => Fault::Answer(Response::sqs(500, "InternalError")),
        _ => Fault::Pass,
    });
    assert!(transient(&settle(&queue, &taken[0], Settlement::Release).await));
    assert!(transient(
        &settle(&queue, &taken[0], Settlement::Dead { reason: "garbage".into() }).await
    ));
    assert_eq!(queue.depth().await.expect("answers").in_flight, 1, "the original is there");
    proxy.fair();
    settle(&queue, &taken[0], Settlement::Release).await.expect("given back");
    let again = take(&queue, 1).await;
    assert_eq!((again[0].receive_count, again[0].sent_at), (1, taken[0].sent_at));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sending_is_not_allowed_a_release_is_counted_but_comes_back_at_once() {
    let (_, proxy, queue) = behind().await;
    send(&queue, &["a"]).await;
    proxy.rule(|request| match request.action() {
        "SendMessageBatch" => Fault::Answer(Response::sqs(403, "AccessDenied")),
        _ => Fault::Pass,
    });
    for count in 1..4 {
        let taken = take(&queue, 1).await.remove(0);
        assert_eq!(taken.receive_count, count);
        settle(&queue, &taken, Settlement::Release).await.expect("given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_where_sqs_ends_it_and_its_message_is_given_back() {
    let (queues, proxy, _) = behind().await;
    let longest = Duration::from_secs(8);
    let queue =
        queue_with(&queues.name, proxy.url(), |options| options.longest_lease = longest).await;
    send(&queue, &["a", "b"]).await;
    let taken = take_for(&queue, 2, Duration::from_secs(4)).await;
    let extend = async |place: usize, seconds: u64| {
        let receipt = taken[place].receipt.clone();
        queue.extend(&[receipt], Duration::from_secs(seconds)).await.remove(0)
    };
    assert!(extend(0, 5).await.is_ok());
    assert!(lost(&extend(0, 9).await), "beyond the end of all leases");
    let again = take(&queue, 1).await.remove(0);
    assert_eq!((&again.body[..], again.receive_count), (&b"a"[..], 1), "given back, uncounted");
    // A retry is cut to what is left.
    let asked = Arc::new(Mutex::new(Value::Null));
    let seen = asked.clone();
    proxy.rule(move |request| {
        *seen.lock().expect("whole") = request.json();
        Fault::Pass
    });
    settle(&queue, &taken[1], Settlement::Retry { after: LEASE }).await.expect("hidden");
    let asked = asked.lock().expect("whole")["Entries"][0]["VisibilityTimeout"].as_u64();
    assert!(asked.is_some_and(|seconds| (1..=8).contains(&seconds)), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_longer_than_sqs_knows_is_kept_and_costs_no_count() {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(100).await;
    let proxy = HttpProxy::open(ministack.port).await;
    let clock = ManualClock::new(SystemClock.now());
    let options = options(&queues.name, proxy.url());
    let queue = SqsQueue::open(options, Arc::new(clock.clone())).await.expect("a queue");
    // A quarter of an hour takes a second.
    let delays = Arc::new(Mutex::new(Vec::new()));
    let seen = delays.clone();
    proxy.rule(move |request| {
        if request.action() == "SendMessageBatch" {
            let mut asked = request.json();
            let delay = asked["Entries"][0]["DelaySeconds"].take();
            seen.lock().expect("whole").extend(delay.as_u64());
            asked["Entries"][0]["DelaySeconds"] = json!(1);
            request.set_json(&asked);
        }
        Fault::Pass
    });
    let hour = Duration::from_secs(3600);
    let sent_at = Instant::now();
    let late = Outgoing::later("late", hour);
    assert!(queue.send(vec![late]).await[0].is_ok());
    assert!(queue.receive(1, Duration::from_secs(4), LEASE).await.expect("received").is_empty());
    assert!(sent_at.elapsed() > Duration::from_secs(3), "it went around and around");
    clock.advance(hour - Duration::from_secs(100));
    while delays.lock().expect("whole").last() != Some(&100) {
        assert!(queue.receive(1, Duration::ZERO, LEASE).await.expect("received").is_empty());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    clock.advance(Duration::from_secs(100));
    let taken = queue.receive(1, SOON, LEASE).await.expect("received");
    assert_eq!((&taken[0].body[..], taken[0].receive_count), (&b"late"[..], 1));
    let delays = delays.lock().expect("whole");
    assert!(delays.len() >= 3 && delays[..2] == [900, 900], "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_receive_brings_is_given_back() {
    let (queues, _proxy, receiver) = behind().await;
    let other = queue(&queues.name, ministack::shared().await.url()).await;
    let poll = receiver.receive(10, Duration::from_secs(20), Duration::from_secs(3600));
    assert!(
        tokio::time::timeout(Duration::from_secs(1), poll).await.is_err(),
        "nothing to receive"
    );
    send(&other, &["a"]).await;
    receiver.close().await;
    let taken = take(&other, 1).await.remove(0);
    assert_eq!((&taken.body[..], taken.receive_count), (&b"a"[..], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused_for_good_and_its_neighbours_are_sent() {
    let (_, _proxy, queue) = behind().await;
    let large = vec![b'x'; (1 << 20) + 1];
    let half = vec![b'x'; 600_000];
    let messages = [large, half.clone(), half.clone(), half].map(Outgoing::now);
    let sent = queue.send(messages.into()).await;
    let refused = sent[0].as_ref().expect_err("too large");
    assert!(!refused.is_transient());
    assert!(refused.to_string().contains("1048577 bytes"), "{refused}");
    assert!(sent[1..].iter().all(Result::is_ok), "three that do not fit into one call");
    assert_eq!(queue.depth().await.expect("answers").ready, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_message_lies_in_the_dead_letter_queue_with_its_reason_as_others_read_it() {
    let (queues, _proxy, queue) = behind().await;
    send(&queue, &["{\"not\":\"understood\"}"]).await;
    let taken = take(&queue, 1).await.remove(0);
    let dead = Settlement::Dead { reason: "malformed".into() };
    settle(&queue, &taken, dead).await.expect("put aside");
    let sqs = ministack::shared().await.sqs().await;
    let receive = sqs.receive_message().queue_url(&queues.dead_url).message_attribute_names("All");
    let received = receive.send().await.expect("received");
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("{\"not\":\"understood\"}"));
    let attributes = message.message_attributes().expect("attributes");
    assert_eq!(attributes["lobar.reason"].string_value(), Some("malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqs_itself_puts_aside_counts_as_dead() {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(2).await;
    let queue = queue(&queues.name, ministack.url()).await;
    send(&queue, &["poison"]).await;
    for _ in 0..2 {
        let taken = take(&queue, 1).await.remove(0);
        let retry = Settlement::Retry { after: Duration::from_millis(1) };
        settle(&queue, &taken, retry).await.expect("hidden for a second");
    }
    let left = queue.receive(1, Duration::from_secs(3), LEASE).await.expect("received");
    assert!(left.is_empty());
    let depth = queue.depth().await.expect("answers");
    assert_eq!((depth.dead, depth.ready + depth.in_flight), (1, 0));
}

async fn refused(ministack: &MiniStack, name: &str) -> PortError {
    let mut options: SqsOptions = options(name, ministack.url());
    options.attempts = 1;
    let refused = SqsQueue::open(options, Arc::new(SystemClock)).await.err().expect("refused");
    assert!(!refused.is_transient(), "{refused}");
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_work_is_refused_at_once_with_what_to_do() {
    let ministack = ministack::shared().await;
    let missing = refused(ministack, "nobody-made-this").await.to_string();
    assert!(missing.contains("no queue nobody-made-this") && missing.contains("make it"));
    let sqs = ministack.sqs().await;
    let name = format!("alone-{}", uuid::Uuid::new_v4().simple());
    sqs.create_queue().queue_name(&name).send().await.expect("made");
    let alone = refused(ministack, &name).await.to_string();
    assert!(alone.contains("no dead-letter queue") && alone.contains("RedrivePolicy"), "{alone}");
    let fifo = refused(ministack, "ordered.fifo").await.to_string();
    assert!(fifo.contains("standard queue"), "{fifo}");

    let away = options("q", "http://127.0.0.1:1".to_owned());
    let away = SqsOptions { attempts: 1, ..away };
    let away = SqsQueue::open(away, Arc::new(SystemClock)).await.err().expect("refused");
    assert!(away.is_transient(), "{away}");
}
