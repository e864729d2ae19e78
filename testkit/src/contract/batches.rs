//! The contract of batches.
#![allow(missing_docs)] // a sentence says it

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::{SiteName, Sites};
use lobar_core::audit::Actor;
use lobar_core::batch::{
    Added, Batch, BatchCounts, BatchId, BatchKey, BatchMention, Batches, Uploader,
};
use lobar_core::erasure::{ErasureOrder, ErasureReason, Erasures};
use lobar_core::image::{Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Filter, Outcome, Retained, Store};
use lobar_core::time::Stamp;
use lobar_core::worklist::{Urgency, Worklist};
use serde_json::json;
use uuid::Uuid;

use super::store::{admit, complete, granted, image, object, ready, told};

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../core/src/batch.rs");

/// Handles on one store, by each of its ports that the contract needs.
pub struct Uploads {
    pub batches: Arc<dyn Batches>,
    pub store: Arc<dyn Store>,
    pub worklist: Arc<dyn Worklist>,
    pub erasures: Arc<dyn Erasures>,
}

/// An adapter under test.
#[async_trait]
pub trait BatchesHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> Uploads;
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> Uploads;
    /// Lets time pass.
    async fn advance(&self, by: Duration);
    /// What time it is there.
    fn now(&self) -> Stamp;
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside.
    async fn damage(&self, statement: &str);
}

/// Runs the contract of batches on a harness.
#[macro_export]
macro_rules! batches_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::batches, suite::DOCUMENTATION, [
            a_batch_comes_about_with_its_first_file_and_belongs_to_the_site_of_that,
            a_file_of_another_site_is_not_added_to_a_batch,
            who_uploaded_is_kept_where_it_is_told_after_the_first_file,
            a_file_is_on_its_way_until_its_image_is_admitted_and_counted_by_the_image_s_state_from_then_on,
            a_file_that_is_added_again_is_counted_once,
            a_file_whose_image_was_there_before_is_told_of_as_a_duplicate,
            a_file_that_was_put_aside_is_counted_as_such_until_it_becomes_an_image_after_all,
            flags_and_reasons_are_counted,
            an_image_whose_state_cannot_be_read_is_counted_among_those_that_need_a_human,
            an_erased_image_is_counted_as_erased_in_each_of_its_batches,
            batches_are_listed_newest_first_in_pages_those_of_the_asked_sites_only_and_none_is_missed_or_shown_twice,
            lists_and_the_worklist_can_be_narrowed_to_a_batch_and_their_totals_with_them,
            what_failed_of_a_batch_is_queued_again_as_if_new_and_nothing_else_is,
            a_batch_is_deleted_with_results_that_are_as_old_as_the_last_file_that_was_added_to_it,
            everything_survives_closing_and_opening,
        ] }
    };
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn batch(n: u128) -> BatchId {
    BatchId(Uuid::from_u128(n))
}

fn site(name: &str) -> SiteName {
    SiteName::parse(name).expect("a name")
}

fn key(at: &str, n: usize) -> ObjectVersion {
    object(&format!("incoming/{at}/{n}.jpg"), "v1", None)
}

fn mention(id: BatchId, at: &str) -> BatchMention {
    BatchMention { batch: id, site: SiteName::parse(at), by: None }
}

/// Adds objects of the site `at`.
async fn add(to: &Uploads, id: BatchId, at: &str, objects: &[&ObjectVersion]) -> bool {
    let files: Vec<ImageId> = objects.iter().map(|object| object.id()).collect();
    to.batches.add(&mention(id, at), &files, Added::Image).await.expect("added")
}

/// Adds an object of the site north, admits it, and ends it with an outcome.
async fn put(to: &Uploads, id: BatchId, n: usize, outcome: Option<Outcome>) -> ObjectVersion {
    let object = key("north", n);
    assert!(add(to, id, "north", &[&object]).await);
    admit(&*to.store, &object).await;
    if let Some(outcome) = outcome {
        let claimed = granted(&*to.store, object.id()).await;
        assert!(complete(&*to.store, &claimed, outcome).await);
    }
    object
}

fn failed(reason: Reason) -> Outcome {
    Outcome::Failed { reason, detail: "after three tries".into() }
}

async fn known(uploads: &Uploads, id: BatchId) -> Batch {
    uploads.batches.batch(id).await.expect("asked").expect("known")
}

