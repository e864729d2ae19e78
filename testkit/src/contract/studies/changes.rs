//! What people change.

use lobar_core::access::Sites;
use lobar_core::audit::{Action, Cursor, Filter as AuditFilter};
use lobar_core::object::ImageId;
use lobar_core::store::{Filter, PatientKey, SearchText};
use lobar_core::study::{ANOTHER_PERSON, Changed, Correction, PatientError, PatientId};

use super::super::erasure::{ErasureHarness, Kept};
use super::super::store::{admit, ready};
use super::{by, completion, film, finish, fresh, id, instance, known, north, of, priors};

async fn merge(kept: &Kept, from: &str, into: &str) -> Result<Changed, PatientError> {
    kept.studies.merge(&north(), &id(from), &id(into), &by()).await
}

async fn patient(kept: &Kept, image: ImageId) -> PatientId {
    known(kept, image).await.attributes.patient.id
}

pub async fn merged_patients_are_one_and_late_images_of_the_old_id_come_to_the_one_that_is_left<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let b = finish(&kept, &film("north", "b"), of("8", "1.2", "20260102"), b"b").await;
    // The same study under both ids, with the same series.
    let c = finish(&kept, &film("north", "c"), of("7", "1.2", "20260102"), b"c").await;
    let changed = merge(&kept, "7", "8").await.expect("merged");
    let mut images = vec![a, c];
    images.sort();
    assert_eq!(changed.images, images);
    assert_eq!(changed.patient, known(&kept, b).await.patient);
    for image in [a, b, c] {
        let one = known(&kept, image).await;
        assert!(one.attributes.patient.id == id("8"));
        assert_eq!(one.attributes.patient.name.as_deref(), Some("Doe^8"));
    }
    assert!(known(&kept, a).await.given.id == id("7"));
    assert_eq!(known(&kept, b).await.study, known(&kept, c).await.study);
    let late = finish(&kept, &film("north", "d"), of("7", "1.4", "20260104"), b"d").await;
    assert!(patient(&kept, late).await == id("8"));
    let [b, c] = if b > c { [b, c] } else { [c, b] };
    let mut found = priors(&kept, late).await;
    found[..2].sort_by(|a, b| b.cmp(a));
    assert_eq!(found, [b, c, a]);
}

pub async fn a_patient_merged_into_an_id_that_is_not_known_takes_it<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    merge(&kept, "7", "8").await.expect("merged");
    let now = known(&kept, a).await.attributes.patient;
    assert!(now.id == id("8"));
    assert_eq!(now.name.as_deref(), Some("Doe^7"));
    let unknown = merge(&kept, "9", "8").await;
    assert!(matches!(unknown, Err(PatientError::Unknown)));
    let elsewhere = lobar_core::access::SiteName::parse("south").expect("a name");
    let unknown = kept.studies.merge(&elsewhere, &id("8"), &id("7"), &by()).await;
    assert!(matches!(unknown, Err(PatientError::Unknown)));
}

pub async fn merging_again_changes_nothing_and_what_was_merged_is_merged_into_no_third<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    for (name, patient) in [("a", "7"), ("b", "8"), ("c", "9")] {
        let study = format!("1.{patient}");
        finish(&kept, &film("north", name), of(patient, &study, "20260101"), b"a").await;
    }
    let merged = merge(&kept, "7", "8").await.expect("merged");
    let again = merge(&kept, "7", "8").await.expect("as before");
    assert_eq!((again.patient, again.images), (merged.patient, Vec::new()));
    assert!(matches!(merge(&kept, "7", "9").await, Err(PatientError::Merged)));
    assert!(matches!(merge(&kept, "8", "7").await, Err(PatientError::Same)));
    assert!(matches!(merge(&kept, "8", "8").await, Err(PatientError::Same)));
    // Whom others were merged into is merged with them.
    merge(&kept, "8", "9").await.expect("merged");
    let late = finish(&kept, &film("north", "d"), of("7", "1.5", "20260105"), b"d").await;
    assert!(patient(&kept, late).await == id("9"));
    assert_eq!(priors(&kept, late).await.len(), 3);
}

