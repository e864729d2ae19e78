//! What is recorded.

use std::fmt;
use std::str::FromStr;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $word:literal,)+) => {
        /// What somebody did, or what the system did with an image. Words are stable: never changed, never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word used in storage, HTTP and exports.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

actions! {
    /// Somebody signed in: a session was opened.
    SignedIn "signed_in",
    /// Signing in was refused. The name that was typed is not recorded: people type passwords there.
    SignInFailed "sign_in_failed",
    /// A session was ended.
    SignedOut "signed_out",
    /// Something was asked for without the right to it.
    Refused "refused",
    /// A page of images was listed.
    Listed "listed",
    /// The live events of images were followed.
    EventsFollowed "events_followed",
    /// An image's result was shown.
    Viewed "viewed",
    /// An image's picture was shown.
    PictureViewed "picture_viewed",
    /// An image's heatmap was shown.
    HeatmapViewed "heatmap_viewed",
    /// The verdicts on an image were shown.
    VerdictsViewed "verdicts_viewed",
    /// A verdict was given on an image.
    VerdictGiven "verdict_given",
    /// A reader took a verdict of theirs back; the subject is that verdict.
    VerdictWithdrawn "verdict_withdrawn",
    /// A reader opened an image, or took it over from another, whose id the detail has.
    ReadingClaimed "reading_claimed",
    /// A reader closed an image that they had open.
    ReadingReleased "reading_released",
    /// A reader gave their own opinion on an image whose result was withheld until then.
    OpinionGiven "opinion_given",
    /// It was reported how readers' opinions changed with the answer; the detail says whether by person.
    ExposureRead "exposure_read",
    /// An image was put in, or a link to put one in was given out.
    Uploaded "uploaded",
    /// An image was put in, and its result waited for.
    Predicted "predicted",
    /// Images of a batch that had failed were queued again; the detail names them.
    BatchRetried "batch_retried",
    /// Data left the system in bulk.
    Exported "exported",
    /// A person's account was added, changed or disabled.
    PersonChanged "person_changed",
    /// A machine's token was added or revoked.
    TokenChanged "token_changed",
    /// A site was added or removed.
    SiteChanged "site_changed",
    /// Patients were merged or separated, corrected, or a study was moved to another: by their opaque ids.
    PatientChanged "patient_changed",
    /// A model was registered, activated, retired or rolled back.
    ModelChanged "model_changed",
    /// A message in quarantine was shown, which bears the names of objects.
    QuarantineViewed "quarantine_viewed",
    /// A message in quarantine was replayed or discarded.
    QuarantineChanged "quarantine_changed",
    /// Dead letters of a queue were shown, which may bear the names of objects.
    QueueViewed "queue_viewed",
    /// Dead letters of a queue were put back onto it; the detail says which queue.
    QueueChanged "queue_changed",
    /// This record was read.
    AuditRead "audit_read",
    /// The network answered an image.
    Inferred "inferred",
    /// An image ended without an answer, and a person must look.
    NotAssessed "not_assessed",
    /// The bucket was compared with the images, and what differed was mended.
    Reconciled "reconciled",
    /// An image, or all of a patient's, was erased.
    Erased "erased",
    /// The oldest entries of this record were deleted when their time was over.
    Pruned "pruned",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|action| action.as_str() == text);
        found.ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|action| action.as_str()).collect();
            format!("no such action; there are {}", words.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_is_read_from_its_own_word() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        let words: BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(words.len(), Action::ALL.len());
        assert!("looked".parse::<Action>().is_err());
    }
}