async fn counts(uploads: &Uploads, id: BatchId) -> BatchCounts {
    known(uploads, id).await.counts
}

async fn fresh<H: BatchesHarness>() -> (H, Uploads) {
    let harness = H::start().await;
    let uploads = harness.open().await;
    (harness, uploads)
}

pub async fn a_batch_comes_about_with_its_first_file_and_belongs_to_the_site_of_that<
    H: BatchesHarness,
>() {
    let (harness, uploads) = fresh::<H>().await;
    assert_eq!(uploads.batches.batch(batch(1)).await.expect("asked"), None);
    let opened_at = harness.now();
    assert!(add(&uploads, batch(1), "north", &[&key("north", 1)]).await);
    harness.advance(SECOND).await;
    assert!(add(&uploads, batch(1), "north", &[&key("north", 2)]).await);
    let found = known(&uploads, batch(1)).await;
    assert_eq!((found.site.clone(), found.by.clone()), (Some(site("north")), None));
    assert_eq!((found.opened_at, found.last_at), (opened_at, harness.now()));
    assert_eq!(found.counts.files(), 2);
    // One without a file, and one of an unknown site.
    assert!(add(&uploads, batch(2), "south", &[]).await);
    assert_eq!(counts(&uploads, batch(2)).await, BatchCounts::default());
    assert!(add(&uploads, batch(3), "", &[&object("1.jpg", "v1", None)]).await);
    assert_eq!(known(&uploads, batch(3)).await.site, None);
}

pub async fn a_file_of_another_site_is_not_added_to_a_batch<H: BatchesHarness>() {
    let (harness, uploads) = fresh::<H>().await;
    assert!(add(&uploads, batch(1), "north", &[&key("north", 1)]).await);
    let before = known(&uploads, batch(1)).await;
    harness.advance(SECOND).await;
    assert!(!add(&uploads, batch(1), "south", &[&key("south", 1)]).await);
    assert!(!add(&uploads, batch(1), "", &[&object("1.jpg", "v1", None)]).await);
    let to = mention(batch(1), "south");
    let junk = uploads.batches.add(&to, &[key("south", 2).id()], Added::PutAside).await;
    assert!(!junk.expect("asked"));
    assert_eq!(known(&uploads, batch(1)).await, before);
    // Of an unknown site, none of a known one.
    assert!(add(&uploads, batch(2), "", &[&object("1.jpg", "v1", None)]).await);
    assert!(!add(&uploads, batch(2), "north", &[&key("north", 1)]).await);
}

pub async fn who_uploaded_is_kept_where_it_is_told_after_the_first_file<H: BatchesHarness>() {
    let (_harness, uploads) = fresh::<H>().await;
    assert!(add(&uploads, batch(1), "north", &[&key("north", 1)]).await);
    let by = |n| Some(Uploader { id: Uuid::from_u128(n), name: format!("uploader {n}") });
    for n in [1, 2] {
        let to = BatchMention { by: by(n), ..mention(batch(1), "north") };
        assert!(uploads.batches.add(&to, &[], Added::Image).await.expect("added"));
    }
    assert!(add(&uploads, batch(1), "north", &[&key("north", 2)]).await);
    let found = known(&uploads, batch(1)).await;
    assert_eq!((found.by, found.counts.files()), (by(1), 2), "the first that was told");
}

pub async fn a_file_is_on_its_way_until_its_image_is_admitted_and_counted_by_the_image_s_state_from_then_on<
    H: BatchesHarness,
>() {
    let (_harness, uploads) = fresh::<H>().await;
    let one = key("north", 1);
    assert!(add(&uploads, batch(1), "north", &[&one]).await);
    let arriving = BatchCounts { arriving: 1, ..BatchCounts::default() };
    assert_eq!(counts(&uploads, batch(1)).await, arriving);
    let stands = async |state: State| {
        let by_state = BTreeMap::from([(state, 1)]);
        let expected = BatchCounts { by_state, ..BatchCounts::default() };
        assert_eq!(counts(&uploads, batch(1)).await, expected);
    };
    admit(&*uploads.store, &one).await;
    stands(State::Queued).await;
    let claimed = granted(&*uploads.store, one.id()).await;
    stands(State::Analysing).await;
    assert!(complete(&*uploads.store, &claimed, ready(0.25)).await);
    stands(State::Ready).await;
    uploads.store.remove(&one).await.expect("removed");
    stands(State::Removed).await;
}

