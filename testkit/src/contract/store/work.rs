//! Claim, complete, give back, sweep.

#![allow(missing_docs)] // the names say it
#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does

use std::collections::HashMap;
use std::time::Duration;

use lobar_core::event::Seq;
use lobar_core::image::{Lane, NewImage, Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Basis, Claim, Claimed, Completion, Fence, Outcome, Store};
use lobar_core::trace::TraceContext;

use super::{
    StoreHarness, admit, claim, complete, finding, granted, image, new, object, ready, told,
};

fn one() -> ObjectVersion {
    object("incoming/north/1.jpg", "v1", Some(1))
}

pub async fn a_claim_takes_a_queued_image_and_counts_its_first_attempt<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let stat = NewImage { object: one(), lane: Lane::Stat };
    store.admit(std::slice::from_ref(&stat)).await.expect("admitted");
    let claimed = granted(&*store, one().id()).await;
    assert_eq!((claimed.attempt, claimed.lane), (1, Lane::Stat));
    assert!(claimed.object == one(), "what to fetch is what was notified");
    let image = image(&*store, one().id()).await;
    assert_eq!((image.state, image.attempts), (State::Analysing, 1));
    assert_eq!(claimed.received_at, image.received_at);
    assert_eq!(told(&*store, one().id()).await, [State::Queued, State::Analysing]);

    // Named twice, it is claimed once.
    let other = object("incoming/north/2.jpg", "v1", None);
    admit(&*store, &other).await;
    let twice = store.claim(&[other.id(), other.id()], 3).await.expect("claimed");
    assert!(matches!(&twice[..], [Claim::Granted(one), Claim::Granted(two)] if one == two));
    assert_eq!(super::image(&*store, other.id()).await.attempts, 1);
}

/// Counts the attempt of a claim, if the claim did not.
async fn count(store: &dyn Store, claimed: &Claimed) {
    if !claimed.counted {
        let counted = store.count_attempts(&[claimed.held()]).await;
        assert_eq!(counted.expect("counted"), [true]);
    }
}

pub async fn claims_after_the_first_count_no_attempt_until_it_is_counted_where_the_work_begins<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    let id = one().id();
    assert!(granted(&*store, id).await.counted);
    // Workers die holding it, nine times, before they begin.
    for _ in 0..9 {
        let claimed = granted(&*store, id).await;
        assert_eq!((claimed.attempt, claimed.counted), (2, false));
        assert_eq!(image(&*store, id).await.attempts, 1);
    }
    let claimed = granted(&*store, id).await;
    count(&*store, &claimed).await;
    assert_eq!(image(&*store, id).await.attempts, 2);
    assert_eq!(granted(&*store, id).await.attempt, 3);
}

pub async fn an_attempt_is_not_counted_for_an_old_fence<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let other = object("incoming/north/2.jpg", "v1", None);
    for object in [&one(), &other] {
        admit(&*store, object).await;
        granted(&*store, object.id()).await;
    }
    let [old, held] = [granted(&*store, one().id()).await, granted(&*store, other.id()).await];
    let new = granted(&*store, one().id()).await;
    let both = [&old, &held].map(Claimed::held);
    assert_eq!(store.count_attempts(&both).await.expect("answered"), [false, true]);
    assert_eq!(image(&*store, one().id()).await.attempts, 1);
    assert!(complete(&*store, &new, ready(0.5)).await);
    let ended = store.count_attempts(&[new.held()]).await.expect("answered");
    assert_eq!((ended, store.count_attempts(&[]).await.expect("answered")), (vec![false], vec![]));
}

pub async fn a_claim_on_an_image_that_another_worker_holds_takes_it_over_with_a_new_fence<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let (store, other) = (harness.open().await, harness.open().await);
    admit(&*store, &one()).await;
    let first = granted(&*store, one().id()).await;
    let second = granted(&*other, one().id()).await;
    assert!(second.fence > first.fence);
    assert_eq!(second.attempt, 2);
    assert!(!complete(&*store, &first, ready(0.1)).await);
    assert!(complete(&*other, &second, ready(0.9)).await);
}

