//! Lines of JSON beside the log's own, with the same names: what a service prints before there is a log, after it, and on standard
//! output.

use lobar_api::rfc3339;
use lobar_core::time::{Clock as _, SystemClock};
use serde_json::{Map, Value};

/// What every line has; the caller adds its own fields.
pub fn of(level: &str, message: impl Into<String>) -> Map<String, Value> {
    [
        ("timestamp", rfc3339(SystemClock.now())),
        ("level", level.to_owned()),
        ("message", message.into()),
        ("target", env!("CARGO_PKG_NAME").to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Value::String(value)))
    .collect()
}