pub async fn a_file_that_is_added_again_is_counted_once<H: BatchesHarness>() {
    let (_harness, uploads) = fresh::<H>().await;
    let one = put(&uploads, batch(1), 1, Some(ready(0.25))).await;
    let before = counts(&uploads, batch(1)).await;
    assert!(add(&uploads, batch(1), "north", &[&one, &one]).await);
    assert_eq!(counts(&uploads, batch(1)).await, before);
    // Thousands at once, some of them twice.
    let many: Vec<ImageId> = (0..1_200).map(|n| key("north", n % 700).id()).collect();
    let to = mention(batch(2), "north");
    assert!(uploads.batches.add(&to, &many, Added::Image).await.expect("added"));
    assert_eq!(counts(&uploads, batch(2)).await.files(), 700);
}

pub async fn a_file_whose_image_was_there_before_is_told_of_as_a_duplicate<H: BatchesHarness>() {
    let (_harness, uploads) = fresh::<H>().await;
    let one = put(&uploads, batch(1), 1, Some(ready(0.25))).await;
    assert!(add(&uploads, batch(2), "north", &[&one, &key("north", 2)]).await);
    let found = counts(&uploads, batch(2)).await;
    assert_eq!((found.duplicates, found.files()), (1, 2));
    assert_eq!(found.by_state, BTreeMap::from([(State::Ready, 1)]), "and by its state");
    assert_eq!(counts(&uploads, batch(1)).await.duplicates, 0);
}

pub async fn a_file_that_was_put_aside_is_counted_as_such_until_it_becomes_an_image_after_all<
    H: BatchesHarness,
>() {
    let (_harness, uploads) = fresh::<H>().await;
    let text = key("north", 1);
    let to = mention(batch(1), "north");
    // Whoever stored it adds it as any other, before and after.
    assert!(add(&uploads, batch(1), "north", &[&text]).await);
    assert!(uploads.batches.add(&to, &[text.id()], Added::PutAside).await.expect("added"));
    assert!(add(&uploads, batch(1), "north", &[&text]).await);
    let aside = BatchCounts { put_aside: 1, ..BatchCounts::default() };
    assert_eq!(counts(&uploads, batch(1)).await, aside);
    admit(&*uploads.store, &text).await;
    let queued = BTreeMap::from([(State::Queued, 1)]);
    assert_eq!(
        counts(&uploads, batch(1)).await,
        BatchCounts { by_state: queued, ..BatchCounts::default() }
    );
}

pub async fn flags_and_reasons_are_counted<H: BatchesHarness>() {
    let (_harness, uploads) = fresh::<H>().await;
    let blank = || Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() };
    let outcomes = [
        ready(0.875),
        ready(0.875),
        ready(0.25),
        blank(),
        blank(),
        failed(Reason::RepeatedFailure),
        failed(Reason::FetchFailed),
    ];
    for (n, outcome) in outcomes.into_iter().enumerate() {
        put(&uploads, batch(1), n, Some(outcome)).await;
    }
    let found = counts(&uploads, batch(1)).await;
    let states = [(State::Ready, 3), (State::NeedsHuman, 2), (State::Failed, 2)];
    assert_eq!((found.flagged, found.by_state), (2, BTreeMap::from(states)));
    let reasons = [
        ((State::NeedsHuman, Reason::Blank), 2),
        ((State::Failed, Reason::RepeatedFailure), 1),
        ((State::Failed, Reason::FetchFailed), 1),
    ];
    assert_eq!(found.reasons, BTreeMap::from(reasons));
}

pub async fn an_image_whose_state_cannot_be_read_is_counted_among_those_that_need_a_human<
    H: BatchesHarness,
>() {
    let (harness, uploads) = fresh::<H>().await;
    let strange = put(&uploads, batch(1), 1, None).await;
    put(&uploads, batch(1), 2, Some(ready(0.25))).await;
    let id = strange.id().0;
    harness
        .damage(&format!(
            "update image set state = 'later' where version = 'v1' and key = '{}'",
            strange.key
        ))
        .await;
    let found = counts(&uploads, batch(1)).await;
    let states = [(State::Ready, 1), (State::NeedsHuman, 1)];
    assert_eq!(found.by_state, BTreeMap::from(states), "{id}");
    let reasons = [((State::NeedsHuman, Reason::RecordUnreadable), 1)];
    assert_eq!(found.reasons, BTreeMap::from(reasons));
}

