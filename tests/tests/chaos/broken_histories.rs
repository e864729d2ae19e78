//! The checks can fail: a history in which all is well, and what breaks each invariant.

use serde_json::{Value, json};

use super::account::{Account, History};
use super::bucket::Bucket;
use super::invariants::{Class, Item, Reading, Told, Violation};

fn result() -> Value {
    let model =
        json!({ "version": "one", "sha256": "a".repeat(64), "preprocessing": "letterbox-1" });
    json!({ "model": model, "probability": 0.25, "threshold": 0.5 })
}

fn item(image: &str, site: &str, status: &str, reason: Option<&str>, result: Value) -> Item {
    let (site, reason) = (Some(site.to_owned()), reason.map(str::to_owned));
    Item { image: image.into(), status: status.into(), reason, site, result }
}

/// An image that came through, one on which work was begun twice, one that is broken, one that was put over,
/// one that was deleted and came back, and one of whose PUT nobody heard.
fn well() -> History {
    let mut bucket = Bucket::default();
    bucket.put("incoming/north/a.jpg", "plain".into(), None);
    bucket.put("incoming/north/b.jpg", "again".into(), None);
    bucket.put("incoming/south/c.jpg", "broken".into(), Some("empty"));
    bucket.put("incoming/south/d.jpg", "old".into(), None);
    bucket.put("incoming/south/d.jpg", "new".into(), None);
    bucket.put("incoming/east/e.jpg", "back".into(), None);
    bucket.deleted("incoming/east/e.jpg");
    bucket.restored("incoming/east/e.jpg");
    let told = [
        ("plain", "queued"),
        ("again", "queued"),
        ("again", "analysing"),
        ("plain", "analysing"),
        ("again", "queued"),
        ("plain", "ready"),
        ("broken", "queued"),
        ("broken", "analysing"),
        ("again", "analysing"),
        ("broken", "needs_human"),
        ("again", "ready"),
        ("unheard", "superseded"),
        ("old", "queued"),
        ("old", "analysing"),
        ("new", "queued"),
        ("old", "superseded"),
        ("back", "queued"),
        ("back", "analysing"),
        ("back", "ready"),
        ("back", "removed"),
        ("new", "analysing"),
        ("new", "ready"),
        ("back", "queued"),
        ("back", "analysing"),
        ("back", "ready"),
    ];
    let events: Vec<Told> = (1..)
        .zip(told)
        .map(|(seq, (image, status))| Told { seq, image: image.into(), status: status.into() })
        .collect();
    let subscribers = ["north", "south"].map(|name| (name.to_owned(), events.clone()));
    let reading = |image: &str, status: &str, since| Reading {
        image: image.into(),
        status: status.into(),
        since,
    };
    History {
        bucket,
        stored: ["plain", "again", "broken", "old", "new", "back", "unheard"]
            .map(str::to_owned)
            .into(),
        events,
        subscribers: subscribers.into(),
        readings: vec![reading("plain", "ready", 5), reading("back", "removed", 19)],
        images: vec![
            item("plain", "north", "ready", None, result()),
            item("again", "north", "ready", None, result()),
            item("broken", "south", "needs_human", Some("empty"), Value::Null),
            item("old", "south", "superseded", None, Value::Null),
            item("new", "south", "ready", None, result()),
            item("back", "east", "ready", None, result()),
            item("unheard", "south", "superseded", None, Value::Null),
        ],
        models: ["a".repeat(64)].into(),
    }
}

fn image<'a>(history: &'a mut History, image: &str) -> &'a mut Item {
    history.images.iter_mut().find(|item| item.image == image).expect("one of them")
}

/// What is found after a change; everybody has seen the same events.
fn after(change: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = well();
    change(&mut history);
    history.violations()
}

fn told_again(history: &mut History, image: &str, status: &str) {
    let told = Told { seq: 26, image: image.into(), status: status.into() };
    history.events.push(told.clone());
    history.subscribers.values_mut().for_each(|seen| seen.push(told.clone()));
}

#[test]
fn nothing_is_found_where_all_is_well_and_what_was_begun_again_is_counted() {
    let history = well();
    assert_eq!(history.violations(), []);
    let account = Account::of(&history, &[]);
    assert_eq!((account.acknowledged, account.recovered), (6, 1));
    assert_eq!((account.lost, account.duplicated, account.unexpected), (0, 0, 0));
}

#[test]
fn an_acknowledged_image_that_is_unknown_or_without_an_end_is_lost() {
    let lost = |found: &[Violation]| found.iter().any(|one| one.class() == Class::Lost);
    assert!(lost(&after(|history| history.images.retain(|item| item.image != "plain"))));
    assert!(lost(&after(|history| image(history, "plain").status = "analysing".into())));
}

