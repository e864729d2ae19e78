//! What the parser makes of each shape of message that is known to arrive.

use lobar_core::object::ObjectVersion;
use lobar_ingest::notification::{Ignored, Item, Notification, QuarantineReason, parse};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const AWS: &[u8] = include_bytes!("fixtures/aws.json");
const VERSION_2_6: &[u8] = include_bytes!("fixtures/version_2_6.json");
const ENCODED_SLASH: &[u8] = include_bytes!("fixtures/encoded_slash.json");
const QUOTED_ETAG: &[u8] = include_bytes!("fixtures/quoted_etag.json");
const MINIO: &[u8] = include_bytes!("fixtures/minio.json");
const TEST_EVENT: &[u8] = include_bytes!("fixtures/test_event.json");
const SNS: &[u8] = include_bytes!("fixtures/sns.json");
const EVENTBRIDGE_CREATED: &[u8] = include_bytes!("fixtures/eventbridge_created.json");
const EVENTBRIDGE_DELETED: &[u8] = include_bytes!("fixtures/eventbridge_deleted.json");
const REMOVED: &[u8] = include_bytes!("fixtures/removed.json");
const MIXED: &[u8] = include_bytes!("fixtures/mixed.json");

const CEPH: &[u8] = include_bytes!("fixtures/ceph.json");
const LOCALSTACK: &[u8] = include_bytes!("fixtures/localstack.json");
const MOTO: &[u8] = include_bytes!("fixtures/moto.json");
const MINIO_VERSIONS: &[u8] = include_bytes!("fixtures/minio_versions.json");
const MULTIPART_TWICE: &[u8] = include_bytes!("fixtures/multipart_twice.json");
const AWS_VERSIONS: &[u8] = include_bytes!("fixtures/aws_versions.json");
/// Recorded from MiniStack 1.5.33.
mod ministack {
    pub(super) const TEST_EVENT: &[u8] = include_bytes!("fixtures/ministack_test_event.json");
    pub(super) const PUT_VERSION: &[u8] = include_bytes!("fixtures/ministack_put_version.json");
    pub(super) const PUT_PLAIN: &[u8] = include_bytes!("fixtures/ministack_put_plain.json");
    pub(super) const MULTIPART: &[u8] = include_bytes!("fixtures/ministack_multipart.json");
    pub(super) const MARKER: &[u8] = include_bytes!("fixtures/ministack_marker.json");
    pub(super) const DELETE_VERSION: &[u8] =
        include_bytes!("fixtures/ministack_delete_version.json");
    pub(super) const DELETE_PLAIN: &[u8] = include_bytes!("fixtures/ministack_delete_plain.json");
}

const ALL: [&[u8]; 24] = [
    CEPH,
    LOCALSTACK,
    MOTO,
    MINIO_VERSIONS,
    MULTIPART_TWICE,
    AWS_VERSIONS,
    ministack::TEST_EVENT,
    ministack::PUT_VERSION,
    ministack::PUT_PLAIN,
    ministack::MULTIPART,
    ministack::MARKER,
    ministack::DELETE_VERSION,
    ministack::DELETE_PLAIN,
    AWS,
    VERSION_2_6,
    ENCODED_SLASH,
    QUOTED_ETAG,
    MINIO,
    TEST_EVENT,
    SNS,
    EVENTBRIDGE_CREATED,
    EVENTBRIDGE_DELETED,
    REMOVED,
    MIXED,
];

fn read(body: &[u8]) -> Notification {
    parse(body, &["xrays".to_owned(), "plain".to_owned()])
}

fn items(body: &[u8]) -> Vec<Item> {
    read(body).items
}

