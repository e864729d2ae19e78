//! What is kept, and of whom.

use std::time::Duration;

use lobar_core::image::{Reason, State};
use lobar_core::store::{Claim, Completion, Fence, Outcome};
use lobar_core::study::{ANOTHER_PERSON, PatientId, Uid};

use super::super::erasure::ErasureHarness;
use super::super::store::{admit, image, ready};
use super::{completion, film, finish, fresh, id, identity, known, of, priors};

pub async fn what_is_known_of_an_image_is_kept_with_its_outcome_also_where_it_needs_a_human<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let (a, b) = (film("north", "a"), film("north", "b"));
    let mut whole = of("7", "1.2.3", "20260301");
    whole.patient.birth_date = Some("20220101".into());
    whole.patient.sex = Some("F".into());
    whole.patient.age = Some("004Y".into());
    whole.study.time = Some("0905".into());
    whole.study.id = Some("S1".into());
    whole.study.accession = Some("A-1".into());
    whole.study.description = Some("Thorax".into());
    whole.study.referring_physician = Some("Who^A".into());
    whole.series.uid = Uid::parse("1.2.3.4");
    whole.series.modality = Some("DX".into());
    whole.series.number = Some(2);
    whole.series.description = Some("AP".into());
    whole.series.body_part = Some("CHEST".into());
    let own = &mut whole.instance;
    own.class = Uid::parse("1.2.840.10008.5.1.4.1.1.1.1");
    own.uid = Uid::parse("1.2.3.4.5");
    own.transfer_syntax = Uid::parse("1.2.840.10008.1.2.1");
    own.number = Some(-1);
    own.view_position = Some("AP".into());
    own.date = Some("20260301".into());
    own.time = Some("090612".into());
    own.rows = Some(2_000);
    own.columns = Some(3_000);
    own.bits_stored = Some(12);
    own.photometric_interpretation = Some("MONOCHROME1".into());
    own.frames = Some(1);
    own.burned_in_annotation = Some(false);
    finish(&kept, &a, whole.clone(), b"a").await;
    let one = known(&kept, a.id()).await;
    assert!(one.attributes == whole);
    assert!(one.given.id == id("7") && one.replaces.is_none());
    assert_eq!(one.made_at.0, 1_772_355_900_000_000);

    admit(&*kept.store, &b).await;
    let human = Outcome::NeedsHuman { reason: Reason::Undecodable, detail: "x".into() };
    let done = completion(&kept, &b, human, Some(of("7", "1.2.9", "20260302")), b"b").await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    assert_eq!(image(&*kept.store, b.id()).await.state, State::NeedsHuman);
    assert_eq!(known(&kept, b.id()).await.patient, one.patient);
}

pub async fn an_image_of_which_nothing_is_known_has_no_patient<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = film("north", "a");
    admit(&*kept.store, &a).await;
    let done = completion(&kept, &a, ready(0.9), None, b"a").await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    assert!(identity(&kept, a.id()).await.is_none());
    assert_eq!(priors(&kept, a.id()).await, []);
}

pub async fn an_outcome_that_is_refused_says_nothing_of_whose_image_it_is<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = film("north", "a");
    admit(&*kept.store, &a).await;
    let done = completion(&kept, &a, ready(0.9), Some(of("7", "1.2", "20260301")), b"a").await;
    let stale = Completion { fence: Fence(done.fence.0 - 1), ..done };
    assert_eq!(kept.store.complete(&[stale]).await.expect("answered"), [false]);
    assert!(identity(&kept, a.id()).await.is_none());
}

pub async fn images_of_one_patient_id_at_one_site_are_one_patient_s_and_those_of_another_site_or_issuer_another_s<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260301"), b"a").await;
    let b = finish(&kept, &film("north", "b"), of("7", "1.2", "20260302"), b"b").await;
    let south = finish(&kept, &film("south", "c"), of("7", "1.3", "20260303"), b"c").await;
    let mut other = of("7", "1.4", "20260304");
    other.patient.id = PatientId { issuer: "else".into(), id: "7".into() };
    let issuer = finish(&kept, &film("north", "d"), other, b"d").await;
    let patient = known(&kept, a).await.patient;
    assert_eq!(known(&kept, b).await.patient, patient);
    assert_eq!(priors(&kept, b).await, [a]);
    for other in [south, issuer] {
        assert_ne!(known(&kept, other).await.patient, patient);
        assert_eq!(priors(&kept, other).await, []);
    }
}

pub async fn an_image_without_a_patient_id_or_of_an_unknown_site_is_a_patient_s_of_its_own<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let mut all = Vec::new();
    for (key, patient) in [("north", ""), ("north", ""), ("a name", "7"), ("a name", "7")] {
        let object = film(key, &format!("{}", all.len()));
        all.push(finish(&kept, &object, of(patient, "1.1", "20260301"), b"a").await);
    }
    let mut patients = Vec::new();
    for image in all {
        let one = known(&kept, image).await;
        assert!(one.attributes.patient.name.is_some());
        assert_eq!(priors(&kept, image).await, []);
        patients.push(one.patient);
    }
    patients.sort();
    patients.dedup();
    assert_eq!(patients.len(), 4);
}

