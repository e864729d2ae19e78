//! The events of S3, of other stores and of emulators, in every envelope.

use lobar_core::object::ObjectVersion;
use lobar_ingest::notification::{Ignored, Item, QuarantineReason};

use super::*;

#[test]
fn the_event_of_the_documentation_is_read_whole() {
    let expected = ObjectVersion {
        bucket: "xrays".into(),
        key: "incoming/north/HappyFace.jpg".into(),
        version: some("096fKKXTRTtl3on89fVO.nfljtsv6qko"),
        etag: some("d41d8cd98f00b204e9800998ecf8427e"),
        sequencer: some("0055AED6DCD90281E5"),
        size: Some(1024),
    };
    assert!(created(AWS) == expected);
    assert!(!read(AWS).newer_minor);
}

#[test]
fn an_encoded_key_is_decoded_as_a_form() {
    assert_eq!(created(VERSION_2_6).key, "in/a b+c é/x&y%.dcm");
    assert!(!read(VERSION_2_6).newer_minor);
    assert_eq!(created(ENCODED_SLASH).key, "incoming/north/a b.png");
}

#[test]
fn version_and_sequencer_may_be_missing() {
    let object = created(ENCODED_SLASH);
    assert_eq!((object.version, object.sequencer), (None, None));
    assert!(object.etag.is_some());
}

#[test]
fn quotes_around_an_entity_tag_are_not_part_of_it_and_null_is_no_version() {
    let object = created(QUOTED_ETAG);
    assert_eq!(object.etag, some("9a0364b9e99bb480dd25e1f0284c8555"));
    assert_eq!((object.version, object.sequencer), (None, None));
}

#[test]
fn another_stores_dialect_is_understood() {
    assert_eq!(created(MINIO).key, "incoming/north/1.jpg");
}

const STRANGE: &str = "in/a b+c é/x&y%.dcm";
/// The same with what looks like an encoded letter.
const STRANGER: &str = "in/a b+c é/x&y%41.dcm";

#[test]
fn what_ministack_sends_is_read() {
    let put = created(ministack::PUT_VERSION);
    assert_eq!(put.key, STRANGE);
    assert!(put.version.is_some() && put.etag.is_some() && put.sequencer.is_some());
    let plain = created(ministack::PUT_PLAIN);
    assert_eq!((plain.key.as_str(), &plain.version), (STRANGE, &None));
    assert!(created(ministack::MULTIPART).etag.is_some_and(|etag| etag.ends_with("-1")));
    let removed = |body| {
        let items = items(body);
        assert_eq!(kinds(&items), ["removed"]);
        object(&items[0]).clone()
    };
    let marker = removed(ministack::MARKER);
    assert_eq!((marker.version, marker.etag), (None, None), "a marker hides the whole key");
    assert_eq!(removed(ministack::DELETE_VERSION).version, put.version);
    let plain = removed(ministack::DELETE_PLAIN);
    assert_eq!((plain.version, plain.etag), (None, None), "without versions there is only one");
    assert_eq!(items(ministack::TEST_EVENT), [Item::Ignored(Ignored::TestEvent)]);
}

#[test]
fn ceph_does_not_encode_its_keys_and_tells_of_uploads_that_only_begin() {
    let items = items(CEPH);
    assert_eq!(kinds(&items), ["other_event", "created", "created", "removed"]);
    assert!(items[1..].iter().all(|item| object(item).key == STRANGER));
    let (multipart, post) = (object(&items[1]), object(&items[2]));
    assert_eq!((&multipart.version, &post.version), (&None, &some("dJ2.eXAMPLE")));
    assert_eq!(post.size, Some(1024), "a size written as a text");
    assert_eq!(object(&items[3]).version, None);
}

#[test]
fn other_encodings_of_the_same_key_mean_the_same_key() {
    assert_eq!(created(LOCALSTACK).key, STRANGER);
    assert_eq!(created(MOTO).key, STRANGER);
    let object = created(MOTO);
    assert_eq!((object.version, object.sequencer), (None, None));
}

