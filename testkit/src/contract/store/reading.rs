//! Lists, single images, figures, durability.

#![allow(missing_docs)] // the names say it

use std::collections::HashSet;
use std::time::Duration;

use lobar_core::access::{SiteName, Sites};
use lobar_core::event::Seq;
use lobar_core::image::{Image, Lane, NewImage, Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Basis, Claim, Completion, Filter, Outcome, Quarantined, Store};

use uuid::Uuid;

use super::{StoreHarness, admit, complete, finding, granted, image, new, object, ready, state};

/// Every page of a list.
async fn all(store: &dyn Store, filter: &Filter, limit: usize) -> Vec<Image> {
    let (mut images, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(filter, after, limit).await.expect("listed");
        assert!(page.items.len() <= limit);
        assert!(page.next.is_none() || page.items.len() == limit, "only the last page is short");
        images.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => {
                assert_eq!(page.total as usize, images.len());
                return images;
            }
        }
    }
}

pub async fn lists_are_pages_by_key_newest_first_and_no_image_is_missed_or_shown_twice<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let mut admitted = HashSet::new();
    for round in 0..10 {
        // Several have the same time.
        let images: Vec<NewImage> = (0..3)
            .map(|n| new(&object(&format!("incoming/north/{round}/{n}.jpg"), "v1", None)))
            .collect();
        admitted.extend(images.iter().map(|image| image.object.id()));
        store.admit(&images).await.expect("admitted");
        harness.advance(Duration::from_millis(3)).await;
    }
    for limit in [1, 7, 10, 30, 1_000] {
        let listed = all(&*store, &Filter::at(Sites::All), limit).await;
        let ids: HashSet<ImageId> = listed.iter().map(|image| image.id).collect();
        assert_eq!((ids.len(), listed.len()), (30, 30), "in pages of {limit}");
        assert_eq!(ids, admitted);
        let keys: Vec<_> = listed.iter().map(|image| (image.received_at, image.id)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
    }

    // What arrives while a reader turns pages moves nothing.
    let first = store.list(&Filter::at(Sites::All), None, 10).await.expect("listed");
    admit(&*store, &object("incoming/north/new.jpg", "v1", None)).await;
    let second = store.list(&Filter::at(Sites::All), first.next, 10).await.expect("listed");
    let third = store.list(&Filter::at(Sites::All), second.next, 10).await.expect("listed");
    assert_eq!(third.next, None);
    let ids: HashSet<ImageId> =
        [first, second, third].iter().flat_map(|page| &page.items).map(|image| image.id).collect();
    assert_eq!(ids, admitted);
    let none = store.list(&Filter::at(Sites::All), None, 0).await.expect("listed");
    assert_eq!((none.items.len(), none.total), (0, 31));
}

/// One site.
fn at(site: &str) -> Sites {
    Sites::one(SiteName::parse(site).expect("a site's name"))
}

/// What [`populate`] made: the object, its state, whether it is flagged.
type Made = (ObjectVersion, State, Option<bool>);

