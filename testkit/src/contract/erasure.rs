//! The contract of erasure.
#![allow(missing_docs)] // a sentence says it

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::{Role, Sites};
use lobar_core::audit::{Actor, Audit, Cursor};
use lobar_core::erasure::{ErasureOrder, ErasureReason, Erasures, ObjectSelector};
use lobar_core::event::Seq;
use lobar_core::finding::Label;
use lobar_core::image::{NewImage, State};
use lobar_core::model_registry::{ModelRegistry, NewModel, ShadowFinding};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::quarantine::{EntryState, Quarantine};
use lobar_core::store::{Admission, Claim, Filter, Quarantined, Store};
use lobar_core::study::Studies;
use lobar_core::time::Stamp;
use lobar_core::verdict::{NewVerdict, Note, Opinion, Terms, VerdictError, Verdicts, Withdrawal};
use serde_json::{Value, json};

use super::store::{admit, complete, granted, object, ready, told};

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../core/src/erasure/mod.rs");

/// Handles on one store, by each of its ports that erasing touches.
pub struct Kept {
    pub store: Arc<dyn Store>,
    pub erasures: Arc<dyn Erasures>,
    pub verdicts: Arc<dyn Verdicts>,
    pub quarantine: Arc<dyn Quarantine>,
    pub audit: Arc<dyn Audit>,
    pub models: Arc<dyn ModelRegistry>,
    pub studies: Arc<dyn Studies>,
}

/// An adapter under test.
#[async_trait]
pub trait ErasureHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> Kept;
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> Kept;
    /// Lets time pass.
    async fn advance(&self, by: Duration);
}

/// Runs the contract of erasure on a harness.
#[macro_export]
macro_rules! erasure_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::erasure, suite::DOCUMENTATION, [
            an_erased_image_is_unknown_and_neither_listed_nor_counted,
            what_was_said_of_an_erased_image_is_gone_by_readers_and_by_a_shadow,
            an_event_says_that_an_erased_image_was_removed_and_names_its_site,
            the_audit_record_says_who_erased_an_image_and_why,
            a_late_notification_does_not_bring_an_erased_image_back,
            a_look_into_the_bucket_does_not_bring_an_erased_image_back,
            work_on_an_erased_image_is_refused,
            a_later_version_of_an_erased_key_is_admitted_as_any_other,
            an_older_version_of_an_erased_key_that_is_told_of_late_is_not_kept,
            a_version_that_was_erased_before_it_was_admitted_is_not_admitted,
            an_erased_object_is_named_until_it_is_finished_and_afterwards_nothing_names_it,
            erasing_again_what_waits_changes_nothing_and_what_was_finished_waits_again,
            by_age_nothing_is_erased_a_second_time_be_it_finished_or_not,
            messages_in_quarantine_that_name_an_erased_object_lose_their_bytes,
            objects_are_found_by_their_key_by_the_beginning_of_it_and_by_their_age,
            hundreds_of_images_are_erased_at_once,
            everything_survives_closing_and_opening,
        ] }
    };
}

const KEY: &str = "incoming/north/a.jpg";

fn version(version: &str, order: u64) -> ObjectVersion {
    object(KEY, version, Some(order))
}

fn order() -> ErasureOrder {
    ErasureOrder {
        reason: ErasureReason::Request,
        actor: Actor::local("ada"),
        role: Some(Role::Admin),
        request: Some("r-1".into()),
        detail: json!({ "by": "ada" }),
    }
}

async fn erase(kept: &Kept, objects: &[ObjectVersion]) -> Vec<ImageId> {
    kept.erasures.erase(objects, &order()).await.expect("erased")
}

/// A store with one finished image.
async fn finished<H: ErasureHarness>() -> (H, Kept, ObjectVersion) {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = version("v1", 1);
    admit(&*kept.store, &image).await;
    let claimed = granted(&*kept.store, image.id()).await;
    assert!(complete(&*kept.store, &claimed, ready(0.9)).await);
    (harness, kept, image)
}

async fn total(store: &dyn Store) -> (u64, usize) {
    let page = store.list(&Filter::at(Sites::All), None, 100).await.expect("listed");
    (page.total, page.items.len())
}

async fn assert_gone(kept: &Kept, id: ImageId) {
    assert_eq!(kept.store.image(id).await.expect("asked"), None);
    assert_eq!(kept.store.states(&[id]).await.expect("asked"), [Some(State::Removed)]);
    // Not as one that is not known yet: its job would be tried again.
    let settled = Claim::Settled(State::Removed);
    assert_eq!(kept.store.claim(&[id], 100).await.expect("asked"), [settled]);
}