pub async fn an_erased_image_is_counted_as_erased_in_each_of_its_batches<H: BatchesHarness>() {
    let (_harness, uploads) = fresh::<H>().await;
    let one = put(&uploads, batch(1), 1, Some(ready(0.875))).await;
    put(&uploads, batch(1), 2, Some(ready(0.875))).await;
    assert!(add(&uploads, batch(2), "north", &[&one]).await);
    let order = ErasureOrder {
        actor: Actor::system(),
        role: None,
        reason: ErasureReason::Request,
        detail: json!({}),
        request: None,
    };
    uploads.erasures.erase(std::slice::from_ref(&one), &order).await.expect("erased");
    let found = counts(&uploads, batch(1)).await;
    assert_eq!((found.erased, found.flagged, found.files()), (1, 1, 2));
    let found = counts(&uploads, batch(2)).await;
    assert_eq!((found.erased, found.duplicates, found.files()), (1, 1, 1));
    uploads.erasures.finish(&[one.id()]).await.expect("finished");
    assert_eq!(counts(&uploads, batch(1)).await.erased, 1);
    let filter = Filter { batch: Some(batch(1)), ..Filter::at(Sites::All) };
    assert_eq!(uploads.store.list(&filter, None, 10).await.expect("listed").total, 1);
}

pub async fn batches_are_listed_newest_first_in_pages_those_of_the_asked_sites_only_and_none_is_missed_or_shown_twice<
    H: BatchesHarness,
>() {
    let (harness, uploads) = fresh::<H>().await;
    for n in 0..9 {
        let at = ["north", "south", ""][n % 3];
        assert!(add(&uploads, batch(n as u128), at, &[&key("x", n)]).await);
        // Some of them are opened at the same moment.
        if n % 2 == 0 {
            harness.advance(SECOND).await;
        }
    }
    let only = |names: &[&str]| Sites::Only(names.iter().map(|name| site(name)).collect());
    for (sites, expected) in [
        (Sites::All, vec![8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (only(&["north"]), vec![6, 3, 0]),
        (only(&["south", "north"]), vec![7, 6, 4, 3, 1, 0]),
        (only(&["west"]), vec![]),
        (Sites::none(), vec![]),
    ] {
        for limit in [1, 2, 10] {
            let (mut found, mut after): (Vec<u128>, Option<BatchKey>) = (Vec::new(), None);
            loop {
                let page = uploads.batches.batches(&sites, after, limit).await.expect("listed");
                assert!(page.items.len() <= limit);
                assert_eq!(page.total, expected.len() as u64);
                assert!(page.items.iter().all(|batch| batch.counts.arriving == 1));
                found.extend(page.items.iter().map(|batch| batch.id.0.as_u128()));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{sites}, {limit} a page");
        }
    }
}

pub async fn lists_and_the_worklist_can_be_narrowed_to_a_batch_and_their_totals_with_them<
    H: BatchesHarness,
>() {
    let (harness, uploads) = fresh::<H>().await;
    let mut own = Vec::new();
    for n in 0..7 {
        let id = if n % 2 == 0 { batch(1) } else { batch(2) };
        let object = put(&uploads, id, n, Some(ready(if n == 0 { 0.875 } else { 0.25 }))).await;
        own.extend((n % 2 == 0).then(|| object.id()));
        harness.advance(SECOND).await;
    }
    own.reverse();
    let filter = Filter { batch: Some(batch(1)), ..Filter::at(Sites::All) };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = uploads.store.list(&filter, after, 3).await.expect("listed");
        assert_eq!(page.total, 4);
        found.extend(page.items.iter().map(|image| image.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, own);
    let total = async |filter: &Filter| {
        let list = uploads.store.list(filter, None, 10).await.expect("listed");
        let urgency = Urgency::at(harness.now(), DAY, true);
        let waiting = uploads.worklist.to_read(filter, &urgency, None, None, 10).await;
        let waiting = waiting.expect("listed");
        assert_eq!(list.total, list.items.len() as u64);
        assert_eq!(waiting.total, waiting.items.len() as u64);
        (list.total, waiting.total)
    };
    assert_eq!(total(&filter).await, (4, 4));
    assert_eq!(total(&Filter { flagged: Some(true), ..filter.clone() }).await, (1, 1));
    let elsewhere = Filter { sites: Sites::one(site("south")), ..filter.clone() };
    assert_eq!(total(&elsewhere).await, (0, 0));
    assert_eq!(total(&Filter { states: vec![State::Failed], ..filter.clone() }).await, (0, 0));
    assert_eq!(total(&Filter { batch: Some(batch(9)), ..filter }).await, (0, 0));
}

pub async fn what_failed_of_a_batch_is_queued_again_as_if_new_and_nothing_else_is<
    H: BatchesHarness,
>() {
    let (_harness, uploads) = fresh::<H>().await;
    let mut expected = Vec::new();
    for n in 0..5 {
        let object = put(&uploads, batch(1), n, Some(failed(Reason::RepeatedFailure))).await;
        expected.push(object);
    }
    expected.sort_unstable_by_key(ObjectVersion::id);
    let blank = Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() };
    let human = put(&uploads, batch(1), 10, Some(blank)).await;
    let other = put(&uploads, batch(2), 11, Some(failed(Reason::RepeatedFailure))).await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let queued = uploads.batches.retry(batch(1), after, 2).await.expect("queued");
        after = queued.last().map(ObjectVersion::id);
        if queued.is_empty() {
            break;
        }
        found.extend(queued);
    }
    let ids = |all: &[ObjectVersion]| all.iter().map(ObjectVersion::id).collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&expected));
    for object in &found {
        let queued = image(&*uploads.store, object.id()).await;
        assert_eq!((queued.state, queued.reason, queued.attempts), (State::Queued, None, 0));
        assert_eq!(told(&*uploads.store, object.id()).await.last(), Some(&State::Queued));
        assert!(granted(&*uploads.store, object.id()).await.counted);
    }
    let states = [&human, &other].map(|object| object.id());
    let states = uploads.store.states(&states).await.expect("asked");
    assert_eq!(states, [Some(State::NeedsHuman), Some(State::Failed)]);
    assert_eq!(uploads.batches.retry(batch(1), None, 10).await.expect("asked"), []);
    let analysing = Filter { states: vec![State::Analysing], ..Filter::at(Sites::All) };
    assert_eq!(uploads.store.list(&analysing, None, 10).await.expect("listed").total, 5);
}