pub async fn a_finished_image_cannot_be_claimed<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let needs_human = Outcome::NeedsHuman { reason: Reason::Blank, detail: "one grey".into() };
    let endings = [
        (ready(0.1), State::Ready),
        (needs_human, State::NeedsHuman),
        (Outcome::Superseded, State::Superseded),
    ];
    for (place, (outcome, ending)) in endings.into_iter().enumerate() {
        let object = object(&format!("incoming/north/{place}.jpg"), "v1", None);
        admit(&*store, &object).await;
        let claimed = granted(&*store, object.id()).await;
        assert!(complete(&*store, &claimed, outcome).await);
        assert_eq!(claim(&*store, object.id()).await, Claim::Settled(ending));
        assert_eq!(image(&*store, object.id()).await.attempts, 1);
        let states = [State::Queued, State::Analysing, ending];
        assert_eq!(told(&*store, object.id()).await, states);
    }
}

pub async fn an_unknown_image_cannot_be_claimed<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    let stranger = object("incoming/north/2.jpg", "v1", None).id();
    let answers = store.claim(&[stranger, one().id(), stranger], 3).await.expect("claimed");
    assert_eq!(answers.len(), 3);
    assert_eq!((&answers[0], &answers[2]), (&Claim::Unknown, &Claim::Unknown));
    assert!(matches!(&answers[1], Claim::Granted(claimed) if claimed.id == one().id()));
    assert_eq!(store.image(stranger).await.expect("asked"), None);
}

pub async fn an_image_claimed_too_often_goes_to_quarantine_instead<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    let id = one().id();
    for attempt in 1..=3 {
        let answers = store.claim(&[id], 3).await.expect("claimed");
        let [Claim::Granted(claimed)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(claimed.attempt, attempt);
        count(&*store, claimed).await;
    }
    let answers = store.claim(&[id], 3).await.expect("claimed");
    assert_eq!(answers, [Claim::Settled(State::Failed)]);
    let failed = image(&*store, id).await;
    assert_eq!((failed.state, failed.reason), (State::Failed, Some(Reason::RepeatedFailure)));
    assert_eq!(failed.attempts, 3);
    assert!(failed.finished_at.is_some());
    assert_eq!(told(&*store, id).await.last(), Some(&State::Failed));
    assert_eq!(store.claim(&[id], 99).await.expect("claimed"), [Claim::Settled(State::Failed)]);
}

pub async fn a_completion_with_the_current_fence_is_accepted_and_visible_with_its_event<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let (store, reader) = (harness.open().await, harness.open().await);
    admit(&*store, &one()).await;
    let claimed = granted(&*store, one().id()).await;
    let before = reader.events(Seq(0), 100).await.expect("events").last().expect("events").seq;
    harness.advance(Duration::from_secs(2)).await;
    assert!(complete(&*store, &claimed, ready(0.875)).await);

    let done = image(&*reader, one().id()).await;
    assert_eq!(done.state, State::Ready);
    assert_eq!(done.finding, Some(finding(0.875)), "every field of it");
    assert_eq!((done.reason, done.detail.as_deref()), (None, None));
    let finished = done.finished_at.expect("finished");
    assert!(finished.since(done.received_at) >= Duration::from_secs(2));
    let events = reader.events(before, 100).await.expect("events");
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].image, events[0].state, events[0].at), (done.id, State::Ready, finished));

    let other = object("incoming/north/2.jpg", "v1", None);
    admit(&*store, &other).await;
    let claimed = granted(&*store, other.id()).await;
    let outcome =
        Outcome::NeedsHuman { reason: Reason::TooSmall, detail: "20 × 20 pixels".into() };
    assert!(complete(&*store, &claimed, outcome).await);
    let done = image(&*reader, other.id()).await;
    assert_eq!((done.state, done.reason), (State::NeedsHuman, Some(Reason::TooSmall)));
    assert_eq!(done.detail.as_deref(), Some("20 × 20 pixels"));
    assert_eq!(done.finding, None);
}

pub async fn a_completion_with_an_old_fence_is_refused_and_changes_nothing<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    let old = granted(&*store, one().id()).await;
    let current = granted(&*store, one().id()).await;
    let before = image(&*store, one().id()).await;
    let told_before = told(&*store, one().id()).await;
    assert!(!complete(&*store, &old, ready(0.9)).await);
    assert_eq!(image(&*store, one().id()).await, before);
    assert_eq!(told(&*store, one().id()).await, told_before);

    assert!(complete(&*store, &current, ready(0.1)).await);
    let done = image(&*store, one().id()).await;
    assert!(!complete(&*store, &current, ready(0.9)).await, "it is finished already");
    assert_eq!(image(&*store, one().id()).await, done);
}

