//! The event stream: nothing missing, nothing twice, nothing out of order.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::position::Position;
use serde_json::Value;

use crate::fixture::{Fixture, blank, eventually, new_image, ready};
use crate::sse::ImageEvent;

fn keys(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("incoming/north/{of}-{n}.jpg")).collect()
}

/// The number of the event of a position.
fn number(position: &Value) -> i64 {
    Position::from_number(position.as_i64().expect("a number")).seq().0
}

/// What the store's event table says, as a client would see it.
async fn truth(fixture: &Fixture) -> Vec<ImageEvent> {
    let events = fixture.stored_events().await;
    let seen = events.into_iter().map(|event| ImageEvent {
        position: event.position().number(),
        seq: event.seq.0,
        id: event.image.to_string(),
        status: event.state.to_string(),
    });
    seen.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_and_goes_misses_nothing_and_sees_nothing_twice_while_others_write() {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 15;
    const IMAGES: usize = 5;
    let fixture = Arc::new(Fixture::open_with(|settings| settings.lag = 2).await);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let ids = fixture.admit(keys(&format!("{writer}-{round}"), IMAGES)).await;
                    fixture.finish(&ids, &ready(0.9)).await;
                }
            })
        })
        .collect();
    // Every image is queued, analysed and ready.
    let expected = WRITERS * ROUNDS * IMAGES * 3;
    let mut seen: Vec<ImageEvent> = Vec::new();
    for taken in (1..).map(|n| 7 * n % 40 + 1) {
        let last = seen.last().map_or(0, |event| event.position);
        let mut stream = fixture.events(&format!("?after={last}")).await;
        let take = taken.min(expected - seen.len());
        seen.extend(stream.images(take).await);
        if seen.len() == expected {
            break;
        }
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert_eq!(seen, truth(&fixture).await);
}

#[tokio::test]
async fn the_header_resumes_a_stream_and_goes_before_the_address() {
    let fixture = Fixture::open().await;
    fixture.admit(keys("a", 4)).await;
    let request = fixture.http.get(fixture.url("/v1/events?after=0")).header("last-event-id", "2");
    let mut stream = crate::sse::Stream::new(request.send().await.expect("an answer"));
    let seqs: Vec<i64> = stream.images(2).await.into_iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [3, 4], "the bare number of an event, as earlier releases gave it");
    let second = fixture.stored_events().await[1].position();
    let request = fixture.http.get(fixture.url("/v1/events?after=0"));
    let request = request.header("last-event-id", second.to_string());
    let mut stream = crate::sse::Stream::new(request.send().await.expect("an answer"));
    let seqs: Vec<i64> = stream.images(2).await.into_iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [3, 4]);
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert_eq!(stream.header("cache-control"), "no-store");
    assert_eq!(stream.header("x-accel-buffering"), "no");
    assert_eq!(stream.header("content-encoding"), "");
}

#[tokio::test]
async fn without_a_position_a_stream_begins_now() {
    let fixture = Fixture::open().await;
    fixture.admit(keys("before", 3)).await;
    eventually("the follower has read on", async || {
        let (_, page) = fixture.get("/v1/images").await;
        (number(&page["last_event"]) == 3).then_some(())
    })
    .await;
    let mut stream = fixture.events("").await;
    fixture.admit(keys("after", 1)).await;
    assert_eq!(stream.image().await.seq, 4);
}

#[tokio::test]
async fn a_list_names_the_event_after_which_it_may_lack_something() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(keys("a", 3)).await;
    let (_, page) = fixture.get("/v1/images").await;
    fixture.finish(&ids[..1], &ready(0.1)).await;
    let after = page["last_event"].as_i64().expect("a number");
    let mut stream = fixture.events(&format!("?after={after}")).await;
    let mut last = stream.image().await;
    assert!(last.position > after);
    while last.status != "ready" {
        last = stream.image().await;
    }
}