/// Images in every state, at two sites and without one.
async fn populate<H: StoreHarness>(harness: &H, store: &dyn Store) -> Vec<Made> {
    let mut made = Vec::new();
    for round in 0..3 {
        for site in ["incoming/north", "incoming/south", "elsewhere"] {
            let key = |name: &str| object(&format!("{site}/{round}/{name}.jpg"), "v1", None);
            let endings: [(&str, Outcome, State, Option<bool>); 3] = [
                ("flagged", ready(0.875), State::Ready, Some(true)),
                ("not", ready(0.125), State::Ready, Some(false)),
                (
                    "blank",
                    Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() },
                    State::NeedsHuman,
                    None,
                ),
            ];
            for (name, outcome, state, flagged) in endings {
                admit(store, &key(name)).await;
                let claimed = granted(store, key(name).id()).await;
                assert!(complete(store, &claimed, outcome).await);
                made.push((key(name), state, flagged));
            }
            admit(store, &key("queued")).await;
            made.push((key("queued"), State::Queued, None));
            admit(store, &key("held")).await;
            granted(store, key("held").id()).await;
            made.push((key("held"), State::Analysing, None));
            admit(store, &key("failed")).await;
            store.claim(&[key("failed").id()], 0).await.expect("claimed");
            made.push((key("failed"), State::Failed, None));
            for (name, outcome) in [("gone", Some(ready(0.875))), ("gone-early", None)] {
                admit(store, &key(name)).await;
                let mut flagged = None;
                if let Some(outcome) = outcome {
                    let claimed = granted(store, key(name).id()).await;
                    assert!(complete(store, &claimed, outcome).await);
                    flagged = Some(true);
                }
                store.remove(&key(name)).await.expect("removed");
                made.push((key(name), State::Removed, flagged));
            }
            let older = key("twice");
            let newer = ObjectVersion { version: Some("v2".into()), ..older.clone() };
            admit(store, &older).await;
            let claimed = granted(store, older.id()).await;
            assert!(complete(store, &claimed, ready(0.25)).await);
            admit(store, &newer).await;
            made.push((older, State::Superseded, Some(false)));
            made.push((newer, State::Queued, None));
            harness.advance(Duration::from_millis(1)).await;
        }
    }
    made
}

pub async fn filters_narrow_a_list_and_its_total<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let made = populate(&harness, &*store).await;
    let states: [&[State]; 6] = [
        &[],
        &[State::Ready],
        &[State::Ready, State::NeedsHuman],
        &[State::Queued, State::Analysing, State::Failed],
        &[State::Superseded, State::Removed],
        &[State::Removed, State::Removed],
    ];
    let mut matched = 0;
    for states in states {
        for flagged in [None, Some(true), Some(false)] {
            for site in [None, Some("north"), Some("south"), Some("nowhere")] {
                let sites = site.map_or(Sites::All, at);
                let filter = Filter { states: states.to_vec(), flagged, ..Filter::at(sites) };
                let expected: HashSet<ImageId> = made
                    .iter()
                    .filter(|(_, state, _)| states.is_empty() || states.contains(state))
                    .filter(|(_, _, flag)| flagged.is_none() || *flag == flagged)
                    .filter(|(object, _, _)| site.is_none() || object.site() == site)
                    .map(|(object, _, _)| object.id())
                    .collect();
                let listed = all(&*store, &filter, 4).await;
                let ids: HashSet<ImageId> = listed.iter().map(|image| image.id).collect();
                assert_eq!(ids.len(), listed.len(), "none twice: {filter:?}");
                assert_eq!(ids, expected, "{filter:?}");
                let keys: Vec<_> =
                    listed.iter().map(|image| (image.received_at, image.id)).collect();
                assert!(keys.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {filter:?}");
                matched += usize::from(!expected.is_empty());
            }
        }
    }
    assert!(matched > 20, "most filters match something");
}

pub async fn a_list_holds_images_of_the_asked_sites_only_and_its_total_counts_no_other<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let made = populate(&harness, &*store).await;
    // More sites than one statement asks for.
    let many: Vec<String> = (0..600).map(|n| format!("site{n}")).collect();
    for site in many.iter().step_by(120) {
        admit(&*store, &object(&format!("incoming/{site}/1.jpg"), "v1", None)).await;
    }
    let name = |name: &str| SiteName::parse(name).expect("a site's name");
    let only = |names: &[&str]| Sites::Only(names.iter().copied().map(name).collect());
    let all_but_south = many.iter().map(String::as_str).chain(["north"]).map(name).collect();
    for (sites, further) in [
        (Sites::none(), 0),
        (only(&["north"]), 0),
        (only(&["north", "south"]), 0),
        (only(&["nowhere", "south"]), 0),
        (only(&["north", "site120"]), 1),
        (Sites::Only(all_but_south), 5),
    ] {
        let whole = Filter::at(sites.clone());
        let states = vec![State::Queued, State::Removed];
        for filter in [whole.clone(), Filter { states, ..whole }] {
            let wanted = |state| filter.states.is_empty() || filter.states.contains(state);
            let expected: HashSet<ImageId> = made
                .iter()
                .filter(|(object, state, _)| wanted(state) && sites.include(object.site()))
                .map(|(object, _, _)| object.id())
                .collect();
            for limit in [3, 7, 1_000] {
                let listed = all(&*store, &filter, limit).await;
                assert!(listed.iter().all(|image| sites.include(image.object.site())));
                let ids: HashSet<ImageId> = listed.iter().map(|image| image.id).collect();
                assert_eq!(ids.len(), listed.len(), "none twice: {sites}");
                assert!(ids.is_superset(&expected), "none missing: {sites}");
                assert_eq!(ids.len(), expected.len() + further, "{sites}");
                let keys: Vec<_> =
                    listed.iter().map(|image| (image.received_at, image.id)).collect();
                assert!(keys.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {sites}");
            }
        }
    }
}

