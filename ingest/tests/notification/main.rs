//! What the parser makes of each shape of message that is known to arrive.

mod dialects;
mod hostile;
mod items;

use lobar_core::object::ObjectVersion;
use lobar_ingest::notification::{Item, Notification, parse};

const AWS: &[u8] = include_bytes!("../fixtures/aws.json");
const VERSION_2_6: &[u8] = include_bytes!("../fixtures/version_2_6.json");
const ENCODED_SLASH: &[u8] = include_bytes!("../fixtures/encoded_slash.json");
const QUOTED_ETAG: &[u8] = include_bytes!("../fixtures/quoted_etag.json");
const MINIO: &[u8] = include_bytes!("../fixtures/minio.json");
const TEST_EVENT: &[u8] = include_bytes!("../fixtures/test_event.json");
const SNS: &[u8] = include_bytes!("../fixtures/sns.json");
const EVENTBRIDGE_CREATED: &[u8] = include_bytes!("../fixtures/eventbridge_created.json");
const EVENTBRIDGE_DELETED: &[u8] = include_bytes!("../fixtures/eventbridge_deleted.json");
const REMOVED: &[u8] = include_bytes!("../fixtures/removed.json");
const MIXED: &[u8] = include_bytes!("../fixtures/mixed.json");

const CEPH: &[u8] = include_bytes!("../fixtures/ceph.json");
const LOCALSTACK: &[u8] = include_bytes!("../fixtures/localstack.json");
const MOTO: &[u8] = include_bytes!("../fixtures/moto.json");
const MINIO_VERSIONS: &[u8] = include_bytes!("../fixtures/minio_versions.json");
const MULTIPART_TWICE: &[u8] = include_bytes!("../fixtures/multipart_twice.json");
const AWS_VERSIONS: &[u8] = include_bytes!("../fixtures/aws_versions.json");
/// Recorded from MiniStack 1.5.33.
mod ministack {
    pub(super) const TEST_EVENT: &[u8] = include_bytes!("../fixtures/ministack_test_event.json");
    pub(super) const PUT_VERSION: &[u8] = include_bytes!("../fixtures/ministack_put_version.json");
    pub(super) const PUT_PLAIN: &[u8] = include_bytes!("../fixtures/ministack_put_plain.json");
    pub(super) const MULTIPART: &[u8] = include_bytes!("../fixtures/ministack_multipart.json");
    pub(super) const MARKER: &[u8] = include_bytes!("../fixtures/ministack_marker.json");
    pub(super) const DELETE_VERSION: &[u8] =
        include_bytes!("../fixtures/ministack_delete_version.json");
    pub(super) const DELETE_PLAIN: &[u8] =
        include_bytes!("../fixtures/ministack_delete_plain.json");
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