pub async fn separated_patients_have_the_images_of_their_own_ids_again<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let b = finish(&kept, &film("north", "b"), of("8", "1.2", "20260102"), b"b").await;
    let before = known(&kept, a).await.patient;
    merge(&kept, "7", "8").await.expect("merged");
    let late = finish(&kept, &film("north", "c"), of("7", "1.3", "20260103"), b"c").await;
    let changed = kept.studies.separate(&north(), &id("7"), &by()).await.expect("separated");
    let mut images = vec![a, late];
    images.sort();
    assert_eq!((changed.patient, changed.images), (before, images));
    let one = known(&kept, a).await;
    assert!(one.attributes.patient.id == id("7") && one.patient == before);
    assert_eq!(one.attributes.patient.name.as_deref(), Some("Doe^7"));
    assert!(patient(&kept, b).await == id("8"));
    assert_eq!(priors(&kept, late).await, [a]);
    let again = kept.studies.separate(&north(), &id("7"), &by()).await;
    assert!(matches!(again, Err(PatientError::Unknown)));
    // Without images of its own an id is nobody's, and a later image makes it a patient.
    let only = finish(&kept, &film("north", "e"), of("9", "1.9", "20260101"), b"e").await;
    merge(&kept, "9", "8").await.expect("merged");
    let to_eight = kept.studies.move_study(only, &id("8"), &by()).await.expect("no change");
    assert_eq!(to_eight.images, []);
}

pub async fn separated_patients_have_their_own_names_again<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let mut unnamed = of("8", "1.2", "20260102");
    unnamed.patient.name = None;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let b = finish(&kept, &film("north", "b"), unnamed.clone(), b"b").await;
    let name = async |image| known(&kept, image).await.attributes.patient.name;
    // By mistake; whose images are shown otherwise is told.
    assert!(merge(&kept, "7", "8").await.expect("merged").images.contains(&b));
    assert_eq!(name(b).await.as_deref(), Some("Doe^7"));
    let changed = kept.studies.separate(&north(), &id("7"), &by()).await.expect("separated");
    assert!(changed.images.contains(&b));
    assert_eq!(name(b).await, None);
    assert_eq!(name(a).await.as_deref(), Some("Doe^7"));
    // What their own images said meanwhile comes in its place.
    merge(&kept, "7", "8").await.expect("merged");
    finish(&kept, &film("north", "c"), of("8", "1.3", "20260103"), b"c").await;
    kept.studies.separate(&north(), &id("7"), &by()).await.expect("separated");
    assert_eq!(name(b).await.as_deref(), Some("Doe^8"));
    // Of an id that was not known, too.
    merge(&kept, "7", "9").await.expect("merged");
    let mut nine = of("9", "1.4", "20260104");
    nine.patient.name = Some("Roe^9".into());
    let d = finish(&kept, &film("north", "d"), nine, b"d").await;
    assert!(known(&kept, d).await.warnings.iter().any(|word| word == ANOTHER_PERSON));
    kept.studies.separate(&north(), &id("7"), &by()).await.expect("separated");
    assert_eq!(name(d).await.as_deref(), Some("Roe^9"));
}

pub async fn a_study_moved_and_moved_back_has_its_patient_again<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let five = finish(&kept, &film("north", "z"), of("5", "1.5", "20260101"), b"z").await;
    let mut whole = of("7", "1.1", "20260101");
    whole.patient.birth_date = Some("20210101".into());
    let a = finish(&kept, &film("north", "a"), whole, b"a").await;
    let before = known(&kept, a).await;
    kept.studies.move_study(a, &id("8"), &by()).await.expect("moved");
    assert_eq!(known(&kept, a).await.attributes.patient.name, None);
    // 7 has no study now, and 5 turns out to be theirs.
    merge(&kept, "5", "7").await.expect("merged");
    kept.studies.move_study(a, &id("7"), &by()).await.expect("moved back");
    let after = known(&kept, a).await;
    assert!(after.patient == before.patient && after.attributes == before.attributes);
    assert_eq!(known(&kept, five).await.patient, before.patient);
}

