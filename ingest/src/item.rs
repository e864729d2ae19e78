//! What one record of a notification asks for.

use lobar_core::object::ObjectVersion;

/// One thing that a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An object version was stored.
    Created(ObjectVersion),
    /// An object was deleted: that version, or every version when neither `version` nor `etag` is set.
    Removed(ObjectVersion),
    /// The unversioned past of a versioned key was deleted. Nothing says which upload that was: what the
    /// key holds now tells what is left.
    NullRemoved(ObjectVersion),
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
}

impl Ignored {
    /// The word used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Ignored::TestEvent => "test_event",
            Ignored::NoRecords => "no_records",
            Ignored::Folder => "folder",
            Ignored::OtherEvent => "other_event",
        }
    }
}

/// Why an item goes to quarantine.
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
}

impl QuarantineReason {
    /// The stable code used in quarantine and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            QuarantineReason::Malformed => "malformed",
            QuarantineReason::BadKey => "bad_key",
            QuarantineReason::UnsupportedVersion => "unsupported_version",
            QuarantineReason::WrongSource => "wrong_source",
        }
    }
}