pub async fn a_batch_is_deleted_with_results_that_are_as_old_as_the_last_file_that_was_added_to_it<
    H: BatchesHarness,
>() {
    let (harness, uploads) = fresh::<H>().await;
    put(&uploads, batch(1), 1, Some(ready(0.25))).await;
    put(&uploads, batch(2), 2, Some(ready(0.25))).await;
    harness.advance(DAY * 2).await;
    put(&uploads, batch(2), 3, Some(ready(0.25))).await;
    let pruned = uploads.store.prune(Retained::Results, DAY, 100).await.expect("pruned");
    assert_eq!(pruned, 3, "two results and a batch");
    assert_eq!(uploads.batches.batch(batch(1)).await.expect("asked"), None);
    let states = [(State::Ready, 1), (State::Removed, 1)];
    assert_eq!(counts(&uploads, batch(2)).await.by_state, BTreeMap::from(states));
    // It may come again.
    assert!(add(&uploads, batch(1), "south", &[&key("south", 1)]).await);
    assert_eq!(counts(&uploads, batch(1)).await.files(), 1);
}

pub async fn everything_survives_closing_and_opening<H: BatchesHarness>() {
    let (harness, uploads) = fresh::<H>().await;
    put(&uploads, batch(1), 1, Some(failed(Reason::FetchFailed))).await;
    let by = Some(Uploader { id: Uuid::from_u128(1), name: "ada".into() });
    let to = BatchMention { by, ..mention(batch(1), "north") };
    assert!(
        uploads.batches.add(&to, &[key("north", 2).id()], Added::PutAside).await.expect("added")
    );
    let before = known(&uploads, batch(1)).await;
    drop(uploads);
    let uploads = harness.reopen().await;
    assert_eq!(known(&uploads, batch(1)).await, before);
}
