//! The store behind a server is restored from a backup, and events are pruned: every client is told, none is misled.

#![allow(clippy::print_stdout)] // the counters are to be read

use std::sync::Arc;
use std::time::Duration;

use lobar_core::store::Retained;

use crate::fixture::{Fixture, eventually, ready};
use crate::sse::{ImageEvent, Stream};

fn keys(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("incoming/north/{of}-{n}.jpg")).collect()
}

/// The events after this one and their images are gone, as in a database from a backup; numbers are given again.
async fn restore_to(fixture: &Fixture, event: usize) {
    let restore = format!(
        "begin immediate; delete from event where seq > {event};
         update sqlite_sequence set seq = {event} where name = 'event';
         delete from finding where image not in (select image from event);
         delete from image where id not in (select image from event);
         commit"
    );
    fixture.damage(&restore).await;
}

async fn numbers(stream: &mut Stream, count: usize) -> Vec<i64> {
    stream.images(count).await.into_iter().map(|event| event.seq).collect()
}

async fn reset(stream: &mut Stream) -> i64 {
    let block = stream.event().await.expect("open");
    assert_eq!(block.event, "reset", "{block:?}");
    let after = block.id.expect("a position to go on from");
    assert_eq!(block.data, format!("{{\"after\":{after}}}"));
    after
}