pub async fn the_event_of_a_completion_carries_its_trace_context<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    let claimed = granted(&*store, one().id()).await;
    let trace = TraceContext::new(1, 2, 1);
    let done = Completion {
        id: claimed.id,
        fence: claimed.fence,
        outcome: ready(0.1),
        trace,
        basis: Basis::default(),
    };
    assert_eq!(store.complete(&[done]).await.expect("completed"), [true]);
    let events = store.events(Seq(0), 10).await.expect("events");
    let traces: Vec<_> = events.iter().map(|event| (event.state, event.trace)).collect();
    let expected = [(State::Queued, None), (State::Analysing, None), (State::Ready, trace)];
    assert_eq!(traces, expected);
}

pub async fn one_stale_completion_in_a_batch_does_not_spoil_the_others<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let objects: Vec<_> =
        (0..4).map(|n| object(&format!("incoming/north/{n}.jpg"), "v1", None)).collect();
    let ids: Vec<ImageId> = objects.iter().map(ObjectVersion::id).collect();
    store.admit(&objects.iter().map(new).collect::<Vec<_>>()).await.expect("admitted");
    let mut done = Vec::new();
    for (place, claim) in store.claim(&ids, 3).await.expect("claimed").into_iter().enumerate() {
        let Claim::Granted(claimed) = claim else { panic!("not granted: {claim:?}") };
        let probability = [0.125, 0.25, 0.75, 0.875][place];
        done.push(Completion {
            id: claimed.id,
            fence: claimed.fence,
            outcome: ready(probability),
            trace: None,
            basis: Basis::default(),
        });
    }
    granted(&*store, ids[1]).await; // takes it over
    let stranger = object("incoming/north/9.jpg", "v1", None).id();
    done.push(Completion {
        id: stranger,
        fence: Fence(1),
        outcome: Outcome::Superseded,
        trace: None,
        basis: Basis::default(),
    });
    let again = done[0].clone();
    done.push(again);
    let accepted = store.complete(&done).await.expect("completed");
    assert_eq!(accepted, [true, false, true, true, false, false]);
    for (id, probability) in [(ids[0], 0.125), (ids[2], 0.75), (ids[3], 0.875)] {
        let finding = image(&*store, id).await.finding.expect("a finding");
        assert_eq!(finding.probability, probability, "each image has its own finding");
    }
    assert_eq!(image(&*store, ids[1]).await.state, State::Analysing);
}

pub async fn a_released_image_is_queued_again_and_its_attempt_does_not_count<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    for _ in 0..5 {
        let claimed = granted(&*store, one().id()).await;
        assert_eq!(claimed.attempt, 1);
        let held = [claimed.held()];
        store.release(&held).await.expect("released");
        store.release(&held).await.expect("an old fence is passed over");
        let released = image(&*store, one().id()).await;
        assert_eq!((released.state, released.attempts), (State::Queued, 0));
        assert!(!complete(&*store, &claimed, ready(0.5)).await, "its fence is void");
    }
    assert_eq!(told(&*store, one().id()).await.len(), 1 + 5 * 2);
}

pub async fn a_retried_image_is_queued_again_and_its_attempt_counts<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    for attempt in 1..=5 {
        let claimed = granted(&*store, one().id()).await;
        assert_eq!((claimed.attempt, claimed.counted), (attempt, attempt == 1));
        if attempt % 2 == 0 {
            count(&*store, &claimed).await;
        }
        store.retry(&[claimed.held()]).await.expect("given back");
        let retried = image(&*store, one().id()).await;
        assert_eq!((retried.state, retried.attempts), (State::Queued, attempt));
        assert!(!complete(&*store, &claimed, ready(0.5)).await, "its fence is void");
    }
}