pub async fn images_of_unknown_site_are_listed_for_all_sites_only<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let unknown = ["elsewhere/1.jpg", "incoming/Doe, Jane/1.jpg", "incoming/1.jpg", "incoming//1"];
    let known = object("incoming/north/1.jpg", "v1", None);
    for key in unknown {
        admit(&*store, &object(key, "v1", None)).await;
    }
    admit(&*store, &known).await;
    assert_eq!(all(&*store, &Filter::at(Sites::All), 2).await.len(), unknown.len() + 1);
    for site in ["elsewhere", "Doe", "1.jpg", "unknown", "none"] {
        assert_eq!(all(&*store, &Filter::at(at(site)), 2).await, [], "{site}");
    }
    let ids = |images: Vec<Image>| images.into_iter().map(|image| image.id).collect::<Vec<_>>();
    assert_eq!(ids(all(&*store, &Filter::at(at("north")), 2).await), [known.id()]);
}

pub async fn hostile_keys_are_kept_byte_for_byte<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for key in [
        "incoming/north/../../etc/passwd",
        "/incoming/%2e%2e/'; drop table image; --",
        "incoming/Ωmega 😀/e\u{301}\u{200f} $1 ?.jpg",
        " ",
        &"k".repeat(1_024),
    ] {
        let object = ObjectVersion { size: Some(u64::MAX >> 1), ..object(key, "v'1", Some(7)) };
        admit(&*store, &object).await;
        assert!(image(&*store, object.id()).await.object == object);
        assert!(granted(&*store, object.id()).await.object == object);
    }
}

pub async fn the_overview_counts_by_state_and_lane<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let empty = store.overview().await.expect("overview");
    assert_eq!(empty.unfinished.stat, 0);
    assert_eq!(empty.oldest_unfinished.routine, None);
    assert!(empty.by_state.iter().all(|(_, images)| *images == 0));

    let key = |n: u32| object(&format!("incoming/north/{n}.jpg"), "v1", None);
    let stat = |n| NewImage { object: key(n), lane: Lane::Stat };
    store.admit(&[stat(0), stat(1)]).await.expect("admitted");
    let oldest = image(&*store, key(0).id()).await.received_at;
    harness.advance(Duration::from_secs(1)).await;
    store.admit(&[stat(2), new(&key(3)), new(&key(4))]).await.expect("admitted");
    granted(&*store, key(2).id()).await;
    let claimed = granted(&*store, key(3).id()).await;
    assert!(complete(&*store, &claimed, ready(0.1)).await);

    let overview = store.overview().await.expect("overview");
    let count = |state: State| {
        let found = overview.by_state.iter().find(|(of, _)| *of == state);
        found.map_or(0, |(_, images)| *images)
    };
    assert_eq!((count(State::Queued), count(State::Analysing), count(State::Ready)), (3, 1, 1));
    assert_eq!((overview.unfinished.stat, overview.unfinished.routine), (3, 1));
    assert_eq!(overview.oldest_unfinished.stat, Some(oldest));
}

