//! An image's lifecycle: lane, state, and the reason when it was not assessed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::object::{ImageId, ObjectVersion};
use crate::time::Stamp;

/// How urgent an image is. Each lane has a job queue of its own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Urgent: goes first.
    Stat,
    /// Everything else.
    #[default]
    Routine,
}

impl Lane {
    /// Both, the urgent one first.
    pub const ALL: [Lane; 2] = [Lane::Stat, Lane::Routine];

    /// The word used in storage, metrics and HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Stat => "stat",
            Lane::Routine => "routine",
        }
    }

    /// The lane of a stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text)
    }
}

/// One thing for each lane: a queue, a depth, an age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lanes<T> {
    /// The urgent lane's.
    pub stat: T,
    /// The other lane's.
    pub routine: T,
}

impl<T> Lanes<T> {
    /// The thing of one lane.
    pub fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Stat => &self.stat,
            Lane::Routine => &self.routine,
        }
    }

    /// The thing of one lane, to change.
    pub fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Stat => &mut self.stat,
            Lane::Routine => &mut self.routine,
        }
    }
}

/// `queued → analysing → ready | needs_human | failed`, and `superseded` or `removed` from any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Admitted; waits for a worker.
    Queued,
    /// A worker holds it.
    Analysing,
    /// The network assessed it: there is a [`Finding`].
    Ready,
    /// It could not be assessed, for a [`Reason`]; a person must look at it.
    NeedsHuman,
    /// Given up after repeated failure, for a [`Reason`]; a person must look at it.
    Failed,
    /// A newer upload of the same key took its place. A finding made before is kept.
    Superseded,
    /// The object was deleted from the bucket. A finding made before is kept.
    Removed,
}

impl State {
    /// Every state, in the order in which images pass through them.
    pub const ALL: [State; 7] = [
        State::Queued,
        State::Analysing,
        State::Ready,
        State::NeedsHuman,
        State::Failed,
        State::Superseded,
        State::Removed,
    ];

    /// The word used in storage, metrics, events and HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Analysing => "analysing",
            State::Ready => "ready",
            State::NeedsHuman => "needs_human",
            State::Failed => "failed",
            State::Superseded => "superseded",
            State::Removed => "removed",
        }
    }

    /// The state of a stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether work on it has come to an end.
    pub fn is_terminal(self) -> bool {
        !matches!(self, State::Queued | State::Analysing)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why an image was not assessed. A closed set: codes are stable, texts are for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// The stable code, as in storage, metrics and HTTP.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code),* }
            }

            /// One plain sentence for a doctor.
            pub fn text(self) -> &'static str {
                match self { $(Reason::$name => $text),* }
            }
        }
    };
}

reasons! {
    /// Zero bytes.
    Empty = "empty", "The file is empty.";
    /// No known image format.
    NotAnImage = "not_an_image", "The file is not an image.";
    /// A known format that is not read.
    UnsupportedFormat = "unsupported_format", "This file format is not supported.";
    /// Broken or cut short.
    Undecodable = "undecodable", "The file is damaged or incomplete.";
    /// More bytes than accepted.
    TooLarge = "too_large", "The file is larger than accepted.";
    /// More pixels than accepted.
    TooManyPixels = "too_many_pixels", "The image has more pixels than accepted.";
    /// Fewer pixels than can be assessed.
    TooSmall = "too_small", "The image is too small to be assessed.";
    /// Far wider than high, or the reverse.
    ExtremeAspect = "extreme_aspect", "The image's shape is not that of a chest X-ray.";
    /// In colour.
    ColourPhotograph = "colour_photograph", "The image is a colour picture, not an X-ray.";
    /// One even grey.
    Blank = "blank", "The image is blank.";
    /// By its DICOM attributes it is something else than a frontal chest radiograph.
    NotAChestRadiograph = "not_a_chest_radiograph", "The file does not say that it is a frontal chest X-ray.";
    /// A DICOM image FOR PROCESSING: what the detector measured, before it was made for the eye.
    ForProcessing = "for_processing", "The image is raw detector data that is not meant to be read.";
    /// A DICOM transfer syntax that is not read.
    UnsupportedTransferSyntax = "unsupported_transfer_syntax", "The image is compressed in a way that is not supported.";
    /// DICOM pixels of a kind that is not read: several frames, a palette, floating point.
    UnsupportedPixels = "unsupported_pixels", "The image's pixels are stored in a form that is not supported.";
    /// What should be dark in a chest radiograph is bright, and the reverse.
    UncertainPolarity = "uncertain_polarity", "Black and white seem to be exchanged in the image.";
    /// The object is gone from the bucket.
    ObjectMissing = "object_missing", "The file is no longer in the bucket.";
    /// The bucket refuses to give it.
    AccessDenied = "access_denied", "The file may not be read from the bucket.";
    /// The bucket failed to give it, again and again, while it gave others.
    FetchFailed = "fetch_failed", "The file could not be read from the bucket.";
    /// The network's features of it lie outside those of the images that it was trained on.
    UnlikeTraining = "unlike_training_data", "The image is unlike those that the network was trained on.";
    /// The patient's age is known to be outside those that the network was trained on.
    OutOfPopulation = "out_of_population", "The patient's age is outside those that the network was trained on.";
    /// The network gave no usable number for this image.
    EngineFailed = "engine_failed", "The network could not assess this image.";
    /// Work on it ended abnormally too often.
    RepeatedFailure = "repeated_failure", "Work on this image failed repeatedly.";
    /// There is a finding that cannot be read: damaged, or of a newer release. Told by stores, not yet kept.
    ResultUnreadable = "result_unreadable", "The stored result cannot be read.";
    /// Its state or its reason cannot be read: damaged, or of a newer release. Told by stores, not yet kept.
    RecordUnreadable = "record_unreadable", "What is stored about this image cannot be read.";
}

impl Reason {
    /// Whether something is stored of the image that this release cannot read: another one may.
    pub fn is_unreadable(self) -> bool {
        matches!(self, Reason::ResultUnreadable | Reason::RecordUnreadable)
    }

    /// The reason of a stored code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

/// An image about to be admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImage {
    /// Which object it is.
    pub object: ObjectVersion,
    /// How urgent it is.
    pub lane: Lane,
}

/// One image as the store knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its opaque name.
    pub id: ImageId,
    /// The object it was made from.
    pub object: ObjectVersion,
    /// Its lane.
    pub lane: Lane,
    /// Its state.
    pub state: State,
    /// Why it was not assessed; set in `needs_human` and `failed`. In other states only where a finding made before
    /// cannot be read.
    pub reason: Option<Reason>,
    /// A sentence more about the reason: sizes, formats. Nothing personal.
    pub detail: Option<String>,
    /// What the network saw; always set in `ready`, kept afterwards, and `None` in all other states.
    pub finding: Option<Finding>,
    /// How often work on it has started (released work does not count).
    pub attempts: u32,
    /// When it was admitted.
    pub received_at: Stamp,
    /// When it reached a terminal state.
    pub finished_at: Option<Stamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_word_reads_back() {
        assert!(State::ALL.into_iter().all(|s| State::parse(s.as_str()) == Some(s)));
        assert!(Lane::ALL.into_iter().all(|l| Lane::parse(l.as_str()) == Some(l)));
        assert!(Reason::ALL.iter().all(|r| Reason::parse(r.code()) == Some(*r)));
    }

    #[test]
    fn serde_uses_the_same_words() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::json!(reason), serde_json::json!(reason.code()));
        }
        for state in State::ALL {
            assert_eq!(serde_json::json!(state), serde_json::json!(state.as_str()));
        }
    }
}
