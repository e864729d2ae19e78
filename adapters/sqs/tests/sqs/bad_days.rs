//! SQS on a bad day: entries that fail, throttling, receipts that it no longer takes, what is not allowed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use lobar_core::queue::{Outgoing, Queue as _, Receipt, Settlement};
use lobar_testkit::services::http_proxy::{Fault, Response, edit_messages, fail_entries};
use lobar_testkit::services::ministack;
use serde_json::json;

use crate::queue::{LEASE, SOON, behind, lost, send, settle, take, transient};

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
