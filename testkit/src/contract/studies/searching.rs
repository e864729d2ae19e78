//! Searches.

use std::time::Duration;

use lobar_core::access::{SiteName, Sites};
use lobar_core::object::ImageId;
use lobar_core::study::{
    Attributes, Condition, Found, Level, Name, Number, Pattern, Results, Search, Text, Uid, Uids,
    made_at,
};

use super::super::erasure::{ErasureHarness, Kept};
use super::super::store::{admit, ready};
use super::{by, completion, film, finish, fresh, id, north, of};

async fn search(kept: &Kept, level: Level, sites: Sites, conditions: Vec<Condition>) -> Vec<Found> {
    page(kept, level, sites, conditions, (0, 100)).await.found
}

async fn page(
    kept: &Kept,
    level: Level,
    sites: Sites,
    conditions: Vec<Condition>,
    (offset, limit): (usize, usize),
) -> Results {
    let search = Search { level, sites, conditions, offset, limit };
    kept.studies.search(&search).await.expect("asked")
}

/// The studies that match.
async fn studies(kept: &Kept, conditions: Vec<Condition>) -> Vec<String> {
    let found = search(kept, Level::Study, Sites::All, conditions).await;
    let uid = |found: Found| found.attributes.study.uid.expect("one").as_str().to_owned();
    found.into_iter().map(uid).collect()
}

fn text(text: Text, pattern: &str) -> Vec<Condition> {
    vec![Condition::Text(text, Pattern::new(pattern))]
}

fn named(name: &str) -> Vec<Condition> {
    vec![Condition::Name(Name::Patient, Pattern::new(name))]
}

fn uids(level: Level, some: &[&str]) -> Vec<Condition> {
    vec![Condition::Uids(level, some.iter().filter_map(|uid| Uid::parse(uid)).collect())]
}

fn days(from: &str, before: &str) -> Vec<Condition> {
    let day = |day| made_at(Some(day), None).expect("a day");
    vec![Condition::Made(day(from), day(before))]
}

/// Two images of a study at north in two series, an older study at south.
async fn three(kept: &Kept) -> [ImageId; 3] {
    let numbered = |series: &str, instance: &str, number, modality: &str| {
        let mut known = of("7", "1.1", "20260301");
        known.series.uid = Uid::parse(series);
        known.series.number = Some(number);
        known.series.modality = Some(modality.into());
        known.instance.uid = Uid::parse(instance);
        known.instance.number = Some(4);
        known.study.time = Some("1015".into());
        known.study.accession = Some("A_1".into());
        known
    };
    let second =
        finish(kept, &film("north", "b"), numbered("1.1.2", "1.1.2.1", 2, "DX"), b"b").await;
    let first =
        finish(kept, &film("north", "a"), numbered("1.1.1", "1.1.1.1", 1, "CR"), b"a").await;
    let mut old = of("8", "1.2", "20240301");
    old.patient.name = Some("Müller^Jana=山田^太郎".into());
    old.patient.birth_date = Some("20210302".into());
    old.study.referring_physician = Some("Ärztin^Anna".into());
    let old = finish(kept, &film("south", "c"), old, b"c").await;
    [first, second, old]
}

pub async fn a_search_finds_studies_series_and_instances_at_the_asked_sites_only_the_newest_study_first<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let [first, second, old] = three(&kept).await;
    assert_eq!(studies(&kept, vec![]).await, ["1.1", "1.2"]);
    let south = Sites::one(SiteName::parse("south").expect("a name"));
    for (sites, expected) in [
        (Sites::All, vec![first, second, old]),
        (Sites::Only([north()].into()), vec![first, second]),
        (south, vec![old]),
        (Sites::none(), vec![]),
    ] {
        for level in [Level::Instance, Level::Series] {
            let found = search(&kept, level, sites.clone(), vec![]).await;
            let images: Vec<ImageId> = found.iter().map(|found| found.image).collect();
            assert_eq!(images, expected, "{level:?}");
        }
    }
}