pub async fn the_overview_tells_of_each_registered_site_and_of_no_other<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for site in ["north", "south"] {
        harness.damage(&format!("insert into site (name, added_at) values ('{site}', 0)")).await;
    }
    let key = |site: &str, n: u32| object(&format!("incoming/{site}/{n}.jpg"), "v1", None);
    let stat = NewImage { object: key("north", 0), lane: Lane::Stat };
    store.admit(&[stat]).await.expect("admitted");
    let oldest = image(&*store, key("north", 0).id()).await.received_at;
    harness.advance(Duration::from_secs(1)).await;
    let others = [key("north", 1), key("east", 2), key("north", 3)].map(|object| new(&object));
    store.admit(&others).await.expect("admitted");
    granted(&*store, key("north", 0).id()).await;
    let claimed = granted(&*store, key("north", 3).id()).await;
    assert!(complete(&*store, &claimed, ready(0.1)).await);

    let sites = store.overview().await.expect("overview").sites;
    let names: Vec<_> = sites.iter().map(|of_site| of_site.site.as_str()).collect();
    assert_eq!(names, ["north", "south"]);
    let count = |n: usize, state: State| {
        let found = sites[n].by_state.iter().find(|(of, _)| *of == state);
        found.map_or(0, |(_, images)| *images)
    };
    let states = [State::Queued, State::Analysing, State::Ready];
    assert_eq!(states.map(|state| count(0, state)), [1, 1, 1]);
    assert_eq!(states.map(|state| count(1, state)), [0, 0, 0]);
    assert_eq!((sites[0].unfinished.stat, sites[0].unfinished.routine), (1, 1));
    assert_eq!((sites[0].oldest_unfinished, sites[1].oldest_unfinished), (Some(oldest), None));
}

pub async fn everything_survives_closing_and_opening_the_store<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let [waiting, held, done, early] =
        ["a", "b", "c", "d"].map(|key| object(&format!("incoming/north/{key}"), "v1", None));
    for each in [&waiting, &held, &done] {
        admit(&*store, each).await;
    }
    let in_hand = granted(&*store, held.id()).await;
    let claimed = granted(&*store, done.id()).await;
    assert!(complete(&*store, &claimed, ready(0.875)).await);
    store.remove(&early).await.expect("removed");
    let before = all(&*store, &Filter::at(Sites::All), 10).await;
    let events = store.events(Seq(0), 100).await.expect("events");
    drop(store);

    let store = harness.reopen().await;
    assert_eq!(all(&*store, &Filter::at(Sites::All), 10).await, before);
    assert_eq!(store.events(Seq(0), 100).await.expect("events"), events);
    assert_eq!(image(&*store, done.id()).await.finding, Some(finding(0.875)));
    admit(&*store, &early).await;
    assert_eq!(state(&*store, &early).await, State::Removed);
    assert!(complete(&*store, &in_hand, ready(0.1)).await, "fences last, too");
    let more = store.events(events.last().expect("events").seq, 100).await.expect("events");
    assert_eq!(more.len(), 2, "numbering goes on");
}

pub async fn a_message_put_aside_is_no_error<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for _ in 0..2 {
        let message = Quarantined {
            source: "uploads".into(),
            reason: "malformed".into(),
            body: b"\0\xffgarbage".to_vec(),
        };
        store.quarantine(&message).await.expect("kept");
    }
}

pub async fn batches_of_thousands_are_taken<H: StoreHarness>() {
    const IMAGES: usize = 1_200;
    let harness = H::start().await;
    let store = harness.open().await;
    let objects: Vec<_> =
        (0..IMAGES).map(|n| object(&format!("incoming/north/{n}.jpg"), "v1", Some(9))).collect();
    let admitted = store.admit(&objects.iter().map(new).collect::<Vec<_>>()).await;
    assert_eq!(admitted.expect("admitted").len(), IMAGES);
    let ids: Vec<ImageId> = objects.iter().map(ObjectVersion::id).collect();
    let claims = store.claim(&ids, 3).await.expect("claimed");
    let granted = |(claim, id): (Claim, &ImageId)| match claim {
        Claim::Granted(claimed) if claimed.id == *id => Completion {
            id: *id,
            fence: claimed.fence,
            outcome: ready(0.1),
            trace: None,
            basis: Basis::default(),
        },
        other => panic!("not granted: {other:?}"),
    };
    let done: Vec<_> = claims.into_iter().zip(&ids).map(granted).collect();
    let accepted = store.complete(&done).await.expect("completed");
    assert!(accepted.len() == IMAGES && accepted.into_iter().all(|accepted| accepted));
    let page = store.list(&Filter::at(Sites::All), None, 2_000).await.expect("listed");
    assert_eq!((page.items.len(), page.total), (IMAGES, IMAGES as u64));
    assert!(page.items.iter().all(|image| image.state == State::Ready));
}

