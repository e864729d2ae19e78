//! The contract of storage commitment.
#![allow(missing_docs)] // a sentence says it

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::SiteName;
use lobar_core::audit::Actor;
use lobar_core::commitment::{
    CommitmentRequest, CommitmentRoom, Commitments, DueReport, GIVEN_UP_KEPT, Requester,
    SopReference,
};
use lobar_core::erasure::{ErasureOrder, ErasureReason, Erasures};
use lobar_core::object::ObjectVersion;
use lobar_core::store::{Basis, Completion, Store};
use lobar_core::study::{Attributes, DataSetHash, Uid, instance_key};
use serde_json::json;

use super::store::{admit, granted, object, ready};

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../core/src/commitment.rs");

/// Handles on one store, by each of its ports that the contract needs.
pub struct Handles {
    pub commitments: Arc<dyn Commitments>,
    pub erasures: Arc<dyn Erasures>,
    pub store: Arc<dyn Store>,
}

/// An adapter under test.
#[async_trait]
pub trait CommitmentsHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> Handles;
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> Handles;
    /// Lets time pass.
    async fn advance(&self, by: Duration);
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside.
    async fn damage(&self, statement: &str);
}

/// Runs the contract of storage commitment on a harness.
#[macro_export]
macro_rules! commitments_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::commitments, suite::DOCUMENTATION, [
            a_request_that_was_kept_is_held_by_whoever_kept_it_with_all_that_it_names,
            a_request_that_is_held_is_due_to_nobody_else_until_its_lease_lapses,
            a_lease_that_is_extended_lapses_later,
            what_is_put_back_is_due_when_it_says_and_counts_as_tried_only_where_it_was,
            of_two_that_claim_at_the_same_time_one_gets_a_request,
            requests_are_claimed_in_the_order_in_which_they_are_due,
            who_asks_again_takes_the_place_of_what_they_asked_before_and_nobody_holds_that_any_more,
            the_same_transaction_of_another_peer_or_of_another_site_is_another_request,
            as_many_requests_wait_as_there_may_be_of_all_and_of_one_peer_and_asking_again_is_no_further_one,
            a_request_whose_report_was_taken_is_gone,
            a_request_that_was_given_up_names_nothing_is_not_due_and_is_told_of_for_thirty_days,
            whoever_holds_a_request_no_more_changes_nothing,
            a_request_that_names_an_erased_image_names_nothing_any_more_is_held_by_nobody_and_is_due_at_once,
            a_request_that_cannot_be_read_hides_no_other,
            everything_survives_closing_and_opening,
        ] }
    };
}

const LEASE: Duration = Duration::from_secs(60);
const ROOM: CommitmentRoom = CommitmentRoom { all: 100, of_one: 50 };
const SECOND: Duration = Duration::from_secs(1);

fn uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID")
}

fn site(name: &str) -> SiteName {
    SiteName::parse(name).expect("a name")
}

fn of(title: &str, at: &str, transaction: &str, instances: &[&str]) -> CommitmentRequest {
    let reference = |it: &&str| SopReference { class: uid("1.2.840.1"), instance: uid(it) };
    CommitmentRequest {
        requester: Requester {
            site: site(at),
            title: title.into(),
            called: "LOBAR".into(),
            host: "10.0.0.5".parse().expect("an address"),
            certificate: None,
        },
        transaction: uid(transaction),
        references: instances.iter().map(reference).collect(),
    }
}

fn request(transaction: &str) -> CommitmentRequest {
    of("CR1", "north", transaction, &["1.5", "1.6"])
}

async fn keep(commitments: &dyn Commitments, request: &CommitmentRequest) -> DueReport {
    commitments.keep(request, ROOM, LEASE).await.expect("asked").expect("kept")
}

async fn claim(commitments: &dyn Commitments) -> Vec<DueReport> {
    commitments.claim(LEASE, 10).await.expect("asked")
}

async fn put_back(commitments: &dyn Commitments, due: &DueReport, after: Duration) {
    assert!(commitments.put_back(due.claim, after, true).await.expect("asked"));
}

async fn fresh<H: CommitmentsHarness>() -> (H, Handles) {
    let harness = H::start().await;
    let handles = harness.open().await;
    (harness, handles)
}

pub async fn a_request_that_was_kept_is_held_by_whoever_kept_it_with_all_that_it_names<
    H: CommitmentsHarness,
