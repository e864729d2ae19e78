//! What the records of a message ask for.

use lobar_ingest::notification::{Ignored, Item, QuarantineReason};

use super::*;

#[test]
fn a_test_event_is_ignored_by_name() {
    assert_eq!(items(TEST_EVENT), [Item::Ignored(Ignored::TestEvent)]);
}

#[test]
fn a_delete_marker_means_the_whole_key() {
    let removed = items(EVENTBRIDGE_DELETED);
    let [Item::Removed(object)] = removed.as_slice() else { panic!("{removed:?}") };
    assert_eq!((&object.version, &object.etag), (&None, &None));
    assert_eq!(object.sequencer, some("617f0837b476e463"));
}

#[test]
fn each_kind_of_deletion_says_what_is_gone() {
    let removed = items(REMOVED);
    let [Item::Removed(version), Item::Removed(marker), Item::Removed(plain), null] =
        removed.as_slice()
    else {
        panic!("{removed:?}")
    };
    assert_eq!(version.version, created(AWS).version, "a delete with a version means that one");
    assert_eq!((&marker.version, &marker.etag), (&None, &None), "a marker hides the whole key");
    assert_eq!((&plain.version, &plain.etag), (&None, &None), "without versions there is only one");
    let Item::NullRemoved(null) = null else { panic!("{null:?}") };
    assert_eq!((&null.version, &null.etag), (&None, &None), "nothing says which upload that was");
}

#[test]
fn one_bad_record_does_not_spoil_the_others() {
    let read = read(MIXED);
    let kinds = kinds(&read.items);
    let expected = [
        "created",
        "malformed",
        "bad_key",
        "wrong_source",
        "other_event",
        "unsupported_version",
        "folder",
        "removed",
        "malformed",
        "created",
    ];
    assert_eq!(kinds, expected);
    assert!(read.newer_minor, "2.99 is read, and told");
}

#[test]
fn a_refused_record_is_kept_as_a_message_of_its_own() {
    let refused = items(MIXED).into_iter().find_map(|item| match item {
        Item::Refused(QuarantineReason::WrongSource, body) => Some(body),
        _ => None,
    });
    let replayed = parse(&refused.expect("one"), &["somebody-elses".to_owned()]);
    assert!(matches!(replayed.items.as_slice(), [Item::Created(_)]));
}

#[test]
fn an_empty_list_of_records_is_ignored_and_told() {
    assert_eq!(items(br#"{"Records":[]}"#), [Item::Ignored(Ignored::NoRecords)]);
}

#[test]
fn a_probe_is_no_upload_and_neither_is_its_removal() {
    let probe = uuid::Uuid::from_u128(7);
    let said = |event: &str, key: &str| {
        let record = serde_json::json!({ "eventVersion": "2.1", "eventSource": "aws:s3",
            "eventName": event, "s3": { "bucket": { "name": "xrays" },
            "object": { "key": key, "versionId": "1" } } });
        parse(serde_json::json!({ "Records": [record] }).to_string().as_bytes(), &["xrays".into()])
            .items
    };
    let key = lobar_core::probe::key(probe);
    assert_eq!(said("ObjectCreated:Put", &key), [Item::Probe(probe)]);
    for removal in ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"] {
        assert_eq!(said(removal, &key), [Item::Ignored(Ignored::Probe)]);
    }
    let alike = "incoming/lobar-doctor/probe/1.jpg";
    assert!(matches!(said("ObjectCreated:Put", alike)[..], [Item::Created(_)]));
}
