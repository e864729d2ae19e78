//! One record of a notification, in S3's form and in EventBridge's.

use lobar_core::notification;
use lobar_core::object::ObjectVersion;
use lobar_core::probe;
use serde_json::Value;

use crate::item::{Ignored, Item, QuarantineReason};
use crate::key;

/// The event format's versions that were known when this was written: 2.0 to 2.6.
const MAJOR: u32 = 2;
const NEWEST_MINOR: u32 = 6;

/// Stores with habits of their own.
const CEPH: &str = "ceph:s3";
const MINIO: &str = "minio:s3";

/// A record, read.
pub(crate) struct Read {
    pub(crate) item: Result<Item, QuarantineReason>,
    pub(crate) newer_minor: bool,
}

enum EventKind {
    Created,
    /// A version was deleted, or the only one there was.
    Deleted,
    /// The key was hidden: every version of it is gone for readers.
    Hidden,
}

/// Reads one element of `Records`.
pub(crate) fn from_s3(record: &Value, buckets: &[String]) -> Read {
    let minor = match version(record) {
        Ok(minor) => minor,
        Err(refusal) => return Read { item: Err(refusal), newer_minor: false },
    };
    Read { item: s3_item(record, buckets), newer_minor: minor > NEWEST_MINOR }
}

/// The minor version. A record that names no version is taken for one of ours: some stores leave
/// the field out, and everything that matters is checked below.
fn version(record: &Value) -> Result<u32, QuarantineReason> {
    let Some(version) = record.get("eventVersion") else { return Ok(0) };
    let version = version.as_str().ok_or(QuarantineReason::Malformed)?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    match major.parse::<u32>() {
        Ok(MAJOR) => Ok(minor.parse().unwrap_or(u32::MAX)),
        Ok(_) => Err(QuarantineReason::UnsupportedVersion),
        Err(_) => Err(QuarantineReason::Malformed),
    }
}

fn s3_item(record: &Value, buckets: &[String]) -> Result<Item, QuarantineReason> {
    let source = text(record, "/eventSource").unwrap_or("aws:s3");
    if !source.ends_with(":s3") {
        return Err(QuarantineReason::WrongSource);
    }
    let name = text(record, "/eventName").ok_or(QuarantineReason::Malformed)?;
    let name = name.strip_prefix("s3:").unwrap_or(name);
    let change = match name.split_once(':') {
        Some(("ObjectCreated", _)) => EventKind::Created,
        Some(("ObjectRemoved", "DeleteMarkerCreated")) => EventKind::Hidden,
        Some(("ObjectRemoved", _)) => EventKind::Deleted,
        _ => return Ok(Item::Ignored(Ignored::OtherEvent)),
    };
    let bucket = allowed(text(record, "/s3/bucket/name"), buckets)?;
    let encoded = text(record, "/s3/object/key").ok_or(QuarantineReason::Malformed)?;
    // Ceph does not encode its keys.
    let decoded = if source == CEPH { Some(encoded.to_owned()) } else { key::decode(encoded) };
    let key = decoded.ok_or(QuarantineReason::BadKey)?;
    let object = record.pointer("/s3/object").unwrap_or(&Value::Null);
    let names = Names {
        version: "versionId",
        etag: "eTag",
        // MinIO's first releases named every object without a version so.
        unversioned: if source == MINIO { &["null", "1"] } else { &["null"] },
    };
    // Ceph says `Post` when a multipart upload begins, too: nothing is stored yet.
    let begun = source == CEPH && name == "ObjectCreated:Post";
    match item(change, &bucket, key, object, names)? {
        Item::Created(object) if begun && object.etag.is_none() => {
            Ok(Item::Ignored(Ignored::OtherEvent))
        }
        Item::Created(object) if source == notification::SEEN => Ok(Item::Seen(object)),
        item => Ok(item),
    }
}

/// Reads an EventBridge event of the type `kind`.
pub(crate) fn from_event_bridge(kind: &str, event: &Value, buckets: &[String]) -> Item {
    event_bridge_item(kind, event, buckets)
        .unwrap_or_else(|refusal| Item::Refused(refusal, event.to_string().into_bytes()))
}

fn event_bridge_item(
    kind: &str,
    event: &Value,
    buckets: &[String],
) -> Result<Item, QuarantineReason> {
    if text(event, "/source").is_some_and(|source| source != "aws.s3") {
        return Err(QuarantineReason::WrongSource);
    }
    let marker = text(event, "/detail/deletion-type") == Some("Delete Marker Created");
    let change = match kind {
        "Object Created" => EventKind::Created,
        "Object Deleted" if marker => EventKind::Hidden,
        "Object Deleted" => EventKind::Deleted,
        _ => return Ok(Item::Ignored(Ignored::OtherEvent)),
    };
    let bucket = allowed(text(event, "/detail/bucket/name"), buckets)?;
    let key = text(event, "/detail/object/key").ok_or(QuarantineReason::Malformed)?.to_owned();
    let object = event.pointer("/detail/object").unwrap_or(&Value::Null);
    item(
        change,
        &bucket,
        key,
        object,
        Names { version: "version-id", etag: "etag", unversioned: &["null"] },
    )
}

/// What a form calls things.
struct Names {
    /// The field of the version.
    version: &'static str,
    /// The field of the entity tag.
    etag: &'static str,
    /// Versions of what was written without versioning: no names at all.
    unversioned: &'static [&'static str],
}

/// What `change` to `key` asks for.
fn item(
    change: EventKind,
    bucket: &str,
    key: String,
    object: &Value,
    names: Names,
) -> Result<Item, QuarantineReason> {
    if !key::is_valid(&key) {
        return Err(QuarantineReason::BadKey);
    }
    let named = |name: &str| {
        let value = object.get(name).and_then(Value::as_str)?.trim_matches('"');
        (!value.is_empty()).then(|| value.to_owned())
    };
    if let Some(probe) = probe::of(&key) {
        return Ok(match change {
            EventKind::Created => Item::Probe(probe),
            EventKind::Hidden | EventKind::Deleted => Item::Ignored(Ignored::Probe),
        });
    }
    let version = named(names.version);
    let unversioned = version.as_deref().is_some_and(|one| names.unversioned.contains(&one));
    let object = ObjectVersion {
        bucket: bucket.to_owned(),
        key,
        version: version.filter(|_| !unversioned),
        etag: named(names.etag),
        sequencer: named("sequencer"),
        size: object.get("size").and_then(size),
    };
    Ok(match change {
        EventKind::Created if object.size == Some(0) && object.key.ends_with('/') => {
            Item::Ignored(Ignored::Folder)
        }
        EventKind::Created => Item::Created(object),
        // The version and the tag named are the marker's own.
        EventKind::Hidden => Item::Removed(ObjectVersion { version: None, etag: None, ..object }),
        EventKind::Deleted if unversioned && object.etag.is_none() => {
            Item::NullRemoved(ObjectVersion { version: None, ..object })
        }
        EventKind::Deleted => Item::Removed(object),
    })
}

/// A size: a number, or a text that is one, as Ceph's documentation has it.
fn size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn allowed(bucket: Option<&str>, buckets: &[String]) -> Result<String, QuarantineReason> {
    let bucket = bucket.filter(|name| !name.is_empty()).ok_or(QuarantineReason::Malformed)?;
    if !buckets.iter().any(|one| one == bucket) {
        return Err(QuarantineReason::WrongSource);
    }
    Ok(bucket.to_owned())
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