pub async fn counting_and_giving_back_again_what_was_counted_or_given_back_changes_nothing<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    admit(&*store, &one()).await;
    granted(&*store, one().id()).await;
    let claimed = granted(&*store, one().id()).await;
    // Whoever heard no answer asks again.
    for _ in 0..3 {
        count(&*store, &claimed).await;
    }
    assert_eq!(image(&*store, one().id()).await.attempts, 2);
    // Whoever does not know whether it was counted gives it back uncounted all the same.
    for _ in 0..3 {
        store.release(&[claimed.held()]).await.expect("given back");
    }
    assert_eq!(image(&*store, one().id()).await.attempts, 1);
    let claimed = granted(&*store, one().id()).await;
    assert_eq!((claimed.attempt, claimed.counted), (2, false));
    store.release(&[claimed.held()]).await.expect("given back");
    assert_eq!(image(&*store, one().id()).await.attempts, 1, "it was not counted");
    let claimed = granted(&*store, one().id()).await;
    for _ in 0..3 {
        store.retry(&[claimed.held()]).await.expect("given back");
    }
    assert_eq!(image(&*store, one().id()).await.attempts, 2);
}

pub async fn two_workers_never_finish_the_same_image_both<H: StoreHarness>() {
    const IMAGES: usize = 40;
    let harness = H::start().await;
    let store = harness.open().await;
    let objects: Vec<_> =
        (0..IMAGES).map(|n| object(&format!("incoming/north/{n}.jpg"), "v1", None)).collect();
    let ids: Vec<ImageId> = objects.iter().map(ObjectVersion::id).collect();
    store.admit(&objects.iter().map(new).collect::<Vec<_>>()).await.expect("admitted");
    let mut workers = Vec::new();
    for worker in 0..4 {
        let (store, ids) = (harness.open().await, ids.clone());
        workers.push(tokio::spawn(async move {
            let mut finished = Vec::new();
            for batch in ids.chunks(3 + worker) {
                let claims = store.claim(batch, 100).await.expect("claimed");
                let done: Vec<_> = claims
                    .into_iter()
                    .filter_map(|claim| match claim {
                        Claim::Granted(Claimed { id, fence, .. }) => Some(Completion {
                            id,
                            fence,
                            outcome: ready(0.1),
                            trace: None,
                            basis: Basis::default(),
                        }),
                        _ => None,
                    })
                    .collect();
                let accepted = store.complete(&done).await.expect("completed");
                let mine = done.iter().zip(accepted).filter(|(_, accepted)| *accepted);
                finished.extend(mine.map(|(done, _)| done.id));
            }
            finished
        }));
    }
    let mut times: HashMap<ImageId, usize> = HashMap::new();
    for worker in workers {
        for id in worker.await.expect("a worker") {
            *times.entry(id).or_default() += 1;
        }
    }
    assert!(times.values().all(|times| *times == 1));
    for id in ids {
        let ready = told(&*store, id).await.iter().filter(|state| **state == State::Ready).count();
        assert_eq!(ready, times.get(&id).copied().unwrap_or(0));
    }
    assert!(!times.is_empty());
}

pub async fn the_sweeper_finds_what_stayed_unfinished_too_long_once_a_period<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let period = Duration::from_secs(10);
    let [queued, held, finished] =
        ["a", "b", "c"].map(|key| object(&format!("incoming/north/{key}"), "v1", None));
    let stat = NewImage { object: queued.clone(), lane: Lane::Stat };
    store.admit(&[stat, new(&held), new(&finished)]).await.expect("admitted");
    granted(&*store, held.id()).await;
    let done = granted(&*store, finished.id()).await;
    assert!(complete(&*store, &done, ready(0.1)).await);
    assert_eq!(store.sweep(period, 10).await.expect("swept"), []);

    harness.advance(period + Duration::from_secs(1)).await;
    let late = object("incoming/north/late", "v1", None);
    admit(&*store, &late).await;
    let mut stale = store.sweep(period, 1).await.expect("swept");
    assert_eq!(stale.len(), 1, "no more than asked for");
    stale.extend(store.sweep(period, 10).await.expect("swept"));
    stale.sort();
    let mut expected = [(queued.id(), Lane::Stat), (held.id(), Lane::Routine)];
    expected.sort();
    assert_eq!(stale, expected);
    assert_eq!(store.sweep(period, 10).await.expect("swept"), [], "once a period");
    assert_eq!(image(&*store, queued.id()).await.state, State::Queued);

    harness.advance(period + Duration::from_secs(1)).await;
    assert_eq!(store.sweep(period, 10).await.expect("swept").len(), 3);
}