>() {
    let (_harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let names: Vec<String> = (0..1_200).map(|n| format!("1.5.{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut asked = of("OLD PACS", "north", "1.9", &names);
    asked.requester.host = "fd00::7".parse().expect("an address");
    asked.requester.certificate = Some([7; 32]);
    let due = keep(commitments, &asked).await;
    assert_eq!((&due.request, due.tries, due.age), (&asked, 0, Duration::ZERO));
    assert_eq!(claim(commitments).await, []);
    put_back(commitments, &due, Duration::ZERO).await;
    let [again] = &claim(commitments).await[..] else { panic!("one is due") };
    assert_eq!(again.request, asked, "in their order");
}

pub async fn a_request_that_is_held_is_due_to_nobody_else_until_its_lease_lapses<
    H: CommitmentsHarness,
>() {
    let (harness, handles) = fresh::<H>().await;
    let other = harness.open().await.commitments;
    let due = keep(&*handles.commitments, &request("1.1")).await;
    harness.advance(LEASE - SECOND).await;
    assert_eq!(claim(&*other).await, []);
    harness.advance(SECOND * 2).await;
    let [taken] = &claim(&*other).await[..] else { panic!("one is due") };
    assert_eq!((&taken.request, taken.tries), (&due.request, 0));
    assert!(taken.age > LEASE, "{:?}", taken.age);
    assert_eq!(claim(&*handles.commitments).await, [], "held again");
}

pub async fn a_lease_that_is_extended_lapses_later<H: CommitmentsHarness>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let due = keep(commitments, &request("1.1")).await;
    harness.advance(LEASE - SECOND).await;
    assert!(commitments.extend(due.claim, LEASE).await.expect("asked"));
    harness.advance(LEASE - SECOND).await;
    assert_eq!(claim(commitments).await, []);
    harness.advance(SECOND * 2).await;
    assert_eq!(claim(commitments).await.len(), 1);
}

pub async fn what_is_put_back_is_due_when_it_says_and_counts_as_tried_only_where_it_was<
    H: CommitmentsHarness,
>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let due = keep(commitments, &request("1.1")).await;
    assert!(commitments.put_back(due.claim, Duration::ZERO, false).await.expect("asked"));
    let due = claim(commitments).await.remove(0);
    assert_eq!(due.tries, 0);
    let pause = Duration::from_secs(600);
    put_back(commitments, &due, pause).await;
    harness.advance(pause - SECOND).await;
    assert_eq!(claim(commitments).await, []);
    harness.advance(SECOND).await;
    assert_eq!(claim(commitments).await[0].tries, 1);
}

pub async fn of_two_that_claim_at_the_same_time_one_gets_a_request<H: CommitmentsHarness>() {
    let (harness, handles) = fresh::<H>().await;
    for number in 0..20 {
        let due = keep(&*handles.commitments, &request(&format!("1.1.{number}"))).await;
        put_back(&*handles.commitments, &due, Duration::ZERO).await;
    }
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(harness.open().await.commitments);
    }
    let claims = others.iter().map(async |one| {
        let mut all = Vec::new();
        for _ in 0..10 {
            all.extend(one.claim(LEASE, 3).await.expect("asked"));
        }
        all
    });
    let claimed = futures::future::join_all(claims).await.concat();
    let transactions: BTreeSet<&str> =
        claimed.iter().map(|due| due.request.transaction.as_str()).collect();
    assert_eq!((claimed.len(), transactions.len()), (20, 20));
}

pub async fn requests_are_claimed_in_the_order_in_which_they_are_due<H: CommitmentsHarness>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    for (transaction, after) in [("1.1", 30), ("1.2", 10), ("1.3", 20)] {
        let due = keep(commitments, &request(transaction)).await;
        put_back(commitments, &due, SECOND * after).await;
    }
    harness.advance(SECOND * 30).await;
    let first = commitments.claim(LEASE, 2).await.expect("asked");
    let then = commitments.claim(LEASE, 2).await.expect("asked");
    let order: Vec<String> = [first, then]
        .concat()
        .iter()
        .map(|due| due.request.transaction.as_str().to_owned())
        .collect();
    assert_eq!(order, ["1.2", "1.3", "1.1"]);
}

pub async fn who_asks_again_takes_the_place_of_what_they_asked_before_and_nobody_holds_that_any_more<
    H: CommitmentsHarness,
