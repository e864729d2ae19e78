//! The quarantine as programs see it: over HTTP, and as `lobar quarantine --json` prints it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lobar_core::quarantine::{Entry, KeptMessage, REASONS};
use serde::Serialize;
use utoipa::ToSchema;

use crate::timestamp::rfc3339;

/// The reason under which those of other releases are counted.
pub(crate) const OTHER: &str = "other";

/// A message that ingest put aside, without the message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QuarantineItem {
    /// Higher ids were put aside later.
    pub id: i64,
    /// The queue that it came from.
    pub source: String,
    /// `malformed`, `bad_key`, `unsupported_version`, `wrong_source`, `refused`.
    pub reason: String,
    /// The reason in a sentence.
    #[schema(value_type = String)]
    pub reason_text: &'static str,
    /// `waiting`, `replayed`, `discarded`; `unreadable` where this release cannot read it.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// When it was put aside: RFC 3339, UTC.
    pub at: String,
    /// Length of the message.
    pub bytes: u64,
    /// When its state was changed last.
    pub changed_at: Option<String>,
    /// Who changed it.
    pub changed_by: Option<String>,
}

/// A page of entries.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QuarantineList {
    /// Newest first.
    pub items: Vec<QuarantineItem>,
    /// `before` of the next page; null on the last.
    pub next: Option<i64>,
    /// How many wait in all, by reason.
    pub waiting: BTreeMap<String, u64>,
}

/// An entry with its message. No `Debug`: the message names object keys, which are personal.
#[derive(Clone, Serialize, ToSchema)]
pub struct QuarantineMessage {
    /// What is known of it.
    #[serde(flatten)]
    pub item: QuarantineItem,
    /// The message; null where it is no text. Names object keys, which are personal data.
    pub message: Option<String>,
    /// The message in base64 where it is no text.
    pub message_base64: Option<String>,
}

impl From<Entry> for QuarantineItem {
    fn from(entry: Entry) -> Self {
        let (changed_at, changed_by) = entry.changed.unzip();
        Self {
            id: entry.id.0,
            source: entry.source,
            reason_text: text(&entry.reason),
            reason: entry.reason,
            state: entry.state.word(),
            at: rfc3339(entry.at),
            bytes: entry.bytes,
            changed_at: changed_at.map(rfc3339),
            changed_by,
        }
    }
}

impl From<KeptMessage> for QuarantineMessage {
    fn from(kept: KeptMessage) -> Self {
        let (message, message_base64) = match String::from_utf8(kept.body) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        Self { item: kept.entry.into(), message, message_base64 }
    }
}

impl QuarantineList {
    /// A page of at most `limit`.
    pub fn new(entries: Vec<Entry>, waiting: Vec<(String, u64)>, limit: usize) -> Self {
        let full = entries.len() >= limit;
        let next = entries.last().filter(|_| full).map(|entry| entry.id.0);
        let items = entries.into_iter().map(QuarantineItem::from).collect();
        Self { items, next, waiting: waiting.into_iter().collect() }
    }
}

/// How many wait, by every reason that this release knows, zeros included; those of other releases as one.
pub(crate) fn by_reason(waiting: &[(String, u64)]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::from(REASONS.map(|reason| (reason, 0)));
    for (reason, count) in waiting {
        let known = REASONS.into_iter().find(|known| known == reason).unwrap_or(OTHER);
        *counts.entry(known).or_default() += count;
    }
    counts
}

/// A reason as an operator reads it.
fn text(reason: &str) -> &'static str {
    match reason {
        "malformed" => "Not an event of an object store.",
        "bad_key" => "It names a key that no object can have.",
        "unsupported_version" => "An event format that this release does not know.",
        "wrong_source" => "Of another bucket than LOBAR_BUCKET names, or of another service.",
        "refused" => "The store refused the change that it asks for, again and again.",
        "no_image" => "By its name and its content it is no image.",
        _ => "A reason of another release.",
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::quarantine::{EntryId, EntryState};
    use lobar_core::time::Stamp;

    use super::*;

    fn entry(id: i64) -> Entry {
        Entry {
            id: EntryId(id),
            source: "uploads".into(),
            reason: "wrong_source".into(),
            state: EntryState::Waiting,
            at: Stamp(0),
            bytes: 2,
            changed: None,
        }
    }

    #[test]
    fn every_reason_is_counted_also_those_of_which_none_waits_and_of_other_releases() {
        let counts = by_reason(&[("wrong_source".into(), 12), ("a".into(), 1), ("b".into(), 2)]);
        assert_eq!((counts["wrong_source"], counts["malformed"], counts[OTHER]), (12, 0, 3));
        assert!(REASONS.iter().all(|reason| text(reason) != text("a")), "each has its sentence");
    }

    #[test]
    fn the_next_page_begins_after_a_full_one() {
        let pages = [
            QuarantineList::new(vec![entry(5), entry(4)], vec![], 2),
            QuarantineList::new(vec![entry(3)], vec![], 2),
        ];
        assert_eq!(pages.map(|page| page.next), [Some(4), None]);
    }

    #[test]
    fn a_message_that_is_no_text_is_base64() {
        let message = |body: &[u8]| {
            QuarantineMessage::from(KeptMessage { entry: entry(1), body: body.to_vec() })
        };
        let (text, binary) = (message(b"{}"), message(&[0xff, 0xfe]));
        assert_eq!((text.message.as_deref(), text.message_base64), (Some("{}"), None));
        assert_eq!((binary.message, binary.message_base64.as_deref()), (None, Some("//4=")));
    }
}
