//! Headers and properties of a message.

use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery as Delivered;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

use super::publisher::Publication;
use super::topology::{Delay, Topology};

/// How often it was received before this copy was made.
const RECEIVED: &str = "lobar-received";
/// When it was first sent, in microseconds since 1970.
const SENT: &str = "lobar-sent";
/// How long it is to stay hidden beyond what the ladder of delays could do, in milliseconds.
const LEFT: &str = "lobar-left";
/// Why it was put aside.
const REASON: &str = "lobar-reason";
/// The broker's own count of deliveries before this one.
const DELIVERIES: &str = "x-delivery-count";
/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;
/// Headers have to fit into one frame.
const LONGEST_REASON: usize = 1_000;

/// A message with its history. The headers that the broker adds on the way are left behind: it would
/// take a message that went down the ladder twice for one in a circle.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) body: Bytes,
    /// How often it has been received before.
    pub(super) received: u32,
    pub(super) sent_at: Stamp,
    /// Still to be hidden.
    pub(super) left: Duration,
    /// What the work on it continues.
    pub(super) trace: Option<TraceContext>,
}

impl Envelope {
    /// A message that is sent now.
    pub(super) fn new(body: Bytes, sent_at: Stamp, trace: Option<TraceContext>) -> Self {
        Self { body, received: 0, sent_at, left: Duration::ZERO, trace }
    }

    /// Opens what came. Foreign messages have no headers of ours: their own timestamp counts, or `now`.
    pub(super) fn open(delivered: Delivered, now: Stamp) -> Self {
        let properties = &delivered.properties;
        let value = |name: &str| properties.headers().as_ref()?.inner().get(name);
        let header = |name: &str| value(name).and_then(number);
        let seconds = properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok());
        let stamped = seconds.map(|seconds| seconds.saturating_mul(1_000_000));
        let count = header(RECEIVED).unwrap_or(0).saturating_add(header(DELIVERIES).unwrap_or(0));
        let left = header(LEFT).and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0);
        Self {
            received: u32::try_from(count.max(0)).unwrap_or(u32::MAX),
            sent_at: Stamp(header(SENT).or(stamped).unwrap_or(now.0)),
            left: Duration::from_millis(left),
            trace: value(TraceContext::HEADER).and_then(text).and_then(TraceContext::parse),
            body: delivered.data.into(),
        }
    }

    /// To be received as soon as possible, for the first time.
    pub(super) fn first(self, topology: &Topology) -> Publication {
        self.publication("", &topology.main, None)
    }

    /// To be received as soon as possible, before what waits in the main queue.
    pub(super) fn again(self, topology: &Topology) -> Publication {
        self.publication("", &topology.again, None)
    }

    /// To be received after `delay`.
    pub(super) fn later(mut self, topology: &Topology, delay: Duration) -> Publication {
        let delay = Delay::of(delay);
        self.left = delay.left;
        self.publication(&topology.ladder(), &delay.key, None)
    }

    /// To be kept aside. Without a reason, where the broker did it by itself.
    pub(super) fn aside(self, topology: &Topology, reason: Option<&str>) -> Publication {
        self.publication("", &topology.dead, reason)
    }

    fn publication(self, exchange: &str, key: &str, reason: Option<&str>) -> Publication {
        let mut headers = FieldTable::default();
        headers.insert(RECEIVED.into(), i64::from(self.received).into());
        headers.insert(SENT.into(), self.sent_at.0.into());
        if !self.left.is_zero() {
            let millis = i64::try_from(self.left.as_millis()).unwrap_or(i64::MAX);
            headers.insert(LEFT.into(), millis.into());
        }
        if let Some(trace) = self.trace {
            headers.insert(
                TraceContext::HEADER.into(),
                AMQPValue::LongString(trace.to_string().into()),
            );
        }
        if let Some(reason) = reason {
            let end = reason.floor_char_boundary(LONGEST_REASON);
            headers.insert(REASON.into(), AMQPValue::LongString(reason[..end].into()));
        }
        let seconds = u64::try_from(self.sent_at.0 / 1_000_000).unwrap_or(0);
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_timestamp(seconds)
            .with_headers(headers);
        let (exchange, key) = (ShortString::from(exchange), ShortString::from(key));
        Publication { exchange, key, body: self.body, properties }
    }
}

/// Why a message was kept aside; `None` where the broker did it by itself.
pub(super) fn reason(delivered: &Delivered) -> Option<String> {
    let headers = delivered.properties.headers().as_ref()?;
    headers.inner().get(REASON).and_then(text).map(str::to_owned)
}

/// A text of whichever kind a sender has chosen.
fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

/// A whole number of whatever width.
fn number(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(n) => (*n).into(),
        AMQPValue::ShortShortUInt(n) => (*n).into(),
        AMQPValue::ShortInt(n) => (*n).into(),
        AMQPValue::ShortUInt(n) => (*n).into(),
        AMQPValue::LongInt(n) => (*n).into(),
        AMQPValue::LongUInt(n) => (*n).into(),
        AMQPValue::LongLongInt(n) => *n,
        _ => return None,
    })
}