>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let before = keep(commitments, &request("1.1")).await;
    let again = of("CR1", "north", "1.1", &["1.7"]);
    let due = keep(commitments, &again).await;
    assert!(!commitments.extend(before.claim, LEASE).await.expect("asked"));
    assert!(!commitments.finish(before.claim).await.expect("asked"));
    assert!(commitments.extend(due.claim, LEASE).await.expect("asked"));
    harness.advance(LEASE * 2).await;
    let [only] = &claim(commitments).await[..] else { panic!("one is due") };
    assert_eq!(only.request, again);
}

pub async fn the_same_transaction_of_another_peer_or_of_another_site_is_another_request<
    H: CommitmentsHarness,
>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    for (title, site) in [("CR1", "north"), ("CR2", "north"), ("CR1", "south")] {
        keep(commitments, &of(title, site, "1.1", &["1.5"])).await;
    }
    harness.advance(LEASE).await;
    assert_eq!(claim(commitments).await.len(), 3);
}

pub async fn as_many_requests_wait_as_there_may_be_of_all_and_of_one_peer_and_asking_again_is_no_further_one<
    H: CommitmentsHarness,
>() {
    let (_harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let room = CommitmentRoom { all: 3, of_one: 2 };
    let enter = async |title: &str, transaction: &str| {
        let asked = of(title, "north", transaction, &["1.5"]);
        commitments.keep(&asked, room, LEASE).await.expect("asked")
    };
    let first = enter("A", "1.1").await.expect("room");
    assert!(enter("A", "1.2").await.is_some());
    assert!(enter("A", "1.3").await.is_none(), "as many as of one peer");
    assert!(enter("A", "1.1").await.is_some(), "in its own place");
    assert!(!commitments.finish(first.claim).await.expect("asked"));
    let other = enter("B", "1.1").await.expect("room");
    assert!(enter("C", "1.1").await.is_none(), "as many as in all");
    assert_eq!(commitments.commitments().await.expect("asked").waiting, 3);
    assert!(commitments.give_up(other.claim).await.expect("asked"));
    assert!(enter("C", "1.1").await.is_some(), "what was given up takes no room");
}

pub async fn a_request_whose_report_was_taken_is_gone<H: CommitmentsHarness>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let due = keep(commitments, &request("1.1")).await;
    let waiting = commitments.commitments().await.expect("asked");
    assert_eq!((waiting.waiting, waiting.given_up), (1, 0));
    assert!(waiting.oldest.is_some());
    assert!(commitments.finish(due.claim).await.expect("asked"));
    assert!(!commitments.finish(due.claim).await.expect("asked"));
    harness.advance(LEASE * 2).await;
    assert_eq!(claim(commitments).await, []);
    assert_eq!(commitments.commitments().await.expect("asked"), Default::default());
}

pub async fn a_request_that_was_given_up_names_nothing_is_not_due_and_is_told_of_for_thirty_days<
    H: CommitmentsHarness,
>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let due = keep(commitments, &request("1.1")).await;
    assert!(commitments.give_up(due.claim).await.expect("asked"));
    harness.advance(LEASE * 2).await;
    assert_eq!(claim(commitments).await, []);
    let told = commitments.commitments().await.expect("asked");
    assert_eq!((told.waiting, told.oldest, told.given_up), (0, None, 1));
    // Fails where something is left that would be named again, or stands in the way.
    let again = keep(commitments, &request("1.1")).await;
    assert!(commitments.give_up(again.claim).await.expect("asked"));
    assert_eq!(commitments.commitments().await.expect("asked").given_up, 2);
    harness.advance(GIVEN_UP_KEPT).await;
    assert_eq!(commitments.commitments().await.expect("asked").given_up, 0);
}

pub async fn whoever_holds_a_request_no_more_changes_nothing<H: CommitmentsHarness>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let late = keep(commitments, &request("1.1")).await;
    harness.advance(LEASE).await;
    let due = claim(commitments).await.remove(0);
    assert!(!commitments.extend(late.claim, LEASE * 9).await.expect("asked"));
    assert!(!commitments.put_back(late.claim, LEASE * 9, true).await.expect("asked"));
    assert!(!commitments.finish(late.claim).await.expect("asked"));
    assert!(!commitments.give_up(late.claim).await.expect("asked"));
    harness.advance(LEASE).await;
    let again = claim(commitments).await.remove(0);
    assert_eq!((&again.request, again.tries), (&due.request, 0));
}

