//! What the queue's adapter does beyond the contract: two processes on one queue, SQS's own bounds.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use lobar_core::failure::PortError;
use lobar_core::queue::{Delivery, LeaseError, Outgoing, Queue as _, Settlement};
use lobar_core::time::{Clock as _, ManualClock, SystemClock};
use lobar_sqs::{SqsOptions, SqsQueue};
use lobar_testkit::services::http_proxy::{Fault, HttpProxy, Response};
use lobar_testkit::services::ministack::{self, MiniStack, Queues};
use serde_json::{Value, json};

use crate::{options, queue, queue_with};

pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A queue behind a proxy.
pub(crate) async fn behind() -> (Queues, HttpProxy, Arc<SqsQueue>) {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(100).await;
    let proxy = HttpProxy::open(ministack.port).await;
    let queue = queue(&queues.name, proxy.url()).await;
    (queues, proxy, queue)
}

pub(crate) async fn send(queue: &SqsQueue, bodies: &[&str]) {
    let messages = bodies.iter().map(|body| Outgoing::now(body.as_bytes().to_vec())).collect();
    for sent in queue.send(messages).await {
        sent.expect("sent");
    }
}

pub(crate) async fn take(queue: &SqsQueue, count: usize) -> Vec<Delivery> {
    take_for(queue, count, LEASE).await
}

pub(crate) async fn take_for(queue: &SqsQueue, count: usize, lease: Duration) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let more = queue.receive(count - taken.len(), SOON, lease).await.expect("received");
        assert!(!more.is_empty(), "{} of {count} messages came in time", taken.len());
        taken.extend(more);
    }
    taken.sort_by(|one, other| one.body.cmp(&other.body));
    taken
}

pub(crate) async fn nothing(queue: &SqsQueue) -> bool {
    queue.receive(10, Duration::ZERO, LEASE).await.expect("received").is_empty()
}

pub(crate) async fn settle(
    queue: &SqsQueue,
    delivery: &Delivery,
    settlement: Settlement,
) -> Result<(), LeaseError> {
    queue.settle(vec![(delivery.receipt.clone(), settlement)]).await.remove(0)
}

pub(crate) fn lost(answer: &Result<(), LeaseError>) -> bool {
    matches!(answer, Err(LeaseError::Lost))
}

pub(crate) fn transient(answer: &Result<(), LeaseError>) -> bool {
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
    let names = json!([
        "ApproximateReceiveCount",
        "SentTimestamp",
        "MessageGroupId",
        "ApproximateFirstReceiveTimestamp"
    ]);
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

/// The groups of all messages that lie on a queue, as others read them; one that lies there twice once.
async fn groups(url: &str) -> Vec<String> {
    let sqs = ministack::shared().await.sqs().await;
    let every = MessageSystemAttributeName::All;
    let receive = sqs.receive_message().queue_url(url).message_system_attribute_names(every);
    let receive = receive.visibility_timeout(0).max_number_of_messages(10);
    let received = receive.send().await.expect("received");
    let of = |message: &Message| {
        message.attributes()?.get(&MessageSystemAttributeName::MessageGroupId).cloned()
    };
    received.messages().iter().map(|one| of(one).unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_of_a_message_is_sqs_s_message_group_and_stays_with_every_copy_of_it() {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(100).await;
    let queue = queue(&queues.name, ministack.url()).await;
    let grouped = Outgoing::now("a").of_group(Some("north".into()));
    queue.send(vec![grouped]).await.remove(0).expect("sent");
    assert_eq!(groups(&queues.url).await, ["north"]);
    let taken = take(&queue, 1).await.remove(0);
    settle(&queue, &taken, Settlement::Release).await.expect("released");
    let taken = take(&queue, 1).await.remove(0);
    let dead = Settlement::Dead { reason: "malformed".into() };
    settle(&queue, &taken, dead).await.expect("put aside");
    assert_eq!(groups(&queues.dead_url).await, ["north"]);
    assert_eq!(queue.redrive(1).await.expect("redriven"), 1);
    assert_eq!(groups(&queues.url).await, ["north"]);
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