pub async fn what_is_said_first_of_a_patient_stands_and_what_was_missing_is_filled_in<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260301"), b"a").await;
    let mut later = of("7", "1.2", "20260302");
    later.patient.name = Some("Roe^7".into());
    later.patient.sex = Some("M".into());
    finish(&kept, &film("north", "b"), later, b"b").await;
    let patient = known(&kept, a).await.attributes.patient;
    assert_eq!(patient.name.as_deref(), Some("Doe^7"));
    assert_eq!(patient.sex.as_deref(), Some("M"));

    // Of images that are finished together, too.
    let mut done = Vec::new();
    for (name, said) in [("c", None), ("d", Some("Doe^8"))] {
        let object = film("north", name);
        admit(&*kept.store, &object).await;
        let mut one = of("8", "1.3", "20260303");
        one.patient.name = said.map(str::to_owned);
        one.study.description = said.map(str::to_owned);
        done.push(completion(&kept, &object, ready(0.9), Some(one), b"x").await);
    }
    assert_eq!(kept.store.complete(&done).await.expect("completed"), [true; 2]);
    let first = known(&kept, done[0].id).await.attributes;
    assert_eq!(first.patient.name.as_deref(), Some("Doe^8"));
    assert_eq!(first.study.description.as_deref(), Some("Doe^8"));
}

pub async fn another_birth_date_sex_or_family_name_under_the_same_patient_id_is_warned_of_also_where_there_is_no_result<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let born = |study, day: &str| {
        let mut attributes = of("7", study, "20260301");
        attributes.patient.birth_date = Some(day.into());
        attributes
    };
    let a = finish(&kept, &film("north", "a"), born("1.1", "20220101"), b"a").await;
    let b = finish(&kept, &film("north", "b"), born("1.2", "20220101"), b"b").await;
    let c = finish(&kept, &film("north", "c"), born("1.3", "20110101"), b"c").await;
    for (id, warned) in [(a, false), (b, false), (c, true)] {
        let finding = image(&*kept.store, id).await.finding.expect("a finding");
        assert_eq!(finding.warnings.iter().any(|word| word == ANOTHER_PERSON), warned);
        assert_eq!(
            known(&kept, id).await.warnings.iter().any(|word| word == ANOTHER_PERSON),
            warned
        );
    }
    // Most JPEG files say no birth date.
    for (n, (name, warned)) in
        [("DOE^JANE", false), ("Doe, Jane", false), ("Müller^Jana", true)].into_iter().enumerate()
    {
        let object = film("north", &format!("n{n}"));
        admit(&*kept.store, &object).await;
        let mut named = of("7", &format!("1.4.{n}"), "20260301");
        named.patient.name = Some(name.into());
        let human = Outcome::NeedsHuman { reason: Reason::Undecodable, detail: "x".into() };
        let done = completion(&kept, &object, human, Some(named), name.as_bytes()).await;
        assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
        let one = known(&kept, object.id()).await;
        assert_eq!(one.warnings.iter().any(|word| word == ANOTHER_PERSON), warned, "{name}");
        assert_eq!(one.given.name.as_deref(), Some(name));
        assert_eq!(one.attributes.patient.name.as_deref(), Some("Doe^7"));
    }
}

pub async fn earlier_images_of_the_same_patient_come_newest_first_and_those_of_the_same_study_are_not_among_them<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let days = [("1.2", "20260101"), ("1.3", "20240101"), ("1.4", "20250101"), ("1.5", "20260301")];
    let mut all = Vec::new();
    for (study, day) in days {
        let object = film("north", study);
        all.push(finish(&kept, &object, of("7", study, day), study.as_bytes()).await);
        harness.advance(Duration::from_secs(1)).await;
    }
    // Of the newest study, another view; and one of no day, which is as old as its receipt.
    let view = finish(&kept, &film("north", "v"), of("7", "1.5", "20260301"), b"v").await;
    let mut undated = of("8", "1.6", "x");
    undated.study.date = None;
    let undated = finish(&kept, &film("north", "u"), undated, b"u").await;
    let [jan26, jan24, jan25, mar26] = all[..] else { panic!("four") };
    let received = image(&*kept.store, undated).await.received_at;
    assert_eq!(known(&kept, undated).await.made_at, received);
    assert_eq!(priors(&kept, mar26).await, [jan26, jan25, jan24]);
    assert_eq!(priors(&kept, view).await, [jan26, jan25, jan24]);
    assert_eq!(priors(&kept, jan25).await, [jan24]);
    let newest = kept.studies.priors(view, 2).await.expect("asked");
    assert_eq!(newest.iter().map(|image| image.id).collect::<Vec<_>>(), [jan26, jan25]);
    assert!(newest[0].finding.is_some());
}

pub async fn superseded_and_removed_images_are_nobody_s_prior<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let (a, b) = (film("north", "a"), film("north", "b"));
    finish(&kept, &a, of("7", "1.1", "20260101"), b"a").await;
    finish(&kept, &b, of("7", "1.2", "20260102"), b"b").await;
    let c = finish(&kept, &film("north", "c"), of("7", "1.3", "20260103"), b"c").await;
    assert_eq!(priors(&kept, c).await, [b.id(), a.id()]);
    kept.store.remove(&b).await.expect("removed");
    assert_eq!(priors(&kept, c).await, [a.id()]);
    // The same key with another content.
    let newer = super::object("incoming/north/a", "v2", Some(2));
    admit(&*kept.store, &newer).await;
    assert_eq!(priors(&kept, c).await, []);
}

pub async fn text_that_no_database_would_take_does_not_lose_a_result<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = film("north", "a");
    let mut bad = of("7\0", "1.1", "2026\0");
    bad.patient.name = Some("D\0oe".repeat(10_000));
    bad.study.description = Some("\0".into());
    bad.instance.view_position = Some("\u{1}".repeat(1_000_000));
    finish(&kept, &a, bad.bounded(), b"a").await;
    assert_eq!(image(&*kept.store, a.id()).await.state, State::Ready);
    assert!(known(&kept, a.id()).await.attributes.patient.id == id("7"));
    let again = kept.store.claim(&[a.id()], 3).await.expect("asked");
    assert_eq!(again, [Claim::Settled(State::Ready)]);
}