pub async fn an_erased_image_is_unknown_and_neither_listed_nor_counted<H: ErasureHarness>() {
    let (_harness, kept, image) = finished::<H>().await;
    let other = object("incoming/north/b.jpg", "v1", Some(2));
    admit(&*kept.store, &other).await;
    assert_eq!(total(&*kept.store).await, (2, 2));
    assert_eq!(erase(&kept, std::slice::from_ref(&image)).await, [image.id()]);
    assert_gone(&kept, image.id()).await;
    assert_eq!(total(&*kept.store).await, (1, 1));
    let overview = kept.store.overview().await.expect("asked");
    let counted: u64 = overview.by_state.iter().map(|(_, images)| images).sum();
    assert_eq!(counted, 1, "{overview:?}");
    assert_eq!(erase(&kept, &[]).await, []);
}

pub async fn what_was_said_of_an_erased_image_is_gone_by_readers_and_by_a_shadow<
    H: ErasureHarness,
>() {
    let (_harness, kept, image) = finished::<H>().await;
    let id = image.id();
    let verdict = NewVerdict {
        image: id,
        model_version: Some("7".into()),
        opinion: Opinion::Disagree { label: Label::Normal },
        note: Note("Jane Doe, again".into()),
        reader: "ada".into(),
        role: "clinician".into(),
        displayed: vec!["picture".into()],
        rendering: Some("seen".into()),
    };
    let withdrawn = kept.verdicts.add(&verdict, &Terms::default()).await.expect("added");
    kept.verdicts.add(&verdict, &Terms::default()).await.expect("added");
    let (reader, role) = ("ada".into(), "clinician".into());
    let withdrawal = Withdrawal { image: id, verdict: withdrawn.id, reader, role };
    // The newest one first.
    let newest = kept.verdicts.of(id).await.expect("asked").pop().expect("kept").id;
    for verdict in [newest, withdrawn.id] {
        let withdrawal = Withdrawal { verdict, ..withdrawal.clone() };
        kept.verdicts.withdraw(&withdrawal).await.expect("withdrawn");
    }
    kept.verdicts.add(&verdict, &Terms::default()).await.expect("added");
    for version in ["7", "8"] {
        let sha256 = format!("{version:0>64}");
        let (key, card) = (format!("{sha256}.safetensors"), json!({ "version": version }));
        let model = NewModel { version: version.into(), key, sha256, bytes: 1, card };
        kept.models.register(&model, "ada").await.expect("registered");
    }
    let seen = ShadowFinding {
        image: id,
        version: "8".into(),
        probability: 0.1,
        flagged: false,
        shown_version: "7".into(),
        shown_probability: 0.9,
        shown_flagged: true,
    };
    kept.models.record_shadow(&[seen]).await.expect("recorded");
    assert_eq!(kept.models.compare("8").await.expect("asked").len(), 1);
    assert_eq!(kept.verdicts.labelled(None, 10).await.expect("asked").len(), 1);

    erase(&kept, &[image]).await;
    assert_eq!(kept.verdicts.of(id).await.expect("asked"), []);
    assert_eq!(kept.verdicts.labelled(None, 10).await.expect("asked"), []);
    assert_eq!(kept.models.compare("8").await.expect("asked"), []);
    let refused = kept.verdicts.add(&verdict, &Terms::default()).await;
    assert!(matches!(refused, Err(VerdictError::Unknown)), "{refused:?}");
}

pub async fn an_event_says_that_an_erased_image_was_removed_and_names_its_site<
    H: ErasureHarness,
>() {
    let (_harness, kept, image) = finished::<H>().await;
    let last = kept.store.newest_position().await.expect("asked").seq();
    erase(&kept, std::slice::from_ref(&image)).await;
    let events = kept.store.events(last, 10).await.expect("events");
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.image, event.state, event.site.as_ref().map(|site| site.as_str())))
        .collect();
    assert_eq!(told, [(image.id(), State::Removed, Some("north"))]);
    let earlier = kept.store.events(Seq(0), 1).await.expect("events");
    assert_eq!(earlier[0].site.as_ref().map(|site| site.as_str()), Some("north"));
}

pub async fn the_audit_record_says_who_erased_an_image_and_why<H: ErasureHarness>() {
    let (_harness, kept, image) = finished::<H>().await;
    erase(&kept, std::slice::from_ref(&image)).await;
    let page = kept.audit.page(&Default::default(), Cursor::NEWEST, 1).await.expect("asked");
    let entry = &page[0];
    assert_eq!((&*entry.action, entry.image), ("erased", Some(image.id().0)));
    assert_eq!((&*entry.actor, entry.site.as_deref()), ("ada", Some("north")));
    assert_eq!((entry.role.as_deref(), entry.request.as_deref()), (Some("admin"), Some("r-1")));
    assert_eq!(entry.detail(), json!({ "by": "ada", "reason": "request" }));
    let all = kept.audit.page(&Default::default(), Cursor::After(0), 100).await.expect("asked");
    assert!(lobar_core::audit::verify(None, &all).is_ok(), "the chain is whole");
}

