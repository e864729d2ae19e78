//! What one record of a notification asks for.

use lobar_core::object::ObjectVersion;
use lobar_core::quarantine::NO_IMAGE;
use uuid::Uuid;

/// One thing that a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An object version was stored.
    Created(ObjectVersion),
    /// An object was seen in the bucket, some time ago. It is a new image only if it still is what a reader of its key gets:
    /// the order of such a look and of the key's events is not known.
    Seen(ObjectVersion),
    /// An object was deleted: that version, or every version when neither `version` nor `etag` is set.
    Removed(ObjectVersion),
    /// The unversioned past of a versioned key was deleted. Nothing says which upload that was: what the
    /// key holds now tells what is left.
    NullRemoved(ObjectVersion),
    /// An object that is no upload was stored, to see whether it is told of.
    Probe(Uuid),
    /// Nothing to do.
    Ignored(Ignored),
    /// Not understood or not ours: to be kept for an operator.
    Refused(QuarantineReason, Vec<u8>),
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
    /// A probe was removed.
    Probe,
}

impl Ignored {
    /// The word used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Ignored::TestEvent => "test_event",
            Ignored::NoRecords => "no_records",
            Ignored::Folder => "folder",
            Ignored::OtherEvent => "other_event",
            Ignored::Probe => "probe_removed",
        }
    }
}

/// Why an item goes to quarantine. Each code is one of [`REASONS`](lobar_core::quarantine::REASONS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// Not a notification, or one without what every notification has.
    Malformed,
    /// A key that no object can have: not UTF-8, empty, or longer than 1,024 bytes.
    BadKey,
    /// A major version of the event format that this build does not know.
    UnsupportedVersion,
    /// Another bucket, or another service.
    WrongSource,
    /// By name and content no image: put aside on purpose.
    NoImage,
}

impl QuarantineReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::BadKey, Self::UnsupportedVersion, Self::WrongSource, Self::NoImage];

    /// The stable code used in quarantine and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            QuarantineReason::Malformed => "malformed",
            QuarantineReason::BadKey => "bad_key",
            QuarantineReason::UnsupportedVersion => "unsupported_version",
            QuarantineReason::WrongSource => "wrong_source",
            QuarantineReason::NoImage => NO_IMAGE,
        }
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::quarantine::REASONS;

    use super::*;

    #[test]
    fn every_reason_is_one_that_operators_are_told_of() {
        for (place, reason) in QuarantineReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            assert!(REASONS.contains(&reason.as_str()), "{reason:?}");
        }
    }
}
