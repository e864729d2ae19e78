//! A message as SQS carries it: text of limited characters, with attributes beside it.

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

/// Which attributes a receive asks for: ours. A prefix is written in this way.
pub(super) const OURS: &str = "lobar.*";
const ENCODING: &str = "lobar.encoding";
const COUNT: &str = "lobar.received";
const SENT: &str = "lobar.sent";
const DUE: &str = "lobar.due";
const REASON: &str = "lobar.reason";
/// SQS refuses a body without a character.
const NOTHING: &str = "-";
/// More of a reason is of no use, and attributes count towards the size of a message.
const LONGEST_REASON: usize = 1_000;

/// What is said beside a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MessageAttributes {
    /// Receives of earlier copies of it that count.
    pub(super) count: u32,
    /// When its first copy was sent.
    pub(super) sent_at: Option<Stamp>,
    /// Not to be received before.
    pub(super) due: Option<Stamp>,
    /// Why it is dead.
    pub(super) reason: Option<String>,
    /// What the work on it continues.
    pub(super) trace: Option<TraceContext>,
}

/// A message ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct EncodedMessage {
    pub(super) body: String,
    pub(super) attributes: Option<HashMap<String, MessageAttributeValue>>,
    /// What SQS counts: the body, and the name, type and value of each attribute.
    pub(super) size: usize,
}

/// Text stays as it is, so that other readers of the queue understand it; other bytes become base64.
pub(super) fn encode(body: &[u8], notes: &MessageAttributes) -> EncodedMessage {
    let text = std::str::from_utf8(body).ok().filter(|text| text.chars().all(is_carried));
    let (body, encoding) = match text {
        Some("") => (NOTHING.to_owned(), Some("empty")),
        Some(text) => (text.to_owned(), None),
        None => (BASE64.encode(body), Some("base64")),
    };
    let millis = |stamp: Stamp| stamp.0.div_euclid(1_000).to_string();
    let reason = notes.reason.as_deref().map(|reason| {
        let kept = reason.chars().filter(|c| is_carried(*c)).take(LONGEST_REASON);
        kept.collect::<String>()
    });
    let said = [
        (ENCODING, encoding.map(str::to_owned)),
        (COUNT, (notes.count > 0).then(|| notes.count.to_string())),
        (SENT, notes.sent_at.map(millis)),
        (DUE, notes.due.map(millis)),
        (REASON, reason.filter(|reason| !reason.is_empty())),
        (TraceContext::HEADER, notes.trace.map(|trace| trace.to_string())),
    ];
    let mut size = body.len();
    let mut attributes = HashMap::new();
    for (name, value) in said {
        let Some(value) = value else { continue };
        size += name.len() + "String".len() + value.len();
        let value = MessageAttributeValue::builder().data_type("String").string_value(value);
        // It fails only without a type.
        attributes.extend(value.build().ok().map(|value| (name.to_owned(), value)));
    }
    EncodedMessage { body, attributes: (!attributes.is_empty()).then_some(attributes), size }
}

/// The body and the notes of a received message.
pub(super) fn decode(message: &Message) -> (Bytes, MessageAttributes) {
    let said = |name: &str| message.message_attributes()?.get(name)?.string_value();
    let number = |name: &str| said(name)?.parse::<i64>().ok();
    let stamp = |name: &str| number(name)?.checked_mul(1_000).map(Stamp);
    let text = message.body().unwrap_or_default();
    let decoded = match said(ENCODING) {
        Some("empty") => Some(Bytes::new()),
        Some("base64") => BASE64.decode(text).ok().map(Bytes::from),
        _ => None,
    };
    let notes = MessageAttributes {
        count: number(COUNT).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        sent_at: stamp(SENT),
        due: stamp(DUE),
        reason: said(REASON).map(str::to_owned),
        trace: said(TraceContext::HEADER).and_then(TraceContext::parse),
    };
    (decoded.unwrap_or_else(|| Bytes::copy_from_slice(text.as_bytes())), notes)
}

/// The characters of XML 1.0, which SQS allows.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn is_carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(body: &[u8], notes: &MessageAttributes) -> (Bytes, MessageAttributes) {
        let wire = encode(body, notes);
        assert!(!wire.body.is_empty() && wire.body.chars().all(is_carried));
        let message = Message::builder().body(wire.body).set_message_attributes(wire.attributes);
        decode(&message.build())
    }

    #[test]
    fn whatever_the_bytes_are_they_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        let bodies: [&[u8]; 6] =
            [b"", b"-", b"{\"a\":1}", "é \u{10FFFF}".as_bytes(), "\u{FFFE}".as_bytes(), &all];
        for body in bodies {
            assert_eq!(there_and_back(body, &MessageAttributes::default()).0, body);
        }
    }

    #[test]
    fn text_that_sqs_carries_is_sent_as_it_is() {
        let wire = encode("{\"é\":\"\t\"}".as_bytes(), &MessageAttributes::default());
        assert_eq!(wire.body, "{\"é\":\"\t\"}");
        assert!(wire.attributes.is_none());
        assert_eq!(wire.size, wire.body.len());
    }

    #[test]
    fn what_is_said_beside_it_comes_back() {
        let notes = MessageAttributes {
            count: 3,
            sent_at: Some(Stamp(1_700_000_000_123_000)),
            due: Some(Stamp(1_700_000_900_000_000)),
            reason: Some("nobody reads this".into()),
            trace: TraceContext::new(1, 2, 1),
        };
        assert_eq!(there_and_back(b"a", &notes), ("a".into(), notes.clone()));
        let reason = format!("\u{0}{}", "x".repeat(5_000));
        let long = MessageAttributes { reason: Some(reason), ..MessageAttributes::default() };
        let (_, back) = there_and_back(b"a", &long);
        assert_eq!(back.reason.map(|reason| reason.len()), Some(LONGEST_REASON));
    }

    #[test]
    fn another_senders_nonsense_in_our_attributes_spoils_nothing() {
        let value = |text: &str| {
            MessageAttributeValue::builder().data_type("String").string_value(text).build()
        };
        let mut message = Message::builder().body("not base64!");
        for (name, text) in [
            (ENCODING, "base64"),
            (COUNT, "-4"),
            (SENT, "soon"),
            (DUE, ""),
            (TraceContext::HEADER, "incoming/north/Doe^Jane.jpeg"),
        ] {
            message = message.message_attributes(name, value(text).expect("typed"));
        }
        let (body, notes) = decode(&message.build());
        assert_eq!((body, notes), ("not base64!".into(), MessageAttributes::default()));
    }
}