pub async fn a_search_matches_single_values_lists_of_uids_wildcards_ranges_and_numbers<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    three(&kept).await;
    let modality = |one: &str| vec![Condition::Modality(vec![Pattern::new(one)])];
    let time = |from, to| vec![Condition::TimeOfDay(from, to)];
    let born = |from: Option<&str>, to: Option<&str>| {
        vec![Condition::Born(from.map(str::to_owned), to.map(str::to_owned))]
    };
    let number = |number, value| vec![Condition::Number(number, value)];
    for (conditions, expected) in [
        (text(Text::PatientId, "7"), &["1.1"][..]),
        (text(Text::PatientId, "?"), &["1.1", "1.2"]),
        (text(Text::Accession, "a_1"), &[]),
        (text(Text::Accession, "A_*"), &["1.1"]),
        (text(Text::Accession, "A?_*"), &[]),
        (text(Text::Accession, "[A]*"), &[]),
        (text(Text::Accession, "%"), &[]),
        (uids(Level::Study, &["1.2", "1.1", "1.3"]), &["1.1", "1.2"]),
        (uids(Level::Series, &["1.1.2"]), &["1.1"]),
        (uids(Level::Instance, &["1.1.2.1"]), &["1.1"]),
        (uids(Level::Instance, &["1.1.2.2"]), &[]),
        (days("20260301", "20260302"), &["1.1"]),
        (days("20240302", "20260301"), &[]),
        (days("20240301", "20270301"), &["1.1", "1.2"]),
        (time(36_900, 36_900), &["1.1"]),
        (time(0, 36_899), &[]),
        (modality("D?"), &["1.1"]),
        (modality("OT"), &["1.2"]),
        (modality("MR"), &[]),
        (born(Some("20210302"), None), &["1.2"]),
        (born(None, Some("20210301")), &[]),
        (number(Number::Series, 2), &["1.1"]),
        (number(Number::Instance, 5), &[]),
        ([text(Text::PatientId, "7"), days("20240301", "20240302")].concat(), &[]),
    ] {
        let place = format!("expected {expected:?}");
        assert_eq!(studies(&kept, conditions).await, expected, "{place}");
    }
    let found = search(&kept, Level::Series, Sites::All, modality("DX")).await;
    assert_eq!(found.len(), 1);
    let in_study = |one: &str| vec![Condition::ModalityInStudy(vec![Pattern::new(one)])];
    for level in [Level::Series, Level::Instance] {
        let found = search(&kept, level, Sites::All, in_study("CR")).await;
        assert_eq!(found.len(), 2, "each of the study: {level:?}");
    }
    assert_eq!(studies(&kept, [in_study("CR"), modality("DX")].concat()).await, ["1.1"]);
    assert_eq!(studies(&kept, in_study("O?")).await, ["1.2"]);
}

pub async fn names_are_searched_without_case_and_accents_in_each_of_their_groups<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    three(&kept).await;
    for (name, expected) in [
        ("MULLER^JANA", &["1.2"][..]),
        ("müller*", &["1.2"]),
        ("山田*", &["1.2"]),
        ("*jana", &["1.2"]),
        ("muller", &[]),
        ("doe^?", &["1.1"]),
        ("*", &["1.1", "1.2"]),
        ("田*", &[]),
    ] {
        assert_eq!(studies(&kept, named(name)).await, expected, "{name}");
    }
    let mut japanese = of("9", "1.9", "20240301");
    japanese.patient.name = Some("山田^太郎=Yamada^Tarou=やまだ^たろう".into());
    finish(&kept, &film("north", "japanese"), japanese, b"japanese").await;
    for (name, found) in [
        ("yama*", true),
        ("YAMADA^TAROU", true),
        ("やま*", true),
        ("*tarou", true),
        ("yamada^?arou", true),
        ("tarou*", false),
        ("yamada", false),
    ] {
        assert_eq!(studies(&kept, named(name)).await.contains(&"1.9".to_owned()), found, "{name}");
    }
    for (name, expected) in
        [("Ärztin^ANNA", &["1.2"][..]), ("Ä*", &["1.2"]), ("*^anna", &["1.2"]), ("anna*", &[])]
    {
        let condition = Condition::Name(Name::ReferringPhysician, Pattern::new(name));
        assert_eq!(studies(&kept, vec![condition]).await, expected, "{name}");
    }
}

pub async fn a_search_by_a_merged_id_finds_the_patient_that_is_left<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    finish(&kept, &film("north", "a"), of("7", "1.1", "20250301"), b"a").await;
    finish(&kept, &film("north", "b"), of("8", "1.2", "20260301"), b"b").await;
    kept.studies.merge(&north(), &id("7"), &id("8"), &by()).await.expect("merged");
    for id in ["7", "8", "*7*", "7*", "?", "*8"] {
        assert_eq!(studies(&kept, text(Text::PatientId, id)).await, ["1.2", "1.1"], "{id}");
    }
    assert_eq!(studies(&kept, text(Text::PatientId, "*9*")).await, [""; 0]);
}