#[test]
fn an_image_that_ends_twice_or_otherwise_is_told_of() {
    let found = after(|history| told_again(history, "plain", "ready"));
    let twice = |one: &Violation| matches!(one, Violation::Twice { image, .. } if image == "plain");
    assert!(found.iter().any(twice) && found[0].class() == Class::Duplicated);
    let ended =
        |found: Vec<Violation>| found.iter().any(|one| matches!(one, Violation::Ended { .. }));
    assert!(ended(after(|history| image(history, "broken").status = "ready".into())));
    assert!(ended(after(|history| image(history, "broken").reason = Some("blank".into()))));
    assert!(ended(after(|history| image(history, "old").status = "ready".into())));
    assert!(ended(after(|history| image(history, "unheard").status = "ready".into())));
}

#[test]
fn the_list_and_the_last_event_agree() {
    let found = after(|history| told_again(history, "plain", "superseded"));
    assert!(found.iter().any(|one| matches!(one, Violation::Disagree { .. })), "{found:?}");
}

#[test]
fn an_image_that_nobody_uploaded_or_that_is_listed_twice_is_told_of() {
    let found = after(|history| {
        history.stored.remove("unheard");
    });
    assert_eq!(found, [Violation::Unknown { image: "unheard".into() }]);
    let found = after(|history| history.images.push(history.images[0].clone()));
    assert_eq!(found, [Violation::ListedTwice { image: "plain".into() }]);
}

#[test]
fn a_subscriber_that_misses_repeats_or_exchanges_an_event_is_told_of() {
    let seen = |change: fn(&mut Vec<Told>)| {
        after(|history| change(history.subscribers.get_mut("north").expect("one of them")))
    };
    let missed = |seq| vec![Violation::Missed { subscriber: "north".into(), seq }];
    assert_eq!(seen(|seen| drop(seen.remove(4))), missed(5));
    assert_eq!(seen(|seen| drop(seen.pop())), missed(25));
    assert_eq!(seen(|seen| seen.insert(4, seen[3].clone())), missed(5));
    assert_eq!(seen(|seen| seen.swap(2, 3)), missed(3));
    assert_eq!(seen(|seen| seen.push(seen[24].clone())), missed(25));
    let found = after(|history| history.events.swap(3, 4));
    assert!(found.contains(&Violation::Repeated { seq: 4, after: 5 }), "{found:?}");
}

#[test]
fn a_change_of_state_that_there_is_none_of_is_told_of() {
    for (image, status) in
        [("plain", "queued"), ("broken", "analysing"), ("old", "superseded"), ("new", "perhaps")]
    {
        let found = after(|history| told_again(history, image, status));
        let impossible = |one: &Violation| matches!(one, Violation::Impossible { .. });
        assert!(found.iter().any(impossible), "{image} {status}: {found:?}");
    }
}

#[test]
fn what_is_older_than_what_the_reader_was_told_is_stale() {
    let read = |status: &str, since| {
        let reading = Reading { image: "plain".into(), status: status.into(), since };
        !after(|history| history.readings.push(reading)).is_empty()
    };
    // `plain` is queued with 1, analysed with 4 and ready with 6.
    assert!(!read("queued", 1) && !read("analysing", 1) && !read("ready", 1));
    assert!(read("queued", 4) && !read("analysing", 5) && read("analysing", 6));
    assert!(read("removed", 1));
}

#[test]
fn a_result_of_a_model_that_is_not_registered_is_told_of() {
    let found = after(|history| history.models.clear());
    assert!(found.contains(&Violation::UnknownModel { image: "plain".into() }));
}

#[test]
fn another_sites_image_is_told_of_in_lists_and_at_the_end() {
    let item = item("plain", "north", "ready", None, result());
    assert_eq!(item.check("north"), Ok(()));
    assert!(matches!(item.check("south"), Err(Violation::OtherSite { .. })));
    let found = after(|history| image(history, "plain").site = Some("south".into()));
    assert!(matches!(found[..], [Violation::OtherSite { .. }]), "{found:?}");
}

#[test]
fn a_result_names_its_model_and_stands_where_one_is_told_and_nowhere_else() {
    let check =
        |status: &str, reason, result| item("a", "north", status, reason, result).check("north");
    assert!(check("ready", None, Value::Null).is_err());
    assert!(check("ready", Some("empty"), result()).is_err());
    assert!(check("analysing", None, result()).is_err());
    assert!(check("needs_human", Some("empty"), result()).is_err());
    assert!(check("failed", None, Value::Null).is_err());
    assert_eq!(check("needs_human", Some("empty"), Value::Null), Ok(()));
    assert_eq!(check("superseded", None, result()), Ok(()));
    for (field, value) in [
        ("/model/version", json!("")),
        ("/model/sha256", json!("abc")),
        ("/model/preprocessing", Value::Null),
        ("/model", Value::Null),
        ("/probability", json!(1.5)),
        ("/threshold", Value::Null),
    ] {
        let mut without = result();
        *without.pointer_mut(field).expect("a field") = value;
        let no_model = Violation::NoModel { image: "a".into() };
        assert_eq!(check("ready", None, without), Err(no_model), "{field}");
    }
}
