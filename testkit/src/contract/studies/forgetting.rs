//! What goes with its image.

use std::time::Duration;

use lobar_core::audit::Actor;
use lobar_core::erasure::{ErasureOrder, ErasureReason, ObjectSelector};
use lobar_core::object::ObjectVersion;
use lobar_core::store::Retained;
use lobar_core::study::PatientId;

use super::super::erasure::{ErasureHarness, Kept};
use super::{by, film, finish, fresh, id, identity, instance, known, north, of, priors};

async fn erase(kept: &Kept, objects: &[ObjectVersion]) {
    let (reason, actor) = (ErasureReason::Request, Actor::local("ada"));
    let order =
        ErasureOrder { reason, actor, role: None, request: None, detail: serde_json::json!({}) };
    kept.erasures.erase(objects, &order).await.expect("erased");
}

pub async fn an_erased_image_leaves_nothing_of_its_patient_and_others_keep_theirs<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let (a, b, c) = (film("north", "a"), film("north", "b"), film("north", "c"));
    finish(&kept, &a, of("7", "1.1", "20260101"), b"a").await;
    finish(&kept, &b, of("7", "1.2", "20260102"), b"b").await;
    finish(&kept, &c, of("8", "1.3", "20260103"), b"c").await;
    kept.studies.merge(&north(), &id("7"), &id("9"), &by()).await.expect("merged");
    let before = known(&kept, b.id()).await.patient;
    erase(&kept, std::slice::from_ref(&a)).await;
    assert!(identity(&kept, a.id()).await.is_none());
    assert_eq!(known(&kept, b.id()).await.patient, before);
    assert_eq!(priors(&kept, b.id()).await, []);
    erase(&kept, std::slice::from_ref(&b)).await;
    // Nothing of the patient is left: not their id, nor what it was merged into.
    let unknown = kept.studies.separate(&north(), &id("7"), &by()).await;
    assert!(unknown.is_err());
    let again = finish(&kept, &film("north", "d"), of("7", "1.4", "20260104"), b"d").await;
    let now = known(&kept, again).await;
    assert!(now.attributes.patient.id == id("7") && now.patient != before);
    assert!(known(&kept, c.id()).await.attributes.patient.id == id("8"));
}

pub async fn a_removed_image_or_one_whose_result_is_pruned_is_nobody_s<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let (a, b) = (film("north", "a"), film("north", "b"));
    finish(&kept, &a, of("7", "1.1", "20260101"), b"a").await;
    finish(&kept, &b, of("7", "1.2", "20260102"), b"b").await;
    kept.store.remove(&a).await.expect("removed");
    assert!(identity(&kept, a.id()).await.is_none());
    harness.advance(Duration::from_secs(60)).await;
    let pruned = kept.store.prune(Retained::Results, Duration::from_secs(1), 10).await;
    assert!(pruned.expect("pruned") >= 1);
    assert!(identity(&kept, b.id()).await.is_none());
}

pub async fn images_of_a_patient_are_found_to_be_erased<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let (a, b) = (film("north", "a"), film("north", "b"));
    finish(&kept, &a, of("7", "1.1", "20260101"), b"a").await;
    finish(&kept, &b, of("8", "1.2", "20260102"), b"b").await;
    finish(&kept, &film("south", "c"), of("7", "1.3", "20260103"), b"c").await;
    let find = async |id: PatientId| {
        let which = ObjectSelector::Patient { site: north(), id };
        let found = kept.erasures.find(&which, None, 10).await.expect("asked");
        let mut ids: Vec<_> = found.iter().map(ObjectVersion::id).collect();
        ids.sort();
        ids
    };
    assert_eq!(find(id("7")).await, [a.id()]);
    assert_eq!(find(PatientId { issuer: "else".into(), id: "7".into() }).await, []);
    kept.studies.merge(&north(), &id("7"), &id("8"), &by()).await.expect("merged");
    let mut both = vec![a.id(), b.id()];
    both.sort();
    assert_eq!(find(id("7")).await, both);
    assert_eq!(find(id("8")).await, both);
}

pub async fn images_of_the_same_instance_and_patient_are_found_to_be_erased<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let [a, b, c] = ["a", "b", "c"].map(|name| film("north", name));
    finish(&kept, &a, instance("7", "1.9"), b"same").await;
    finish(&kept, &b, instance("7", "1.9"), b"same").await;
    // Another patient's under the same uid, and another instance.
    finish(&kept, &c, instance("8", "1.9"), b"other").await;
    finish(&kept, &film("north", "d"), instance("7", "1.8"), b"same").await;
    for (one, other) in [(&a, &b), (&b, &a)] {
        let which = ObjectSelector::Instance(one.id());
        let found = kept.erasures.find(&which, None, 10).await.expect("asked");
        assert_eq!(found.iter().map(ObjectVersion::id).collect::<Vec<_>>(), [other.id()]);
    }
    let found = kept.erasures.find(&ObjectSelector::Instance(c.id()), None, 10).await;
    assert!(found.expect("asked").is_empty());
    // Erased together, neither is queued again.
    erase(&kept, &[a.clone(), b.clone()]).await;
    for gone in [a, b] {
        assert!(kept.store.image(gone.id()).await.expect("asked").is_none());
    }
}

pub async fn everything_survives_closing_and_opening<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let b = finish(&kept, &film("north", "b"), of("8", "1.2", "20260102"), b"b").await;
    kept.studies.merge(&north(), &id("7"), &id("8"), &by()).await.expect("merged");
    let before = known(&kept, a).await;
    drop(kept);
    let kept = harness.reopen().await;
    assert!(known(&kept, a).await == before);
    assert_eq!(priors(&kept, b).await, [a]);
}