pub async fn a_study_has_its_counts_and_modalities_and_one_that_has_no_instance_left_is_not_found<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let [first, ..] = three(&kept).await;
    let found = search(&kept, Level::Study, Sites::All, uids(Level::Study, &["1.1"])).await;
    let counts = (found[0].series_in_study, found[0].instances_in_study);
    assert_eq!((counts, &*found[0].modalities), ((2, 2), &["CR".to_owned(), "DX".into()][..]));
    let found = search(&kept, Level::Instance, Sites::All, uids(Level::Series, &["1.1.1"])).await;
    assert_eq!((found[0].image, found[0].instances_in_series), (first, 1));
    kept.store.remove(&film("south", "c")).await.expect("removed");
    kept.store.remove(&film("north", "a")).await.expect("removed");
    assert_eq!(studies(&kept, vec![]).await, ["1.1"]);
    let found = search(&kept, Level::Study, Sites::All, vec![]).await;
    assert_eq!((found[0].series_in_study, found[0].instances_in_study), (1, 1));
}

pub async fn a_series_is_shown_by_its_newest_image_that_is_left<H: ErasureHarness>() {
    let (harness, kept) = fresh::<H>().await;
    let mut images = Vec::new();
    for n in 1..6 {
        let mut known = of("7", "1.1", "20260301");
        (known.series.uid, known.instance.uid) =
            (Uid::parse("1.1.1"), Uid::parse(&format!("1.1.1.{n}")));
        let object = film("north", &format!("{n}"));
        harness.advance(Duration::from_secs(1)).await;
        images.push((finish(&kept, &object, known, &[n]).await, object));
    }
    while let Some((image, object)) = images.pop() {
        for level in [Level::Study, Level::Series] {
            let found = search(&kept, level, Sites::All, vec![]).await;
            assert_eq!(found[0].image, image, "{level:?}, {} more", images.len());
        }
        kept.store.remove(&object).await.expect("removed");
    }
    assert_eq!(studies(&kept, vec![]).await, [""; 0]);
}

pub async fn an_image_of_which_nothing_is_known_is_found_as_a_study_of_its_own_in_the_order_of_the_others<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    three(&kept).await;
    let unknown = film("north", "d");
    admit(&*kept.store, &unknown).await;
    assert_eq!(studies(&kept, vec![]).await.len(), 2, "it is not finished");
    let done = completion(&kept, &unknown, ready(0.9), None, b"d").await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    let Uids { study, series, instance } = Uids::of_image(unknown.id());
    let all = studies(&kept, vec![]).await;
    assert!(all.len() == 3 && all.iter().any(|uid| uid == study.as_str()), "{all:?}");
    let found = search(&kept, Level::Study, Sites::All, vec![]).await;
    let dates: Vec<_> = found.iter().map(|found| found.attributes.study.date.clone()).collect();
    assert!(dates.is_sorted_by(|newer, older| newer >= older), "{dates:?}");
    for (level, uid) in
        [(Level::Study, &study), (Level::Series, &series), (Level::Instance, &instance)]
    {
        let found =
            search(&kept, Level::Instance, Sites::one(north()), uids(level, &[uid.as_str()])).await;
        assert_eq!(found.len(), 1, "{level:?}");
        assert!(found[0].image == unknown.id() && found[0].dated_by_receipt);
        assert_eq!(
            (found[0].instances_in_study, &*found[0].modalities),
            (1, &["OT".to_owned()][..])
        );
    }
    let south = Sites::one(SiteName::parse("south").expect("a name"));
    assert_eq!(search(&kept, Level::Study, south, uids(Level::Study, &[study.as_str()])).await, []);
    let other = vec![Condition::Modality(vec![Pattern::new("O?")])];
    assert_eq!(studies(&kept, other).await.len(), 2);
    assert_eq!(studies(&kept, text(Text::PatientId, "*7")).await, ["1.1"]);
    kept.store.remove(&unknown).await.expect("removed");
    assert_eq!(studies(&kept, vec![]).await.len(), 2);
}