fn created(body: &[u8]) -> ObjectVersion {
    match items(body).as_slice() {
        [Item::Created(object)] => object.clone(),
        other => panic!("not one creation: {other:?}"),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

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

/// What each item is, in a word.
fn kinds(items: &[Item]) -> Vec<&'static str> {
    let kind = |item: &Item| match item {
        Item::Created(_) => "created",
        Item::Seen(_) => "seen",
        Item::Removed(_) => "removed",
        Item::NullRemoved(_) => "null_version",
        Item::Probe(_) => "probe",
        Item::Ignored(why) => why.as_str(),
        Item::Refused(why, _) => why.as_str(),
    };
    items.iter().map(kind).collect()
}

fn object(item: &Item) -> &ObjectVersion {
    match item {
        Item::Created(object) | Item::Removed(object) => object,
        other => panic!("no object: {other:?}"),
    }
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
fn a_test_event_is_ignored_by_name() {
    assert_eq!(items(TEST_EVENT), [Item::Ignored(Ignored::TestEvent)]);
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
fn garbage_is_refused_whole() {
    let garbage: [&[u8]; 9] = [
        b"",
        b"hello",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b"null",
        br#"{"Records":{}}"#,
        br#"{"Type":"Notification"}"#,
        br#"{"Type":"Notification","Message":"hello"}"#,
    ];
    for body in garbage {
        assert_eq!(items(body), [Item::Refused(QuarantineReason::Malformed, body.to_vec())]);
    }
}

#[test]
fn a_bucket_off_the_list_is_the_wrong_source_in_every_form() {
    for body in [AWS, SNS, EVENTBRIDGE_CREATED] {
        let items = parse(body, &["another".to_owned()]).items;
        assert!(matches!(items.as_slice(), [Item::Refused(QuarantineReason::WrongSource, _)]));
    }
}

#[test]
fn another_services_event_is_the_wrong_source() {
    let text = String::from_utf8(AWS.to_vec()).expect("UTF-8");
    let other = text.replace("aws:s3", "aws:sqs");
    assert!(matches!(
        items(other.as_bytes())[..],
        [Item::Refused(QuarantineReason::WrongSource, _)]
    ));
    let text = String::from_utf8(EVENTBRIDGE_CREATED.to_vec()).expect("UTF-8");
    let other = text.replace("aws.s3", "my.app");
    assert!(matches!(
        items(other.as_bytes())[..],
        [Item::Refused(QuarantineReason::WrongSource, _)]
    ));
}

#[test]
fn a_key_at_the_limit_is_read_and_one_beyond_is_refused() {
    let with = |key: &str| {
        let text = String::from_utf8(AWS.to_vec()).expect("UTF-8");
        items(text.replace("incoming/north/HappyFace.jpg", key).as_bytes())
    };
    assert!(matches!(with(&"%C3%A9".repeat(512))[..], [Item::Created(_)]));
    assert!(matches!(with(&"k".repeat(1025))[..], [Item::Refused(QuarantineReason::BadKey, _)]));
    assert!(matches!(with("")[..], [Item::Refused(QuarantineReason::BadKey, _)]));
    assert!(matches!(with("a%00b")[..], [Item::Refused(QuarantineReason::BadKey, _)]));
    assert!(matches!(with("/../..%2F.%2F")[..], [Item::Created(_)]));
}

/// Fields removed, replaced by other kinds of values, and bytes changed at random: whatever comes,
/// there is an answer, and it accounts for every record.
#[test]
fn no_mutation_of_a_message_panics_or_goes_unaccounted() {
    let mut random = StdRng::seed_from_u64(0x10BA2);
    let mut understood = 0;
    for round in 0..20_000 {
        let mut body = ALL[round % ALL.len()].to_vec();
        if round % 2 == 0 {
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..body.len());
                match random.random_range(0..3) {
                    0 => body[at] = random.random(),
                    1 => body.truncate(at.max(1)),
                    _ => body.insert(at, b"\"{}[]:,\\0%+"[random.random_range(0..11)]),
                }
            }
        } else {
            let mut value = serde_json::from_slice(&body).expect("a fixture is JSON");
            for _ in 0..random.random_range(1..4) {
                mutate(&mut value, &mut random);
            }
            body = value.to_string().into_bytes();
        }
        let items = items(&body);
        assert!(!items.is_empty());
        understood += usize::from(!matches!(items[0], Item::Refused(..)));
        let value: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let records = value.as_ref().and_then(|v| v.get("Records")?.as_array().map(Vec::len));
        if let Some(records) = records.filter(|n| *n > 0) {
            assert_eq!(items.len(), records);
        }
        for item in &items {
            if let Item::Created(object) | Item::Removed(object) | Item::NullRemoved(object) = item
            {
                assert!(["xrays", "plain"].contains(&object.bucket.as_str()));
                assert!((1..=1024).contains(&object.key.len()));
            }
        }
    }
    assert!(understood > 1_000, "the mutations left some messages readable: {understood}");
}

/// Changes one value somewhere in the tree.
fn mutate(value: &mut serde_json::Value, random: &mut StdRng) {
    use serde_json::{Value, json};
    let deeper = random.random_bool(0.85);
    match value {
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let at = random.random_range(0..fields.len());
            let key = fields.keys().nth(at).expect("within").clone();
            if random.random_bool(0.1) {
                fields.remove(&key);
            } else {
                mutate(&mut fields[&key], random);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = random.random_range(0..items.len());
            mutate(&mut items[at], random);
        }
        other => {
            let values = [
                json!(null),
                json!(-1),
                json!(1e300),
                json!(""),
                json!("\u{0}%"),
                json!([]),
                json!({}),
                json!(true),
            ];
            *other = values[random.random_range(0..values.len())].clone();
        }
    }
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