pub async fn a_correction_stands_against_what_later_images_say_and_what_was_before_is_kept<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let correction = Correction { name: Some("Roe^7".into()), ..Correction::default() };
    let correct =
        async |which: &str| kept.studies.correct(&north(), &id(which), &correction, &by()).await;
    assert_eq!(correct("7").await.expect("corrected").images, [a]);
    assert_eq!(correct("7").await.expect("nothing to do").images, []);
    assert!(matches!(correct("8").await, Err(PatientError::Unknown)));
    finish(&kept, &film("north", "b"), of("7", "1.2", "20260102"), b"b").await;
    let now = known(&kept, a).await.attributes.patient;
    assert_eq!(now.name.as_deref(), Some("Roe^7"));
    merge(&kept, "7", "8").await.expect("merged");
    assert!(matches!(correct("7").await, Err(PatientError::Merged)));
}

pub async fn a_moved_study_is_another_patient_s_with_what_comes_of_it_later<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let wrong = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let own = finish(&kept, &film("north", "b"), of("7", "1.2", "20260102"), b"b").await;
    let to = |patient: &str| {
        let (kept, to) = (&kept, id(patient));
        async move { kept.studies.move_study(wrong, &to, &by()).await }
    };
    assert_eq!(to("8").await.expect("moved").images, [wrong]);
    assert!(patient(&kept, wrong).await == id("8") && patient(&kept, own).await == id("7"));
    assert_eq!(priors(&kept, own).await, []);
    let late = finish(&kept, &film("north", "c"), of("7", "1.1", "20260101"), b"c").await;
    assert!(patient(&kept, late).await == id("8"));
    // Back, by a second call; its later images too.
    to("7").await.expect("moved");
    let later = finish(&kept, &film("north", "d"), of("7", "1.1", "20260101"), b"d").await;
    for image in [wrong, late, later] {
        assert!(patient(&kept, image).await == id("7"));
    }
    assert_eq!(priors(&kept, own).await.len(), 3);
    // All of a patient's studies: who has none is forgotten, and late images still follow.
    kept.studies.move_study(own, &id("8"), &by()).await.expect("moved");
    to("8").await.expect("moved");
    let last = finish(&kept, &film("north", "e"), of("7", "1.2", "20260102"), b"e").await;
    assert!(patient(&kept, last).await == id("8"));
    let unknown = ImageId(uuid::Uuid::nil());
    let unknown = kept.studies.move_study(unknown, &id("8"), &by()).await;
    assert!(matches!(unknown, Err(PatientError::Unknown)));
}

pub async fn a_study_is_not_moved_to_an_id_that_was_merged_into_another<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let b = finish(&kept, &film("north", "b"), of("8", "1.2", "20260102"), b"b").await;
    merge(&kept, "7", "8").await.expect("merged");
    for image in [a, b] {
        let refused = kept.studies.move_study(image, &id("7"), &by()).await;
        assert!(matches!(refused, Err(PatientError::Merged)));
    }
    assert!(patient(&kept, a).await == id("8"));
}

pub async fn a_list_of_images_is_narrowed_to_one_patient_by_their_id_and_by_one_that_was_merged_into_it<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let b = finish(&kept, &film("north", "b"), of("8", "1.2", "20260102"), b"b").await;
    let south = finish(&kept, &film("south", "c"), of("8", "1.3", "20260103"), b"c").await;
    let list = async |patient: &str, sites: &Sites| {
        let patient = Some(PatientKey(patient.into()));
        let filter = Filter { patient, ..Filter::at(sites.clone()) };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = kept.store.list(&filter, after, 1).await.expect("listed");
            found.extend(page.items.iter().map(|image| image.id));
            after = page.next;
            if after.is_none() {
                assert_eq!(page.total, found.len() as u64);
                found.sort();
                return found;
            }
        }
    };
    let sorted = |mut ids: Vec<ImageId>| {
        ids.sort();
        ids
    };
    let only = Sites::one(north());
    assert_eq!(list("7", &Sites::All).await, [a]);
    assert_eq!(list("8", &Sites::All).await, sorted(vec![b, south]));
    assert_eq!(list("8", &only).await, [b]);
    assert_eq!(list("8", &Sites::none()).await, []);
    assert_eq!(list("9", &Sites::All).await, []);
    merge(&kept, "7", "8").await.expect("merged");
    assert_eq!(list("7", &only).await, sorted(vec![a, b]));
    assert_eq!(list("8", &only).await, sorted(vec![a, b]));
}