pub async fn pages_of_a_search_have_every_result_once<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    for n in 0..7 {
        let known: Option<Attributes> = (n % 3 != 0).then(|| {
            let mut known = of("7", &format!("1.{n}"), "20260301");
            known.study.date = known.study.date.filter(|_| n % 2 == 0);
            known
        });
        let object = film("north", &format!("{n}"));
        admit(&*kept.store, &object).await;
        let done = completion(&kept, &object, ready(0.9), known, &[n]).await;
        assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    }
    let whole = page(&kept, Level::Study, Sites::one(north()), vec![], (0, 7)).await;
    assert!(whole.found.len() == 7 && !whole.more);
    let mut found = Vec::new();
    for offset in [0, 3, 6, 9] {
        let page = page(&kept, Level::Study, Sites::one(north()), vec![], (offset, 3)).await;
        assert_eq!(page.more, offset < 6, "{offset}");
        found.extend(page.found);
    }
    assert_eq!(found, whole.found);
}

pub async fn pages_of_a_search_at_several_sites_are_in_one_order<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    for n in 1..7 {
        let site = if n % 2 == 0 { "north" } else { "south" };
        let known = of("7", &format!("1.{n}"), &format!("2026030{n}"));
        finish(&kept, &film(site, &format!("{n}")), known, &[n]).await;
    }
    let south = SiteName::parse("south").expect("a name");
    let both = Sites::Only([north(), south].into());
    for (offset, expected, more) in [
        (0, &["1.6", "1.5"][..], true),
        (2, &["1.4", "1.3"], true),
        (4, &["1.2", "1.1"], false),
        (6, &[], false),
    ] {
        let page = page(&kept, Level::Study, both.clone(), vec![], (offset, 2)).await;
        let uid = |found: &Found| found.attributes.study.uid.clone().expect("one");
        let uids: Vec<Uid> = page.found.iter().map(uid).collect();
        let uids: Vec<&str> = uids.iter().map(Uid::as_str).collect();
        assert_eq!((&*uids, page.more), (expected, more), "{offset}");
    }
}

pub async fn a_study_that_takes_in_another_of_its_uid_is_found_by_what_it_lacked<
    H: ErasureHarness,
>() {
    for moved in [false, true] {
        let (_harness, kept) = fresh::<H>().await;
        let mut bare = of("7", "1.1", "20260301");
        (bare.study.date, bare.series.uid) = (None, Uid::parse("1.1.1"));
        bare.instance.uid = Uid::parse("1.1.1.1");
        finish(&kept, &film("north", "a"), bare, b"a").await;
        let mut full = of("8", "1.1", "20240301");
        (full.study.accession, full.series.uid) = (Some("A1".into()), Uid::parse("1.1.1"));
        (full.series.modality, full.instance.uid) = (Some("CR".into()), Uid::parse("1.1.1.2"));
        let image = finish(&kept, &film("north", "b"), full, b"b").await;
        match moved {
            true => kept.studies.move_study(image, &id("7"), &by()).await.expect("moved"),
            false => kept.studies.merge(&north(), &id("8"), &id("7"), &by()).await.expect("merged"),
        };
        for conditions in [
            vec![],
            text(Text::Accession, "A1"),
            days("20240301", "20240302"),
            vec![Condition::Modality(vec![Pattern::new("CR")])],
        ] {
            assert_eq!(studies(&kept, conditions).await, ["1.1"], "moved: {moved}");
        }
        assert_eq!(studies(&kept, days("20240302", "20990101")).await, [""; 0]);
    }
}

pub async fn a_corrected_or_moved_study_is_found_by_what_it_is_now<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let image = finish(&kept, &film("north", "a"), of("7", "1.1", "20250301"), b"a").await;
    let name = Some("Roe^Ann".to_owned());
    let correction = lobar_core::study::Correction { name, ..Default::default() };
    kept.studies.correct(&north(), &id("7"), &correction, &by()).await.expect("corrected");
    assert_eq!(studies(&kept, named("roe*")).await, ["1.1"]);
    assert_eq!(studies(&kept, named("doe*")).await, [""; 0]);
    kept.studies.move_study(image, &id("9"), &by()).await.expect("moved");
    assert_eq!(studies(&kept, text(Text::PatientId, "9")).await, ["1.1"]);
    assert_eq!(studies(&kept, text(Text::PatientId, "7")).await, [""; 0]);
}