#[test]
fn minio_encodes_slashes_and_once_named_what_has_no_version() {
    let items = items(MINIO_VERSIONS);
    assert_eq!(kinds(&items), ["created", "created", "created", "other_event"]);
    assert!(items[..3].iter().all(|item| object(item).key == STRANGER));
    assert_eq!(object(&items[0]).version, None);
    assert_eq!(object(&items[1]).version, some("0f1a3d4e-5c6b-4f7a-8e9d-0a1b2c3d4e5f"));
    assert_eq!(object(&items[1]).id(), object(&items[2]).id(), "a retention is no new version");
}

#[test]
fn two_events_of_one_multipart_upload_are_one_image() {
    let items = items(MULTIPART_TWICE);
    assert_eq!(kinds(&items), ["created", "created"]);
    assert_eq!(object(&items[0]).id(), object(&items[1]).id());
}

#[test]
fn every_minor_version_in_use_is_read_and_other_families_are_no_error() {
    let read = read(AWS_VERSIONS);
    assert!(!read.newer_minor);
    assert_eq!(
        kinds(&read.items),
        [
            "created",
            "created",
            "other_event",
            "other_event",
            "other_event",
            "created",
            "removed",
            "other_event",
        ]
    );
    assert_eq!(object(&read.items[0]).key, "incoming/north/red flower.jpg");
}

#[test]
fn any_of_version_tag_and_sequencer_may_be_missing_and_the_next_takes_its_place() {
    let with = |fields: serde_json::Value| {
        let mut body: serde_json::Value = serde_json::from_slice(AWS).expect("JSON");
        body["Records"][0]["s3"]["object"] = fields;
        created(body.to_string().as_bytes())
    };
    let key = "incoming/north/1.jpg";
    let all = serde_json::json!({ "key": key, "versionId": "v", "eTag": "e", "sequencer": "0A" });
    let object = with(all);
    let without = |names: &[&str]| {
        let mut fields = serde_json::Map::new();
        for (name, value) in [("versionId", "v"), ("eTag", "e"), ("sequencer", "0A")] {
            if !names.contains(&name) {
                fields.insert(name.to_owned(), value.into());
            }
        }
        fields.insert("key".to_owned(), key.into());
        with(fields.into()).id()
    };
    assert_eq!(object.id(), without(&["eTag", "sequencer"]), "the version alone is enough");
    let by_tag = without(&["versionId"]);
    assert_eq!(by_tag, without(&["versionId", "sequencer"]));
    let ids = [
        object.id(),
        by_tag,
        without(&["versionId", "eTag"]),
        without(&["versionId", "eTag", "sequencer"]),
    ];
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn an_sns_envelope_is_taken_off() {
    assert!(created(SNS) == created(AWS));
}

#[test]
fn an_envelope_may_hold_another_form_but_envelopes_do_not_nest_for_ever() {
    let wrap = |body: &[u8]| {
        let message = String::from_utf8(body.to_vec()).expect("UTF-8");
        serde_json::json!({ "Type": "Notification", "Message": message }).to_string().into_bytes()
    };
    assert!(created(&wrap(EVENTBRIDGE_CREATED)) == created(EVENTBRIDGE_CREATED));
    assert_eq!(items(&wrap(TEST_EVENT)), [Item::Ignored(Ignored::TestEvent)]);
    let deep = wrap(&wrap(&wrap(AWS)));
    assert_eq!(items(&deep), [Item::Refused(QuarantineReason::Malformed, deep.clone())]);
}

#[test]
fn the_key_of_an_eventbridge_event_is_taken_as_it_is() {
    let object = created(EVENTBRIDGE_CREATED);
    assert_eq!(object.key, "incoming/north/a+b%20c é.jpg");
    assert_eq!(object.version, some("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"));
    assert_eq!(object.sequencer, some("617f08299329d189"));
    assert_eq!(object.size, Some(5));
}
