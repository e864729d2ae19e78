//! What was uploaded: one version of one object in a bucket, and the identity derived from it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Namespace of every image id, so that the same object version has the same id everywhere.
const IMAGES: Uuid = Uuid::from_u128(0x6c6f6261_722d_5a17_9e1d_696d61676573);

/// The opaque name of one image: `UUIDv5(bucket, key, versionId else eTag else sequencer)`.
/// It says nothing about the patient and may appear in logs, metrics and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub Uuid);

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for ImageId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One version of an object, as a notification names it.
///
/// The key is personal data: `Debug` leaves it out, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// Bucket name.
    pub bucket: String,
    /// Decoded key. Any UTF-8, up to 1,024 bytes; never a path.
    pub key: String,
    /// S3 version id, when the bucket has versioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Entity tag without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// S3's sequencer: hexadecimal, orders the events of one key. See [`Sequencer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
    /// Size in bytes as the event claims it; a hint only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl ObjectVersion {
    /// The image's identity. Fields are length-prefixed, so that no two objects can share one text.
    pub fn id(&self) -> ImageId {
        let (kind, version) = match (&self.version, &self.etag, &self.sequencer) {
            (Some(version), _, _) => ("v", version.as_str()),
            (None, Some(etag), _) => ("e", etag.as_str()),
            (None, None, Some(sequencer)) => ("s", sequencer.as_str()),
            (None, None, None) => ("-", ""),
        };
        let name = format!(
            "{}:{}{}:{}{kind}{}:{version}",
            self.bucket.len(),
            self.bucket,
            self.key.len(),
            self.key,
            version.len(),
        );
        ImageId(Uuid::new_v5(&IMAGES, name.as_bytes()))
    }

    /// The site in `incoming/{site}/…`; `None`, an unknown site, when the key has another form or names what
    /// cannot be a site: it may be a patient's name.
    pub fn site(&self) -> Option<&str> {
        site_of(&self.key)
    }

    /// Whether the key asks for the fast lane: `incoming/{site}/stat/…`.
    pub fn asks_for_stat(&self) -> bool {
        let rest = self.key.strip_prefix("incoming/").and_then(|rest| rest.split_once('/'));
        rest.is_some_and(|(_, name)| name.starts_with("stat/"))
    }
}

/// The site in the key `incoming/{site}/…`: see [`ObjectVersion::site`].
pub fn site_of(key: &str) -> Option<&str> {
    let (site, _) = key.strip_prefix("incoming/")?.split_once('/')?;
    is_site_name(site).then_some(site)
}

/// Longest name of a site, in bytes.
const SITE_NAME_MAX: usize = 63;

/// Whether a text can name a site: letters, digits, `.`, `_`, `-`, beginning with a letter or digit, at most 63.
pub fn is_site_name(text: &str) -> bool {
    text.len() <= SITE_NAME_MAX
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

impl fmt::Debug for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectVersion").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// S3's `sequencer`, in the form in which two of one key compare: hexadecimal, leading zeros dropped.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequencer(String);

impl Sequencer {
    /// `None` for a text that is not hexadecimal: its order is then unknown.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| Self(text.trim_start_matches('0').to_ascii_uppercase()))
    }

    /// A text of fixed length whose lexicographic order is the sequencer's own, for databases.
    /// S3's are 16 to 18 digits; 64 leaves room.
    pub fn sortable(&self) -> String {
        format!("{:0>64}", self.0)
    }
}

impl PartialOrd for Sequencer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sequencer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str) -> ObjectVersion {
        ObjectVersion {
            bucket: "xrays".into(),
            key: key.into(),
            version: Some("v1".into()),
            etag: Some("abc".into()),
            sequencer: None,
            size: None,
        }
    }

    #[test]
    fn the_identity_does_not_depend_on_what_two_events_of_one_version_may_differ_in() {
        let other = ObjectVersion { sequencer: Some("0A".into()), size: Some(9), ..object("a") };
        assert_eq!(object("a").id(), other.id());
    }

    #[test]
    fn another_version_or_another_key_is_another_image() {
        let newer = ObjectVersion { version: Some("v2".into()), ..object("a") };
        assert_ne!(object("a").id(), newer.id());
        assert_ne!(object("a").id(), object("b").id());
        let by_etag = ObjectVersion { version: None, etag: Some("v1".into()), ..object("a") };
        assert_ne!(object("a").id(), by_etag.id());
    }

    #[test]
    fn the_key_names_the_site_and_the_lane() {
        assert_eq!(object("incoming/north/1.jpg").site(), Some("north"));
        assert!(object("incoming/north/stat/1.jpg").asks_for_stat());
        assert!(!object("incoming/north/stat.jpg").asks_for_stat());
        assert!(!object("incoming/stat/1.jpg").asks_for_stat());
        assert_eq!(object("1.jpg").site(), None);
        assert_eq!(object("incoming//1.jpg").site(), None);
        for no_site in ["Doe, Jane", "J\u{fc}rgen", ".", "-a", &"a".repeat(64)] {
            assert_eq!(object(&format!("incoming/{no_site}/1.jpg")).site(), None, "{no_site}");
        }
        assert_eq!(object("incoming/north-2.b_c/1.jpg").site(), Some("north-2.b_c"));
    }

    #[test]
    fn sequencers_compare_as_padded_hexadecimal() {
        let of = |text: &str| Sequencer::parse(text).expect("hexadecimal");
        assert!(of("0055AED6DCD90281E5") < of("0055AED6DCD90281E6"));
        assert!(of("FF") < of("0100"));
        assert_eq!(of("0a"), of("A"));
        assert!(of("FF").sortable() < of("0100").sortable());
        assert!(Sequencer::parse("xyz").is_none());
        assert!(Sequencer::parse("").is_none());
    }

    #[test]
    fn a_key_never_reaches_debug_output() {
        assert!(!format!("{:?}", object("incoming/north/JohnDoe.jpg")).contains("John"));
    }
}