pub async fn a_batch_of_nothing_is_answered_with_nothing<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    assert_eq!(store.admit(&[]).await.expect("admitted"), []);
    assert_eq!(store.claim(&[], 3).await.expect("claimed"), []);
    assert!(store.complete(&[]).await.expect("completed").is_empty());
    store.release(&[]).await.expect("released");
    store.retry(&[]).await.expect("given back");
}

pub async fn a_store_that_takes_changes_says_so_and_one_whose_tables_cannot_be_written_does_not<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    for _ in 0..2 {
        store.check().await.expect("it takes changes");
    }
    assert_eq!(store.events(Seq(0), 10).await.expect("events"), [], "and none that means anything");
    harness.damage("drop table probe").await;
    store.check().await.expect_err("it can be read, and not written");
}

pub async fn a_probe_that_arrived_is_told_of_once<H: StoreHarness>() {
    let harness = H::start().await;
    let (ingest, doctor) = (harness.open().await, harness.open().await);
    let [arrived, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    assert!(!doctor.take_probe(arrived).await.expect("asked"));
    for _ in 0..2 {
        ingest.note_probe(arrived).await.expect("noted");
    }
    assert!(!doctor.take_probe(other).await.expect("asked"));
    assert!(doctor.take_probe(arrived).await.expect("asked"));
    assert!(!doctor.take_probe(arrived).await.expect("asked"), "once");
    assert_eq!(doctor.events(Seq(0), 10).await.expect("events"), [], "it is no image");
}

pub async fn a_probe_that_nobody_asked_for_is_forgotten_after_a_day<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let [old, young, new] = [1, 2, 3].map(Uuid::from_u128);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    store.note_probe(old).await.expect("noted");
    harness.advance(hours(2)).await;
    store.note_probe(young).await.expect("noted");
    harness.advance(hours(23)).await;
    store.note_probe(new).await.expect("noted");
    for (probe, kept) in [(old, false), (young, true), (new, true)] {
        assert_eq!(store.take_probe(probe).await.expect("asked"), kept, "{probe}");
    }
}

pub async fn states_of_many_images_are_answered_in_the_order_of_the_question<H: StoreHarness>() {
    let harness = H::start().await;
    let store = harness.open().await;
    assert_eq!(store.states(&[]).await.expect("asked"), []);
    let [queued, done, removed, unknown] =
        ["a", "b", "c", "d"].map(|key| object(&format!("incoming/north/{key}"), "v1", None));
    for each in [&queued, &done, &removed] {
        admit(&*store, each).await;
    }
    let claimed = granted(&*store, done.id()).await;
    assert!(complete(&*store, &claimed, ready(0.5)).await);
    store.remove(&removed).await.expect("removed");
    // More than one statement takes, and one id twice.
    let strangers = (0..1_200).map(|n| ImageId(Uuid::from_u128(n)));
    let asked: Vec<ImageId> = [unknown.id(), done.id(), queued.id()]
        .into_iter()
        .chain(strangers)
        .chain([removed.id(), done.id()])
        .collect();
    let states = store.states(&asked).await.expect("asked");
    assert_eq!(states.len(), asked.len());
    assert_eq!(states[..3], [None, Some(State::Ready), Some(State::Queued)]);
    assert!(states[3..1_203].iter().all(Option::is_none));
    assert_eq!(states[1_203..], [Some(State::Removed), Some(State::Ready)]);
}