pub async fn a_late_notification_does_not_bring_an_erased_image_back<H: ErasureHarness>() {
    let (_harness, kept, image) = finished::<H>().await;
    erase(&kept, std::slice::from_ref(&image)).await;
    let last = kept.store.newest_position().await.expect("asked");
    // Its own notification, one that says that it is current again, and one without an order.
    for late in [image.clone(), version("v1", 9), object(KEY, "v1", None)] {
        assert_eq!(admit(&*kept.store, &late).await, Admission::Settled(image.id()));
    }
    // Beside another, in a batch.
    let other = object("incoming/north/b.jpg", "v1", Some(1));
    let batch = [image.clone(), other.clone()]
        .map(|object| NewImage { object, lane: lobar_core::image::Lane::Stat });
    let answers = kept.store.admit(&batch).await.expect("admitted");
    assert_eq!(answers, [Admission::Settled(image.id()), Admission::New(other.id())]);
    // The bucket tells that it was deleted.
    assert_eq!(kept.store.remove(&version("v1", 10)).await.expect("removed"), []);
    assert_gone(&kept, image.id()).await;
    assert_eq!(total(&*kept.store).await, (1, 1));
    let events = kept.store.events(last.seq(), 10).await.expect("events");
    assert!(events.iter().all(|event| event.image == other.id()), "{events:?}");
}

pub async fn a_look_into_the_bucket_does_not_bring_an_erased_image_back<H: ErasureHarness>() {
    let (harness, kept, image) = finished::<H>().await;
    erase(&kept, std::slice::from_ref(&image)).await;
    harness.advance(Duration::from_secs(3600)).await;
    let now = Stamp(i64::MAX);
    assert!(!kept.store.restore(&image, now).await.expect("asked"));
    assert_gone(&kept, image.id()).await;
}

pub async fn work_on_an_erased_image_is_refused<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = version("v1", 1);
    admit(&*kept.store, &image).await;
    let claimed = granted(&*kept.store, image.id()).await;
    erase(&kept, std::slice::from_ref(&image)).await;
    assert!(!complete(&*kept.store, &claimed, ready(0.9)).await);
    let held = [claimed.held()];
    assert_eq!(kept.store.count_attempts(&held).await.expect("asked"), [false]);
    kept.store.release(&held).await.expect("passed over");
    kept.store.retry(&held).await.expect("passed over");
    assert_gone(&kept, image.id()).await;
    assert_eq!(told(&*kept.store, image.id()).await.last(), Some(&State::Removed));
    harness.advance(Duration::from_secs(3600)).await;
    assert_eq!(kept.store.sweep(Duration::from_secs(60), 10).await.expect("swept"), []);
}

pub async fn a_later_version_of_an_erased_key_is_admitted_as_any_other<H: ErasureHarness>() {
    let (_harness, kept, image) = finished::<H>().await;
    erase(&kept, &[image]).await;
    for (later, before) in [(version("v2", 5), None), (object(KEY, "v3", None), Some("v2"))] {
        assert_eq!(admit(&*kept.store, &later).await, Admission::New(later.id()));
        let claimed = granted(&*kept.store, later.id()).await;
        assert!(complete(&*kept.store, &claimed, ready(0.2)).await);
        if let Some(before) = before {
            let before = kept.store.image(version(before, 5).id()).await.expect("asked");
            assert_eq!(before.map(|image| image.state), Some(State::Superseded));
        }
    }
}

pub async fn an_older_version_of_an_erased_key_that_is_told_of_late_is_not_kept<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let newest = version("v3", 3);
    admit(&*kept.store, &newest).await;
    erase(&kept, &[newest]).await;
    let older = version("v2", 2);
    assert_eq!(admit(&*kept.store, &older).await, Admission::Settled(older.id()));
    assert_eq!(kept.store.image(older.id()).await.expect("asked"), None);
    assert_eq!(total(&*kept.store).await, (0, 0));
    let later = version("v4", 4);
    assert_eq!(admit(&*kept.store, &later).await, Admission::New(later.id()));
}

