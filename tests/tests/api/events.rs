//! The event stream: nothing missing, nothing twice, nothing out of order.

use std::sync::Arc;
use std::time::Duration;

use crate::house::{House, blank, eventually, new_image, ready};
use crate::sse::ImageEvent;

fn keys(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("incoming/north/{of}-{n}.jpg")).collect()
}

/// What the store's event table says, as a client would see it.
async fn truth(house: &House) -> Vec<ImageEvent> {
    let events = house.stored_events().await;
    let seen = events.into_iter().map(|event| ImageEvent {
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
    let house = Arc::new(House::open_with(|settings| settings.lag = 2).await);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let ids = house.admit(keys(&format!("{writer}-{round}"), IMAGES)).await;
                    house.finish(&ids, &ready(0.9)).await;
                }
            })
        })
        .collect();
    // Every image is queued, analysed and ready.
    let expected = WRITERS * ROUNDS * IMAGES * 3;
    let mut seen: Vec<ImageEvent> = Vec::new();
    for taken in (1..).map(|n| 7 * n % 40 + 1) {
        let last = seen.last().map_or(0, |event| event.seq);
        let mut stream = house.events(&format!("?after={last}")).await;
        let take = taken.min(expected - seen.len());
        seen.extend(stream.images(take).await);
        if seen.len() == expected {
            break;
        }
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert_eq!(seen, truth(&house).await);
}

#[tokio::test]
async fn the_header_resumes_a_stream_and_goes_before_the_address() {
    let house = House::open().await;
    house.admit(keys("a", 4)).await;
    let request = house.http.get(house.url("/v1/events?after=0")).header("last-event-id", "2");
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
    let house = House::open().await;
    house.admit(keys("before", 3)).await;
    eventually("the follower has read on", async || {
        let (_, page) = house.get("/v1/images").await;
        (page["last_event"] == 3).then_some(())
    })
    .await;
    let mut stream = house.events("").await;
    house.admit(keys("after", 1)).await;
    assert_eq!(stream.image().await.seq, 4);
}

#[tokio::test]
async fn a_list_names_the_event_after_which_it_may_lack_something() {
    let house = House::open().await;
    let ids = house.admit(keys("a", 3)).await;
    let (_, page) = house.get("/v1/images").await;
    house.finish(&ids[..1], &ready(0.1)).await;
    let after = page["last_event"].as_i64().expect("a number");
    let mut stream = house.events(&format!("?after={after}")).await;
    let mut last = stream.image().await;
    assert!(last.seq > after);
    while last.status != "ready" {
        last = stream.image().await;
    }
}

#[tokio::test]
async fn a_position_newer_than_the_last_event_gives_a_reset_and_then_what_comes() {
    let house = House::open().await;
    house.admit(keys("a", 2)).await;
    let mut stream = house.events("?after=77").await;
    let reset = stream.event().await.expect("open");
    assert_eq!(reset.event, "reset");
    let after = reset.id.expect("a position to go on from");
    assert!(after <= 2);
    house.admit(keys("b", 1)).await;
    while stream.image().await.seq != 3 {}
}

#[tokio::test]
async fn a_position_older_than_the_first_kept_event_gives_a_reset_and_then_all_that_is_kept() {
    let house = House::open().await;
    house.admit(keys("a", 10)).await;
    let url = format!("sqlite:{}", house.database().display());
    let mut database =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("opens");
    sqlx::query("delete from event where seq < 6").execute(&mut database).await.expect("pruned");
    let mut stream = house.events("?after=3").await;
    assert_eq!(stream.event().await.expect("open").event, "reset");
    let seqs: Vec<i64> = stream.images(5).await.into_iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [6, 7, 8, 9, 10]);
    // Event 5 was the last one this client had: nothing is missing.
    let mut joined = house.events("?after=5").await;
    assert_eq!(joined.image().await.seq, 6);
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let house = House::open_with(|s| s.heartbeat = Duration::from_millis(50)).await;
    let mut stream = house.events("").await;
    assert_eq!(stream.block().await.expect("open").comment, "open");
    let mut beats = 0;
    while beats < 3 {
        let block = stream.block().await.expect("open");
        beats += usize::from(block.comment == "heartbeat");
    }
}

#[tokio::test]
async fn a_stream_says_when_the_store_cannot_be_read_instead_of_looking_quiet() {
    let house = House::open_with(|settings| {
        settings.heartbeat = Duration::from_millis(50);
        settings.poll = Duration::from_millis(50);
    })
    .await;
    let mut stream = house.events("").await;
    house.close_store().await;
    let block = stream.event().await.expect("open");
    assert_eq!(block.event, "stale");
    assert!(block.data.contains("since"));
    let (status, ready) = house.get("/readyz").await;
    assert_eq!((status, &ready["checks"]["events"]["ok"]), (503, &false.into()));
}

#[tokio::test]
async fn a_stopping_server_says_goodbye_and_ends() {
    let house = House::open().await;
    let mut stream = house.events("").await;
    stream.block().await.expect("the opening");
    house.tell_to_stop();
    assert_eq!(stream.event().await.expect("one more").event, "goodbye");
    assert_eq!(stream.block().await, None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_late_gets_everything_in_order() {
    const IMAGES: usize = 20_000;
    let house = House::open_with(|settings| settings.lag = 1).await;
    let mut stream = house.events("?after=0").await;
    for part in keys("a", IMAGES).chunks(500) {
        house.admit(part.to_vec()).await;
    }
    let seen = stream.images(IMAGES).await;
    assert!(seen.iter().map(|event| event.seq).eq(1..=IMAGES as i64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_all_see_the_same() {
    const CLIENTS: usize = 1000;
    let house = House::open().await;
    let mut streams = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        streams.push(house.events("?after=0").await);
    }
    let (_, metrics) = metrics(&house).await;
    assert!(metrics.contains(&format!("lobar_sse_clients {CLIENTS}")), "all are counted");
    let ids = house.admit(keys("a", 3)).await;
    house.finish(&ids, &blank()).await;
    let truth = truth(&house).await;
    assert_eq!(truth.len(), 9);
    for mut stream in streams {
        assert_eq!(stream.images(truth.len()).await, truth);
    }
}

async fn metrics(house: &House) -> (u16, String) {
    let answer = house.http.get(house.url("/metrics")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn nothing_personal_is_in_events_items_or_metrics() {
    let house = House::open().await;
    let image = new_image("incoming/north/DOE^JOHN/1962-03-04.jpg");
    let admitted = house.store.admit(&[image]).await.expect("admitted");
    let id = admitted[0].id();
    house.signal.publish().await.expect("published");
    house.finish(&[id], &blank()).await;
    let mut stream = house.events("?after=0").await;
    assert_eq!(stream.images(3).await[2].status, "needs_human");
    let (_, item) = house.get(&format!("/v1/images/{id}")).await;
    let (_, list) = house.get("/v1/images").await;
    let (_, metrics) = metrics(&house).await;
    for text in [&stream.text, &item.to_string(), &list.to_string(), &metrics] {
        assert!(!text.contains("DOE") && !text.contains("1962"), "{text}");
    }
}
