//! What a message on the uploads queue says. Other people's bytes: nothing in here may panic, and
//! one bad record must not spoil the others of its message.
//!
//! Understood are S3's own event, the same inside an SNS envelope, an EventBridge event, and S3's
//! test event. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use lobar_core::object::ObjectVersion;
use serde_json::{Value, json};

use crate::record;

/// How many envelopes may lie around an event: EventBridge or S3, inside SNS.
const DEEPEST: u32 = 2;

/// One thing that a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An object version was stored.
    Created(ObjectVersion),
    /// An object was deleted: that version, or every version when neither `version` nor `etag` is set.
    Removed(ObjectVersion),
    /// Nothing to do.
    Ignored(Ignored),
    /// Not understood or not ours: to be kept for an operator.
    Refused(Refusal, Vec<u8>),
}

/// Why an item needs no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// S3's test event: notifications are wired.
    TestEvent,
    /// A message with an empty list of records.
    NoRecords,
    /// A zero-byte key that ends in `/`: what consoles create as a folder.
    Folder,
    /// An event that is neither a creation nor a deletion.
    OtherEvent,
    /// The unversioned past of a versioned key was deleted; nothing says which upload that was.
    NullVersion,
}

impl Ignored {
    /// The word used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Ignored::TestEvent => "test_event",
            Ignored::NoRecords => "no_records",
            Ignored::Folder => "folder",
            Ignored::OtherEvent => "other_event",
            Ignored::NullVersion => "null_version",
        }
    }
}

/// Why an item goes to quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a notification, or one without what every notification has.
    Malformed,
    /// A key that no object can have: not UTF-8, empty, or longer than 1,024 bytes.
    BadKey,
    /// A major version of the event format that this build does not know.
    UnsupportedVersion,
    /// Another bucket, or another service.
    WrongSource,
}

impl Refusal {
    /// The stable code used in quarantine and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Malformed => "malformed",
            Refusal::BadKey => "bad_key",
            Refusal::UnsupportedVersion => "unsupported_version",
            Refusal::WrongSource => "wrong_source",
        }
    }
}

/// A message, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notification {
    /// What it says, in its own order. Never empty.
    pub items: Vec<Item>,
    /// Some record has a minor version newer than this build knows; it was read all the same.
    pub newer_minor: bool,
}

impl Notification {
    fn of(item: Item) -> Self {
        Self { items: vec![item], newer_minor: false }
    }
}

/// Reads a message. `buckets` are the ones that may be notified of.
pub fn parse(body: &[u8], buckets: &[String]) -> Notification {
    read(body, buckets, DEEPEST)
        .unwrap_or_else(|| Notification::of(Item::Refused(Refusal::Malformed, body.to_vec())))
}

/// `None` when the message is not a notification at all.
fn read(body: &[u8], buckets: &[String], depth: u32) -> Option<Notification> {
    let message: Value = serde_json::from_slice(body).ok()?;
    if let Some(records) = message.get("Records") {
        return Some(all(records.as_array()?, buckets));
    }
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Some(Notification::of(Item::Ignored(Ignored::TestEvent)));
    }
    if let Some(kind) = message.get("detail-type").and_then(Value::as_str) {
        return Some(Notification::of(record::from_event_bridge(kind, &message, buckets)));
    }
    match message.get("Type").and_then(Value::as_str) {
        Some("Notification") if depth > 0 => {
            read(message.get("Message")?.as_str()?.as_bytes(), buckets, depth - 1)
        }
        _ => None,
    }
}

fn all(records: &[Value], buckets: &[String]) -> Notification {
    if records.is_empty() {
        return Notification::of(Item::Ignored(Ignored::NoRecords));
    }
    let mut notification = Notification::default();
    for one in records {
        let read = record::from_s3(one, buckets);
        notification.newer_minor |= read.newer_minor;
        notification.items.push(read.item.unwrap_or_else(|refusal| {
            // Kept as a message of its own, so that replaying it repeats nothing else.
            Item::Refused(refusal, json!({ "Records": [one] }).to_string().into_bytes())
        }));
    }
    notification
}