pub async fn a_version_that_was_erased_before_it_was_admitted_is_not_admitted<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    // As the bucket lists it: without an order.
    let listed = object(KEY, "v1", None);
    assert_eq!(erase(&kept, std::slice::from_ref(&listed)).await, [listed.id()]);
    assert_eq!(admit(&*kept.store, &version("v1", 7)).await, Admission::Settled(listed.id()));
    assert_gone(&kept, listed.id()).await;
    assert_eq!(total(&*kept.store).await, (0, 0));
    let grave = kept.erasures.tombstone(listed.id()).await.expect("asked").expect("there");
    assert_eq!(grave.site.as_ref().map(|site| site.as_str()), Some("north"));
}

pub async fn an_erased_object_is_named_until_it_is_finished_and_afterwards_nothing_names_it<
    H: ErasureHarness,
>() {
    let (harness, kept, image) = finished::<H>().await;
    let nothing = kept.erasures.tombstone(image.id()).await.expect("asked");
    assert_eq!(nothing, None);
    erase(&kept, std::slice::from_ref(&image)).await;
    let waiting = kept.erasures.unfinished(None, 10).await.expect("asked");
    assert_eq!(waiting.iter().map(ObjectVersion::id).collect::<Vec<_>>(), [image.id()]);
    assert_eq!((&waiting[0].key, &waiting[0].version), (&image.key, &image.version));
    assert!(kept.erasures.unfinished(Some(image.id()), 10).await.expect("asked").is_empty());
    let of = async || kept.erasures.unfinished_of(image.id()).await.expect("asked");
    assert_eq!(of().await.map(|object| object.id()), Some(image.id()));
    let other = kept.erasures.unfinished_of(ImageId(uuid::Uuid::nil())).await.expect("asked");
    assert_eq!(other, None);
    let grave = kept.erasures.tombstone(image.id()).await.expect("asked").expect("there");
    assert_eq!((grave.reason, grave.erased_at), (Some(ErasureReason::Request), None));

    harness.advance(Duration::from_secs(60)).await;
    kept.erasures.finish(&[image.id()]).await.expect("finished");
    kept.erasures.finish(&[image.id()]).await.expect("finished already");
    assert!(kept.erasures.unfinished(None, 10).await.expect("asked").is_empty());
    assert_eq!(of().await, None);
    let grave = kept.erasures.tombstone(image.id()).await.expect("asked").expect("there");
    assert!(grave.erased_at.is_some_and(|at| at > grave.asked_at), "{grave:?}");
    let bucket = image.bucket.clone();
    let which = ObjectSelector::Prefix { bucket, prefix: String::new() };
    assert!(kept.erasures.find(&which, None, 10).await.expect("asked").is_empty());
}

pub async fn erasing_again_what_waits_changes_nothing_and_what_was_finished_waits_again<
    H: ErasureHarness,
>() {
    let (_harness, kept, image) = finished::<H>().await;
    let one = std::slice::from_ref(&image);
    erase(&kept, one).await;
    let last = kept.store.newest_position().await.expect("asked");
    assert_eq!(erase(&kept, one).await, []);
    assert_eq!(kept.store.newest_position().await.expect("asked"), last);
    kept.erasures.finish(&[image.id()]).await.expect("finished");
    // The bucket was restored from a backup.
    assert_eq!(erase(&kept, one).await, [image.id()]);
    assert_eq!(kept.erasures.unfinished(None, 10).await.expect("asked").len(), 1);
    assert_eq!(total(&*kept.store).await, (0, 0));
}

pub async fn by_age_nothing_is_erased_a_second_time_be_it_finished_or_not<H: ErasureHarness>() {
    let (_harness, kept, image) = finished::<H>().await;
    let one = std::slice::from_ref(&image);
    erase(&kept, one).await;
    let last = kept.store.newest_position().await.expect("asked");
    let reason = ErasureReason::Retention;
    let (actor, role, request, detail) = (Actor::system(), None, None, Value::Null);
    let by_age = ErasureOrder { reason, actor, role, request, detail };
    assert_eq!(kept.erasures.erase(one, &by_age).await.expect("asked"), []);
    kept.erasures.finish(&[image.id()]).await.expect("finished");
    assert_eq!(kept.erasures.erase(one, &by_age).await.expect("asked"), []);
    assert!(kept.erasures.unfinished(None, 10).await.expect("asked").is_empty());
    assert_eq!(kept.store.newest_position().await.expect("asked"), last);
    let grave = kept.erasures.tombstone(image.id()).await.expect("asked").expect("there");
    assert_eq!(grave.reason, Some(ErasureReason::Request));
}

