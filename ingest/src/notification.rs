//! Parses messages of the uploads queue. Untrusted input: never panics, and one bad record does not
//! affect the others.
//!
//! Understood are S3's own event, the same inside an SNS envelope, an EventBridge event, and S3's
//! test event. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use serde_json::{Value, json};

pub use crate::item::{Ignored, Item, QuarantineReason};
use crate::record;

/// How many envelopes may lie around an event: EventBridge or S3, inside SNS.
const DEEPEST: u32 = 2;

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
    read(body, buckets, DEEPEST).unwrap_or_else(|| {
        Notification::of(Item::Refused(QuarantineReason::Malformed, body.to_vec()))
    })
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
