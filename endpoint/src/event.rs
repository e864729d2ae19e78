//! S3's notification JSON.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use lobar_core::time::Stamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use s3s::dto::TimestampFormat;
use serde_json::{Value, json};

use super::conditions::timestamp;

/// What happened to an object, in S3's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventName {
    Put,
    Post,
    Copy,
    CompleteMultipartUpload,
    Delete,
    DeleteMarkerCreated,
}

impl EventName {
    /// The event's name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Post => "ObjectCreated:Post",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
            Self::DeleteMarkerCreated => "ObjectRemoved:DeleteMarkerCreated",
        }
    }
}

/// Who caused a change.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The client's address.
    pub(super) peer: String,
    /// The request's id.
    pub(super) request: String,
}

/// A change of the bucket, as the outbox holds it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Grows with every change of the bucket.
    pub(super) sequencer: i64,
    /// See [`EventName::as_str`].
    pub(super) name: String,
    pub(super) bucket: String,
    pub(super) key: Vec<u8>,
    pub(super) version: Option<String>,
    pub(super) size: Option<i64>,
    pub(super) etag: Option<String>,
    pub(super) at: Stamp,
    pub(super) origin: Origin,
}

impl Event {
    /// One notification with one record, as S3 sends it to SQS.
    pub(super) fn notification(&self, region: &str) -> Value {
        let mut object = json!({
            "key": url_encoded(&self.key, b'+'),
            "sequencer": format!("{:018X}", self.sequencer),
        });
        if let Some(size) = self.size {
            object["size"] = size.into();
        }
        if let Some(etag) = &self.etag {
            object["eTag"] = etag.as_str().into();
        }
        if let Some(version) = &self.version {
            object["versionId"] = version.as_str().into();
        }
        let mut time = Vec::new();
        // Writing into memory cannot fail, and every stamp has this form.
        let _ = timestamp(self.at).format(TimestampFormat::DateTime, &mut time);
        json!({ "Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": region,
            "eventTime": String::from_utf8_lossy(&time),
            "eventName": self.name,
            "userIdentity": { "principalId": "lobar" },
            "requestParameters": { "sourceIPAddress": self.origin.peer },
            "responseElements": {
                "x-amz-request-id": self.origin.request,
                "x-amz-id-2": self.origin.request,
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "lobar",
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": { "principalId": "lobar" },
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            },
        }]})
    }
}

/// What S3 leaves as it is.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// Percent-encoding as S3 uses it: the slash is kept, the space is `space` (`+` in events) unless
/// that is a space itself, which gives `%20`.
pub(super) fn url_encoded(bytes: &[u8], space: u8) -> String {
    let encoded = percent_encode(bytes, PLAIN).to_string();
    match space {
        b' ' => encoded,
        // A percent sign is encoded itself, so that this can only have been a space.
        space => encoded.replace("%20", char::from(space).encode_utf8(&mut [0; 4])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            sequencer: 0x60D_1234_5678,
            name: EventName::Put.as_str().into(),
            bucket: "xrays".into(),
            key: "in/a b+c é/x&y%.dcm".as_bytes().to_vec(),
            version: Some("v1".into()),
            size: Some(3),
            etag: Some("abc".into()),
            at: Stamp(1_767_225_600_000_000),
            origin: Origin { peer: "127.0.0.1".into(), request: "R".into() },
        }
    }

    #[test]
    fn the_key_is_encoded_as_s3_encodes_it() {
        let notification = event().notification("us-east-1");
        let object = &notification["Records"][0]["s3"]["object"];
        assert_eq!(object["key"], "in/a+b%2Bc+%C3%A9/x%26y%25.dcm");
        assert_eq!(object["versionId"], "v1");
        assert_eq!(object["sequencer"], "000000060D12345678");
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let event = Event { version: None, size: None, etag: None, ..event() };
        let notification = event.notification("us-east-1");
        let object = notification["Records"][0]["s3"]["object"].as_object().expect("an object");
        assert_eq!(object.keys().collect::<Vec<_>>(), ["key", "sequencer"]);
    }

    #[test]
    fn the_time_is_utc_in_iso_form() {
        let notification = event().notification("us-east-1");
        let time = notification["Records"][0]["eventTime"].as_str().expect("text");
        assert!(time.starts_with("2026-01-01T00:00:00") && time.ends_with('Z'), "{time}");
    }
}
