//! The event log.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobar_core::event::{Event, Seq};
use lobar_core::image::State;
use lobar_core::position::Position;
use lobar_core::store::{Basis, Claim, Completion, Resumed, Store};

use super::{StoreHarness, admit, complete, granted, new, object, ready};

pub async fn events_are_numbered_in_the_order_of_commit_without_gaps_for_a_reader_that_resumes<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let objects: Vec<_> =
        (0..5).map(|n| object(&format!("incoming/north/{n}.jpg"), "v1", None)).collect();
    for object in &objects {
        admit(&*store, object).await;
    }
    for object in &objects {
        let claimed = granted(&*store, object.id()).await;
        assert!(complete(&*store, &claimed, ready(0.1)).await);
    }
    let whole = store.events(Seq(0), 1_000).await.expect("events");
    assert!(whole.windows(2).all(|pair| pair[0].seq < pair[1].seq && pair[0].at <= pair[1].at));
    let expected = objects.iter().map(|object| (object.id(), State::Queued)).chain(
        objects
            .iter()
            .flat_map(|object| [State::Analysing, State::Ready].map(|state| (object.id(), state))),
    );
    let told: Vec<_> = whole.iter().map(|event| (event.image, event.state)).collect();
    assert_eq!(told, expected.collect::<Vec<_>>());

    for step in [1, 2, 7] {
        let reader = harness.open().await;
        let (mut resumed, mut last) = (Vec::<Event>::new(), Seq(0));
        loop {
            let more = reader.events(last, step).await.expect("events");
            assert!(more.len() <= step);
            let Some(newest) = more.last() else { break };
            last = newest.seq;
            resumed.extend(more);
        }
        assert_eq!(resumed, whole, "in steps of {step}");
    }
}

pub async fn the_history_of_an_image_is_its_own_events_the_oldest_first<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let objects = ["1", "2"].map(|n| object(&format!("incoming/north/{n}.jpg"), "v1", None));
    for object in &objects {
        admit(&*store, object).await;
    }
    for object in &objects {
        let claimed = granted(&*store, object.id()).await;
        assert!(complete(&*store, &claimed, ready(0.1)).await);
    }
    let whole = store.events(Seq(0), 1_000).await.expect("events");
    for object in &objects {
        let own: Vec<Event> =
            whole.iter().filter(|event| event.image == object.id()).cloned().collect();
        assert_eq!(store.image_events(object.id(), 100).await.expect("a history"), own);
        assert_eq!(store.image_events(object.id(), 2).await.expect("a history"), own[..2]);
    }
    let nobody = object("incoming/north/3.jpg", "v1", None).id();
    assert!(store.image_events(nobody, 100).await.expect("a history").is_empty());
}

pub async fn an_event_names_the_site_of_its_image<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let keys = ["incoming/north/1.jpg", "incoming/south/1.jpg", "elsewhere/1.jpg"];
    let objects = keys.map(|key| object(key, "v1", None));
    for object in &objects {
        admit(&*store, object).await;
    }
    let claimed = granted(&*store, objects[1].id()).await;
    assert!(complete(&*store, &claimed, ready(0.1)).await);
    store.remove(&objects[0]).await.expect("removed");
    let told = |events: Vec<Event>| -> Vec<_> {
        let site = |event: Event| event.site.map(|site| site.to_string());
        events.into_iter().map(|event| (event.state, site(event))).collect()
    };
    let [north, south] = ["north", "south"].map(|site| Some(site.to_owned()));
    let expected = [
        (State::Queued, north.clone()),
        (State::Queued, south.clone()),
        (State::Queued, None),
        (State::Analysing, south.clone()),
        (State::Ready, south),
        (State::Removed, north),
    ];
    assert_eq!(told(store.events(Seq(0), 10).await.expect("events")), expected);
    let Resumed::Joined(events) = store.resume(Position::START, 10).await.expect("events") else {
        panic!("it joins")
    };
    assert_eq!(told(events), expected);
}

pub async fn concurrent_writers_never_let_a_reader_miss_an_event<H: StoreHarness>() {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 15;
    let harness = H::start().await;
    let done = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn(follow(harness.open().await, done.clone()));
    let mut writing = Vec::new();
    for writer in 0..WRITERS {
        writing.push(tokio::spawn(write(harness.open().await, writer, ROUNDS)));
    }
    for writing in writing {
        writing.await.expect("a writer");
    }
    done.store(true, Ordering::SeqCst);
    let followed = reading.await.expect("the reader");
    let whole = harness.open().await.events(Seq(0), usize::MAX).await.expect("events");
    assert_eq!(whole.len(), WRITERS * ROUNDS * 3 * 3);
    assert_eq!(followed, whole);
}

/// Admits, claims and completes, three images a round.
async fn write(store: Arc<dyn Store>, writer: usize, rounds: usize) {
    for round in 0..rounds {
        let objects =
            [0, 1, 2].map(|n| object(&format!("incoming/{writer}/{round}/{n}.jpg"), "v1", None));
        store.admit(&objects.each_ref().map(new)).await.expect("admitted");
        let claims = store.claim(&objects.map(|object| object.id()), 3).await.expect("claimed");
        let completions: Vec<_> = claims
            .into_iter()
            .map(|claim| match claim {
                Claim::Granted(claimed) => Completion {
                    id: claimed.id,
                    fence: claimed.fence,
                    outcome: ready(0.1),
                    trace: None,
                    basis: Basis::default(),
                },
                other => panic!("not granted: {other:?}"),
            })
            .collect();
        let accepted = store.complete(&completions).await.expect("completed");
        assert_eq!(accepted, [true; 3]);
    }
}

/// Reads on from the last event seen, until there will be no more.
async fn follow(store: Arc<dyn Store>, done: Arc<AtomicBool>) -> Vec<Event> {
    let mut followed = Vec::<Event>::new();
    loop {
        let ending = done.load(Ordering::SeqCst);
        let last = followed.last().map_or(Seq(0), |event| event.seq);
        let more = store.events(last, 50).await.expect("events");
        if more.is_empty() && ending {
            return followed;
        }
        followed.extend(more);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