#[tokio::test]
async fn a_position_newer_than_the_last_event_gives_a_reset_and_then_what_comes() {
    let fixture = Fixture::open().await;
    fixture.admit(keys("a", 2)).await;
    let mut stream = fixture.events("?after=77").await;
    let reset = stream.event().await.expect("open");
    assert_eq!(reset.event, "reset");
    let after = reset.id.expect("a position to go on from");
    assert!(after <= fixture.stored_events().await[1].position().number());
    fixture.admit(keys("b", 1)).await;
    while stream.image().await.seq != 3 {}
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let fixture = Fixture::open_with(|s| s.heartbeat = Duration::from_millis(50)).await;
    let mut stream = fixture.events("").await;
    assert_eq!(stream.block().await.expect("open").comment, "open");
    let mut beats = 0;
    while beats < 3 {
        let block = stream.block().await.expect("open");
        beats += usize::from(block.comment == "heartbeat");
    }
}

/// A server that looks for events only when a signal comes.
async fn without_polling() -> Fixture {
    Fixture::open_with(|settings| {
        settings.poll = Duration::from_secs(3600);
        settings.heartbeat = Duration::from_millis(50);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_a_change_before_the_server_would_answer_with_it() {
    let fixture = without_polling().await;
    let ids = fixture.admit(keys("a", 1)).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let address = format!("/v1/images/{}", ids[0]);
    let mut before = fixture.events("?after=0").await;
    assert_eq!(before.images(3).await[2].status, "ready");
    assert_eq!(fixture.get(&address).await.1["status"], "ready");
    // The process that wrote it has not told anybody yet.
    fixture.store.remove(&new_image(&keys("a", 1)[0]).object).await.expect("removed");
    let mut stream = fixture.events("?after=0").await;
    let mut beats = 0;
    let mut told = Vec::new();
    while beats < 2 {
        let block = stream.block().await.expect("open");
        beats += usize::from(block.comment == "heartbeat");
        if !block.data.is_empty() {
            told.push(block.data);
        }
    }
    assert!(told.len() == 3 && told[2].contains("ready"), "{told:?}");
    fixture.signal.publish().await.expect("published");
    assert_eq!(stream.image().await.status, "removed");
    assert_eq!(fixture.get(&address).await.1["status"], "removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_told_of_a_change_elsewhere_is_not_answered_from_before_it() {
    let fixture = without_polling().await;
    let ids = fixture.admit(keys("a", 1)).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let address = format!("/v1/images/{}", ids[0]);
    let mut stream = fixture.events("?after=0").await;
    assert_eq!(stream.images(3).await[2].status, "ready");
    assert_eq!(fixture.get(&address).await.1["status"], "ready");
    fixture.store.remove(&new_image(&keys("a", 1)[0]).object).await.expect("removed");
    assert_eq!(fixture.get(&address).await.1["status"], "ready", "it is in the cache");
    // As the stream of a process that has followed it says.
    let told = fixture.stored_events().await.last().expect("events").position().to_string();
    let request = fixture.http.get(fixture.url(&address)).header("last-event-id", told);
    let image: Value = request.send().await.expect("answers").json().await.expect("JSON");
    assert_eq!(image["status"], "removed");
    let request = fixture.http.get(fixture.url(&address)).header("last-event-id", "yesterday");
    assert_eq!(request.send().await.expect("answers").status(), 400);
}

#[tokio::test]
async fn a_stream_says_when_the_store_cannot_be_read_instead_of_looking_quiet() {
    let fixture = Fixture::open_with(|settings| {
        settings.heartbeat = Duration::from_millis(50);
        settings.poll = Duration::from_millis(50);
    })
    .await;
    let mut stream = fixture.events("").await;
    fixture.close_store().await;
    let block = stream.event().await.expect("open");
    assert_eq!(block.event, "stale");
    assert!(block.data.contains("since"));
    let (status, ready) = fixture.get("/readyz").await;
    assert_eq!((status, &ready["checks"]["events"]["ok"]), (503, &false.into()));
}

#[tokio::test]
async fn a_stopping_server_says_goodbye_and_ends() {
    let fixture = Fixture::open().await;
    let mut stream = fixture.events("").await;
    stream.block().await.expect("the opening");
    fixture.tell_to_stop();
    assert_eq!(stream.event().await.expect("one more").event, "goodbye");
    assert_eq!(stream.block().await, None);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_late_gets_everything_in_order() {
    const IMAGES: usize = 20_000;
    let fixture = Fixture::open_with(|settings| settings.lag = 1).await;
    let mut stream = fixture.events("?after=0").await;
    for part in keys("a", IMAGES).chunks(500) {
        fixture.admit(part.to_vec()).await;
    }
    let seen = stream.images(IMAGES).await;
    assert!(seen.iter().map(|event| event.seq).eq(1..=IMAGES as i64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_all_see_the_same() {
    const CLIENTS: usize = 1000;
    let fixture = Fixture::open().await;
    let mut streams = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        streams.push(fixture.events("?after=0").await);
    }
    let (_, metrics) = metrics(&fixture).await;
    assert!(metrics.contains(&format!("lobar_sse_clients {CLIENTS}")), "all are counted");
    let ids = fixture.admit(keys("a", 3)).await;
    fixture.finish(&ids, &blank()).await;
    let truth = truth(&fixture).await;
    assert_eq!(truth.len(), 9);
    for mut stream in streams {
        assert_eq!(stream.images(truth.len()).await, truth);
    }
}

async fn metrics(fixture: &Fixture) -> (u16, String) {
    let answer = fixture.http.get(fixture.url("/metrics")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn nothing_personal_is_in_events_items_or_metrics() {
    let fixture = Fixture::open().await;
    let image = new_image("incoming/north/DOE^JOHN/1962-03-04.jpg");
    let admitted = fixture.store.admit(&[image]).await.expect("admitted");
    let id = admitted[0].id();
    fixture.signal.publish().await.expect("published");
    fixture.finish(&[id], &blank()).await;
    let mut stream = fixture.events("?after=0").await;
    assert_eq!(stream.images(3).await[2].status, "needs_human");
    let (_, item) = fixture.get(&format!("/v1/images/{id}")).await;
    let (_, list) = fixture.get("/v1/images").await;
    let (_, metrics) = metrics(&fixture).await;
    for text in [&stream.text, &item.to_string(), &list.to_string(), &metrics] {
        assert!(!text.contains("DOE") && !text.contains("1962"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_what_there_is_room_for_are_refused_and_everything_else_is_answered() {
    let api = Fixture::open_with(|settings| settings.streams = 2).await;
    let mut open = vec![api.events("").await, api.events("").await];
    let refused = api.http.get(api.url("/v1/events")).send().await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "10");
    let problem: serde_json::Value = refused.json().await.expect("JSON");
    assert_eq!(problem["type"], "/problems/too-many-streams");
    assert_eq!(api.get("/v1/images").await.0, 200);
    // A page that closes makes room for another.
    open.pop();
    eventually("there is room for another", async || {
        let again = api.http.get(api.url("/v1/events")).send().await.expect("an answer");
        (again.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_streams_that_come_at_once_no_more_are_opened_than_there_is_room_for() {
    let api = Fixture::open_with(|settings| settings.streams = 3).await;
    let asking = (0..40).map(|_| api.http.get(api.url("/v1/events")).send());
    let answers = futures::future::join_all(asking).await;
    let status = |answer: &reqwest::Response| answer.status().as_u16();
    let open = answers.iter().flatten().filter(|answer| status(answer) == 200).count();
    assert!((1..=3).contains(&open), "{open}");
    assert!(answers.iter().flatten().all(|answer| [200, 503].contains(&status(answer))));
}