async fn erase(handles: &Handles, object: &ObjectVersion) {
    let order = ErasureOrder {
        reason: ErasureReason::Request,
        actor: Actor::local("ada"),
        role: None,
        request: None,
        detail: json!({}),
    };
    let erased = handles.erasures.erase(std::slice::from_ref(object), &order).await;
    assert_eq!(erased.expect("erased"), [object.id()]);
}

pub async fn a_request_that_names_an_erased_image_names_nothing_any_more_is_held_by_nobody_and_is_due_at_once<
    H: CommitmentsHarness,
>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    let asked = [
        ("1.1", &["1.5", "1.6"][..], "north"),
        ("1.2", &["1.6"], "north"),
        ("1.3", &["1.5"], "south"),
        ("1.4", &["1.8"], "north"),
    ];
    let mut held = Vec::new();
    for (transaction, instances, site) in asked {
        held.push(keep(commitments, &of("CR1", site, transaction, instances)).await.claim);
    }
    // By its key, as DICOM brings it, though it was never admitted; and by what its file says, wherever it lies.
    let key =
        instance_key(&site("north"), &uid("1.5"), &uid("1.2"), DataSetHash::of("1.2", b"bytes"));
    erase(&handles, &object(&key, "v1", Some(1))).await;
    let elsewhere = object("incoming/north/film.dcm", "v1", Some(1));
    admit(&*handles.store, &elsewhere).await;
    let claimed = granted(&*handles.store, elsewhere.id()).await;
    let mut known = Attributes::default();
    known.instance.uid = Some(uid("1.8"));
    let basis = Basis { input: None, model: None, identity: Some(Box::new(known)) };
    let (id, fence, outcome) = (claimed.id, claimed.fence, ready(0.9));
    let done = Completion { id, fence, outcome, trace: None, basis };
    assert_eq!(handles.store.complete(&[done]).await.expect("completed"), [true]);
    erase(&handles, &elsewhere).await;

    let due = claim(commitments).await;
    let mut due: Vec<&str> = due.iter().map(|one| one.request.transaction.as_str()).collect();
    due.sort_unstable();
    assert_eq!(due, ["1.1", "1.4"], "the lease of the others goes on");
    for (claim, still) in held.into_iter().zip([false, true, true, false]) {
        assert_eq!(commitments.extend(claim, LEASE).await.expect("asked"), still);
    }
    harness.advance(LEASE).await;
    let mut due = claim(commitments).await;
    due.sort_by(|one, other| one.request.transaction.cmp(&other.request.transaction));
    let named: Vec<usize> = due.iter().map(|one| one.request.references.len()).collect();
    assert_eq!(named, [0, 1, 1, 0]);
}

pub async fn a_request_that_cannot_be_read_hides_no_other<H: CommitmentsHarness>() {
    let (harness, handles) = fresh::<H>().await;
    let commitments = &*handles.commitments;
    for title in ["A", "B", "C"] {
        keep(commitments, &of(title, "north", "1.1", &["1.5"])).await;
    }
    harness.damage("update commitment set host = 'nowhere' where title = 'A'").await;
    harness
        .damage(
            "update commitment_instance set uid = 'none'
             where commitment = (select id from commitment where title = 'B')",
        )
        .await;
    harness.advance(LEASE).await;
    let due = claim(commitments).await;
    let [one] = due.as_slice() else { panic!("one can be read: {due:?}") };
    assert_eq!(one.request.requester.title, "C");
    assert_eq!(commitments.commitments().await.expect("asked").waiting, 3, "and all are kept");
}

pub async fn everything_survives_closing_and_opening<H: CommitmentsHarness>() {
    let (harness, handles) = fresh::<H>().await;
    let due = keep(&*handles.commitments, &request("1.1")).await;
    let given_up = keep(&*handles.commitments, &request("1.2")).await;
    assert!(handles.commitments.give_up(given_up.claim).await.expect("asked"));
    drop(handles);
    let commitments = harness.reopen().await.commitments;
    assert_eq!(claim(&*commitments).await, [], "held by who ended, until its lease lapses");
    let told = commitments.commitments().await.expect("asked");
    assert_eq!((told.waiting, told.given_up), (1, 1));
    harness.advance(LEASE).await;
    let [again] = &claim(&*commitments).await[..] else { panic!("one is due") };
    assert_eq!(again.request, due.request);
}