pub async fn messages_in_quarantine_that_name_an_erased_object_lose_their_bytes<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = object("incoming/north/Doe Jane.jpg", "v1", Some(1));
    for body in [
        r#"{"key":"incoming/north/Doe+Jane.jpg"}"#,
        r#"{"key":"incoming/north/Doe+Jane.jpg.txt"}"#,
        r#"{"Message":"{\"key\":\"incoming/north/Doe%20Jane.jpg\"}"}"#,
    ] {
        let (source, reason) = ("uploads".into(), "malformed".into());
        let message = Quarantined { source, reason, body: body.into() };
        kept.store.quarantine(&message).await.expect("kept");
    }
    erase(&kept, &[image]).await;
    let mut entries = kept.quarantine.list(true, None, 10).await.expect("listed");
    entries.reverse();
    let states: Vec<_> = entries.iter().map(|one| (one.state, one.bytes > 0)).collect();
    let gone = (EntryState::Discarded, false);
    assert_eq!(states, [gone, (EntryState::Waiting, true), gone]);
}

pub async fn objects_are_found_by_their_key_by_the_beginning_of_it_and_by_their_age<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let keys = ["incoming/north/7%/1.jpg", "incoming/north/7%/2.jpg", "incoming/north/7_/1.jpg"];
    let mut images: Vec<_> = keys.iter().map(|key| object(key, "v1", Some(1))).collect();
    images.push(object(keys[0], "v2", Some(2)));
    for image in &images {
        admit(&*kept.store, image).await;
    }
    let (bucket, key) = (images[0].bucket.clone(), keys[0].to_owned());
    let ids = |of: &[usize]| {
        let mut ids: Vec<_> = of.iter().map(|n| images[*n].id()).collect();
        ids.sort_unstable();
        ids
    };
    let find = async |which: &ObjectSelector| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = kept.erasures.find(which, after, 1).await.expect("asked");
            let Some(last) = page.last().map(ObjectVersion::id) else { return found };
            found.push(last);
            after = Some(last);
        }
    };
    let by_key = ObjectSelector::Key { bucket: bucket.clone(), key };
    assert_eq!(find(&by_key).await, ids(&[0, 3]));
    let prefix =
        |prefix: &str| ObjectSelector::Prefix { bucket: bucket.clone(), prefix: prefix.to_owned() };
    assert_eq!(find(&prefix("incoming/north/7%/")).await, ids(&[0, 1, 3]));
    assert_eq!(find(&prefix("INCOMING/")).await, []);
    let elsewhere = ObjectSelector::Prefix { bucket: "other".into(), prefix: "incoming/".into() };
    assert_eq!(find(&elsewhere).await, []);

    // The first was superseded, and so is finished; the others are not.
    let old = ObjectSelector::OlderThan(Duration::from_secs(60));
    assert!(kept.erasures.find(&old, None, 10).await.expect("asked").is_empty());
    harness.advance(Duration::from_secs(61)).await;
    let found = kept.erasures.find(&old, None, 10).await.expect("asked");
    assert_eq!(found.iter().map(ObjectVersion::id).collect::<Vec<_>>(), ids(&[0]));
    // Finished this moment, received long ago.
    let claimed = granted(&*kept.store, images[3].id()).await;
    assert!(complete(&*kept.store, &claimed, ready(0.9)).await);
    let found = kept.erasures.find(&old, None, 10).await.expect("asked");
    assert_eq!(found.iter().map(ObjectVersion::id).collect::<Vec<_>>(), ids(&[0]));
}

pub async fn hundreds_of_images_are_erased_at_once<H: ErasureHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let images: Vec<_> =
        (0..1_200).map(|n| object(&format!("incoming/north/{n}.jpg"), "v1", Some(1))).collect();
    let lane = lobar_core::image::Lane::Routine;
    let new: Vec<_> =
        images.iter().map(|object| NewImage { object: object.clone(), lane }).collect();
    kept.store.admit(&new).await.expect("admitted");
    assert_eq!(erase(&kept, &images).await.len(), images.len());
    assert_eq!(total(&*kept.store).await, (0, 0));
    let ids: Vec<_> = images.iter().map(ObjectVersion::id).collect();
    kept.erasures.finish(&ids).await.expect("finished");
    assert!(kept.erasures.unfinished(None, 1).await.expect("asked").is_empty());
}

pub async fn everything_survives_closing_and_opening<H: ErasureHarness>() {
    let (harness, kept, image) = finished::<H>().await;
    erase(&kept, std::slice::from_ref(&image)).await;
    drop(kept);
    let kept = harness.reopen().await;
    assert_eq!(kept.erasures.unfinished(None, 10).await.expect("asked").len(), 1);
    assert_eq!(admit(&*kept.store, &image).await, Admission::Settled(image.id()));
    assert_gone(&kept, image.id()).await;
}