/// The positions of so many events, as a client sees them.
async fn seen(fixture: &Fixture, count: usize) -> Vec<ImageEvent> {
    fixture.events("?after=0").await.images(count).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_was_ahead_of_a_restored_store_gets_a_reset() {
    let fixture = Fixture::open().await;
    fixture.admit(keys("a", 6)).await;
    let seen = seen(&fixture, 6).await;
    restore_to(&fixture, 3).await;
    let mut stream = fixture.events(&format!("?after={}", seen[5].position)).await;
    let first = stream.event().await.expect("open");
    assert_eq!(first.event, "reset");
    fixture.admit(keys("b", 1)).await;
    loop {
        let block = stream.event().await.expect("open");
        if block.event == "image" {
            assert!(block.data.contains("queued"));
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_event_was_lost_and_whose_number_was_given_again_gets_a_reset() {
    let fixture = Fixture::open_with(|settings| settings.poll = Duration::from_millis(20)).await;
    fixture.admit(keys("a", 6)).await;
    let seen = seen(&fixture, 6).await;
    restore_to(&fixture, 3).await;
    fixture.admit(keys("b", 5)).await;
    eventually("the server has followed", async || {
        let (_, page) = fixture.get("/v1/images").await;
        let events = fixture.stored_events().await;
        (page["last_event"] == events[7].position().number()).then_some(())
    })
    .await;
    for lost in &seen[3..] {
        let mut stream = fixture.events(&format!("?after={}", lost.position)).await;
        let after = reset(&mut stream).await;
        assert_eq!(after, fixture.stored_events().await[7].position().number());
    }
    // Who had seen nothing of what was lost is told of all that came.
    let mut stream = fixture.events(&format!("?after={}", seen[2].position)).await;
    assert_eq!(numbers(&mut stream, 5).await, [4, 5, 6, 7, 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_streams_of_a_server_that_ran_on_are_told_of_a_restore() {
    let fixture = Fixture::open_with(|settings| settings.poll = Duration::from_millis(20)).await;
    fixture.admit(keys("a", 6)).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = fixture.events("?after=0").await;
        assert_eq!(numbers(&mut stream, 6).await, [1, 2, 3, 4, 5, 6]);
        streams.push(stream);
    }
    restore_to(&fixture, 3).await;
    fixture.admit(keys("b", 2)).await;
    for stream in &mut streams {
        let mut last = reset(stream).await;
        // Where it was noticed before all had come, the rest follows; nothing is left out.
        while last != fixture.stored_events().await[4].position().number() {
            last = stream.image().await.position;
        }
    }
    fixture.admit(keys("c", 4)).await;
    for stream in &mut streams {
        assert_eq!(numbers(stream, 4).await, [6, 7, 8, 9]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_of_a_time_that_a_restore_has_undone_comes_from_the_cache() {
    let fixture = Fixture::open_with(|settings| settings.poll = Duration::from_millis(20)).await;
    let id = fixture.admit(keys("a", 3)).await[0];
    fixture.finish(&[id], &ready(0.9)).await;
    let path = format!("/v1/images/{id}");
    let hits = async || {
        let metrics = fixture.metrics().await;
        let hits = metrics
            .lines()
            .find_map(|line| line.strip_prefix("lobar_api_cache_lookups_total{outcome=\"hit\"} "));
        hits.expect("a series").to_owned()
    };
    eventually("it is answered from the cache", async || {
        let before = hits().await;
        assert!(fixture.get(&path).await.0 == 200);
        (hits().await != before).then_some(())
    })
    .await;
    let mut stream = fixture.events("").await;
    stream.block().await.expect("the opening");
    restore_to(&fixture, 3).await;
    fixture
        .damage("delete from finding; update image set state = 'queued', finished_at = null, flag = 'none'")
        .await;
    reset(&mut stream).await;
    // Beyond the number at which the answer was kept.
    fixture.admit(keys("b", 5)).await;
    numbers(&mut stream, 5).await;
    assert_eq!(fixture.get(&path).await.1["status"], "queued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_whose_next_events_were_pruned_gives_a_reset_and_then_all_that_is_kept() {
    let fixture = Fixture::open().await;
    fixture.admit(keys("a", 10)).await;
    let seen = seen(&fixture, 10).await;
    let pruned = fixture.store.prune(Retained::Events, Duration::ZERO, 5).await;
    assert_eq!(pruned.expect("pruned"), 5);
    for position in [0, 3, seen[2].position] {
        let mut stream = fixture.events(&format!("?after={position}")).await;
        assert_eq!(reset(&mut stream).await, seen[4].position);
        assert_eq!(numbers(&mut stream, 5).await, [6, 7, 8, 9, 10]);
    }
    // Event 5 was the last one this client had: nothing is missing.
    let mut joined = fixture.events(&format!("?after={}", seen[4].position)).await;
    assert_eq!(joined.image().await.seq, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_resume_while_events_are_pruned_see_every_state_in_order_or_a_reset() {
    const IMAGES: usize = 120;
    const CLIENTS: usize = 6;
    let fixture = Arc::new(Fixture::open_with(|settings| settings.lag = 2).await);
    let work = async {
        for part in keys("a", IMAGES).chunks(5) {
            let ids = fixture.admit(part.to_vec()).await;
            fixture.finish(&ids, &ready(0.9)).await;
            let pruned = fixture.store.prune(Retained::Events, Duration::from_millis(30), 20).await;
            pruned.expect("pruned");
        }
        fixture.stored_events().await.last().expect("the newest stays").position().number()
    };
    let follow = async |client: usize| {
        let (mut position, mut number, mut resets) = (0, 0, 0);
        for round in 1.. {
            let mut stream = fixture.events(&format!("?after={position}")).await;
            for _ in 0..(client * 11 + round * 7) % 40 + 1 {
                let block = stream.event().await.expect("open");
                let next = block.id.expect("a position");
                let event = lobar_core::position::Position::from_number(next).seq().0;
                match block.event.as_str() {
                    "reset" => resets += 1,
                    "image" => assert_eq!(event, number + 1, "events are missing unsaid"),
                    other => panic!("{other}"),
                }
                (position, number) = (next, event);
                if number == 3 * IMAGES as i64 {
                    return (position, resets);
                }
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        unreachable!("rounds have no end")
    };
    let clients = futures::future::join_all((0..CLIENTS).map(follow));
    let (newest, ends) = tokio::join!(work, clients);
    assert!(ends.iter().all(|(position, _)| *position == newest));
    let resets: usize = ends.iter().map(|(_, resets)| resets).sum();
    println!("{CLIENTS} clients, {} events, {resets} resets", 3 * IMAGES);
}
