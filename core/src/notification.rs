//! What the bucket should have said of an object, in S3's own words: sent to ingest by those that saw it there.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::object::ObjectVersion;

/// The source of such a notification: its object was seen, and may not be what its key holds any more when it is read.
pub const SEEN: &str = "lobar:s3";

/// What S3 leaves as it is in a key; a space becomes a `+` afterwards.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b' ');

/// A key as S3 writes it into an event: letters, digits and what is safe stay, a space is `+`, everything else is `%XX`.
pub fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, PLAIN).to_string().replace(' ', "+")
}

/// The notification of one object.
pub fn of(object: &ObjectVersion) -> Vec<u8> {
    let record = json!({
        "eventVersion": "2.1",
        "eventSource": SEEN,
        "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": object.bucket }, "object": {
            "key": encode_key(&object.key),
            "versionId": object.version,
            "eTag": object.etag,
            "size": object.size,
        } },
    });
    json!({ "Records": [record] }).to_string().into_bytes()
}