pub async fn a_list_of_images_is_searched_by_a_patient_s_id_an_accession_number_or_the_beginning_of_a_name<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let named = |patient: &str, name: &str, accession: &str| {
        let mut known = of(patient, &format!("1.{patient}"), "20260101");
        known.patient.name = Some(name.into());
        known.study.accession = Some(accession.into());
        known
    };
    let jane = finish(&kept, &film("north", "a"), named("7", "Doe^Jane", "A1"), b"a").await;
    let john = finish(&kept, &film("south", "b"), named("8", "DOE^John", "A2"), b"b").await;
    let muller = finish(&kept, &film("north", "c"), named("9", "Müller Jana", "A3"), b"c").await;
    let yamada = named("10", "Yamada^Tarou=山田^太郎", "Doe");
    let yamada = finish(&kept, &film("north", "d"), yamada, b"d").await;
    let find = async |text: &str, sites: Sites| {
        let filter = Filter { search: Some(SearchText(text.into())), ..Filter::at(sites) };
        let page = kept.store.list(&filter, None, 10).await.expect("listed");
        assert_eq!(page.total, page.items.len() as u64);
        let mut found: Vec<ImageId> = page.items.iter().map(|image| image.id).collect();
        found.sort();
        found
    };
    let sorted = |mut ids: Vec<ImageId>| {
        ids.sort();
        ids
    };
    for (text, found) in [
        ("7", vec![jane]),
        (" A2 ", vec![john]),
        ("a2", vec![]),
        ("doe, j", vec![jane, john]),
        ("doe ja", vec![jane]),
        ("Doe", vec![jane, john, yamada]),
        ("muller", vec![muller]),
        ("MÜLLER J", vec![muller]),
        ("山田", vec![yamada]),
        ("oe", vec![]),
        ("*", vec![]),
        ("%", vec![]),
    ] {
        assert_eq!(find(text, Sites::All).await, sorted(found), "{text}");
    }
    let only = Sites::one(north());
    assert_eq!(find("Doe", only.clone()).await, sorted(vec![jane, yamada]));
    assert_eq!(find("Doe", Sites::none()).await, []);
    merge(&kept, "7", "9").await.expect("merged");
    assert_eq!(find("7", only).await, sorted(vec![jane, muller]));
}

pub async fn a_change_of_patients_is_on_record_without_a_name<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let a = finish(&kept, &film("north", "a"), of("Sown7", "1.1", "20260101"), b"a").await;
    let before = known(&kept, a).await.patient;
    let merged = merge(&kept, "Sown7", "Sown8").await.expect("merged").patient;
    let to = id("Sown9");
    kept.studies.move_study(a, &to, &by()).await.expect("moved");
    let filter = AuditFilter { action: Some(Action::PatientChanged), ..AuditFilter::default() };
    let entries = kept.audit.page(&filter, Cursor::After(0), 10).await.expect("read");
    let [one, two] = &entries[..] else { panic!("two entries: {}", entries.len()) };
    assert_eq!(one.subject, Some(merged));
    assert!(one.detail.contains(&before.to_string()) && one.detail.contains("merged"));
    assert!(two.detail.contains("study_moved"));
    assert_eq!(one.actor, "ada");
    for entry in &entries {
        assert!(!entry.detail.contains("Sown"), "{}", entry.detail);
    }
}

pub async fn images_finished_while_their_patients_are_merged_are_lost_to_neither<
    H: ErasureHarness,
>() {
    let harness = H::start().await;
    let (kept, other) = (harness.open().await, harness.open().await);
    let first = finish(&kept, &film("north", "a"), of("7", "1.1", "20260101"), b"a").await;
    let mut done = Vec::new();
    for n in 0..10 {
        let object = film("north", &format!("late{n}"));
        admit(&*kept.store, &object).await;
        let known = Some(instance("7", &format!("1.1.{n}")));
        done.push(completion(&kept, &object, ready(0.9), known, b"x").await);
    }
    let (merged, completed) = tokio::join!(merge(&other, "7", "8"), async {
        let mut accepted = Vec::new();
        for one in &done {
            accepted.extend(kept.store.complete(std::slice::from_ref(one)).await.expect("done"));
        }
        accepted
    });
    merged.expect("merged");
    assert_eq!(completed, [true; 10]);
    for image in done.iter().map(|one| one.id).chain([first]) {
        assert!(patient(&kept, image).await == id("8"));
    }
}
