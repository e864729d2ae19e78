//! Instances by their UIDs.

use lobar_core::access::{SiteName, Sites};
use lobar_core::image::Reason;
use lobar_core::object::ImageId;
use lobar_core::store::Outcome;
use lobar_core::study::{Attributes, Place, Uid, Uids};

use super::super::erasure::{ErasureHarness, Kept};
use super::super::store::{admit, ready};
use super::{completion, film, finish, fresh, known, north, object, of};

/// At `sites`, by UIDs of a study, a series, an instance; an empty text stands for all.
async fn found(kept: &Kept, sites: &Sites, uids: [&str; 3]) -> Vec<ImageId> {
    let [study, series, instance] = uids.map(Uid::parse);
    let place = Place { study: study.expect("a UID"), series, instance };
    let found = kept.studies.instances(sites, &place, 100).await.expect("asked");
    found.into_iter().map(|stored| stored.image.id).collect()
}

fn numbered(series: &str, instance: &str, number: i32) -> Attributes {
    let mut attributes = of("7", "1.1", "20260101");
    attributes.series.uid = Uid::parse(series);
    attributes.instance.uid = Uid::parse(instance);
    attributes.instance.number = Some(number);
    attributes
}

pub async fn the_instances_of_a_study_of_a_series_or_one_are_found_by_their_uids_at_the_asked_sites_only<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let finish =
        async |site, name, known, bytes| finish(&kept, &film(site, name), known, bytes).await;
    let a = finish("north", "a", numbered("1.1.1", "1.1.1.1", 2), b"a").await;
    let b = finish("north", "b", numbered("1.1.1", "1.1.1.2", 1), b"b").await;
    let c = finish("north", "c", numbered("1.1.2", "1.1.2.1", 1), b"c").await;
    let d = finish("south", "d", numbered("1.1.1", "1.1.1.1", 2), b"d").await;
    finish("north", "e", of("7", "1.9", "20260101"), b"e").await;
    let (north, all) = (Sites::one(north()), Sites::All);
    assert_eq!(found(&kept, &north, ["1.1", "1.1.1", ""]).await, [b, a], "by their numbers");
    assert_eq!(found(&kept, &north, ["1.1", "1.1.1", "1.1.1.1"]).await, [a]);
    assert_eq!(found(&kept, &north, ["1.1", "", "1.1.2.1"]).await, [c]);
    assert_eq!(found(&kept, &north, ["1.1", "", ""]).await.len(), 3);
    assert_eq!(found(&kept, &all, ["1.1", "1.1.1", "1.1.1.1"]).await.len(), 2);
    let south = Sites::one(SiteName::parse("south").expect("a name"));
    assert_eq!(found(&kept, &south, ["1.1", "", ""]).await, [d]);
    assert_eq!(found(&kept, &Sites::none(), ["1.1", "", ""]).await, []);
    assert_eq!(found(&kept, &all, ["1.1", "1.9", ""]).await, []);
    let place = Place { study: Uid::parse("1.1").expect("a UID"), series: None, instance: None };
    let some = kept.studies.instances(&all, &place, 2).await.expect("asked");
    assert_eq!(some.len(), 2);
    assert!(some[0].identity == known(&kept, some[0].image.id).await);
}

pub async fn an_image_of_which_nothing_is_known_is_the_one_instance_of_a_study_of_its_own<
    H: ErasureHarness,
>() {
    let (_harness, kept) = fresh::<H>().await;
    let (a, b) = (film("north", "a"), film("north", "b"));
    admit(&*kept.store, &a).await;
    let Uids { study, series, instance } = Uids::of_image(a.id());
    let (study, series) = (study.as_str(), series.as_str());
    let north = Sites::one(north());
    assert_eq!(found(&kept, &north, [study, "", ""]).await, [], "it may be known of later");
    let done = completion(&kept, &a, ready(0.9), None, b"a").await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    assert_eq!(found(&kept, &north, [study, series, instance.as_str()]).await, [a.id()]);
    assert_eq!(found(&kept, &north, [study, "", ""]).await, [a.id()]);
    assert_eq!(found(&kept, &north, [study, study, ""]).await, []);
    let south = Sites::one(SiteName::parse("south").expect("a name"));
    assert_eq!(found(&kept, &south, [study, "", ""]).await, []);

    admit(&*kept.store, &b).await;
    let human = Outcome::NeedsHuman { reason: Reason::EngineFailed, detail: "x".into() };
    let done = completion(&kept, &b, human, Some(of("7", "1.2", "20260101")), b"b").await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    let own = Uids::of_image(b.id());
    assert_eq!(found(&kept, &north, [own.study.as_str(), "", ""]).await, [], "it is known of");
}

pub async fn superseded_and_removed_images_are_no_instances<H: ErasureHarness>() {
    let (_harness, kept) = fresh::<H>().await;
    let (a, b) = (film("north", "a"), film("north", "b"));
    finish(&kept, &a, numbered("1.1.1", "1.1.1.1", 1), b"a").await;
    let b_id = finish(&kept, &b, numbered("1.1.1", "1.1.1.2", 2), b"b").await;
    kept.store.remove(&b).await.expect("removed");
    assert_eq!(found(&kept, &Sites::All, ["1.1", "", ""]).await, [a.id()]);
    let newer = object("incoming/north/a", "v2", Some(2));
    admit(&*kept.store, &newer).await;
    assert_eq!(found(&kept, &Sites::All, ["1.1", "", ""]).await, []);
    let own = Uids::of_image(b_id);
    assert_eq!(found(&kept, &Sites::All, [own.study.as_str(), "", ""]).await, []);
}
