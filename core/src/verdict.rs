//! Port of verdicts: what readers said of findings. Append-only; a reader's newest verdict counts
//! for that reader, the newest of all for the image. A reader takes one back by a row more, and it counts no more. Where a
//! site has two readers for an image, [`double`] says what their verdicts come to.
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - A verdict is added to an image that has a finding of the version it names.
//! - A verdict on a finding that has been replaced is stale and refused.
//! - A verdict on an unknown image is refused.
//! - A verdict is refused where something newer is there than its reader saw, and what is newer is told.
//! - What another reader said is nothing newer to a second reader who must not know it.
//! - An image that needs a human can be labelled without a finding.
//! - Earlier verdicts are kept beside later ones, oldest first.
//! - Agreeing needs a finding to agree with.
//! - A verdict does not change the image's state and writes an event.
//! - Labelled images are pages by time, and each bears its newest label only.
//! - Images found not assessable bear no label.
//! - Causes and a note are kept with a verdict.
//! - A reader withdraws their own newest verdict, and it is kept and counts no more.
//! - Withdrawing again changes nothing.
//! - A verdict of another reader, or one that is not the newest of its reader, is not withdrawn.
//! - An image on which readers differ is not among the labelled until that is settled.
//! - A label given without the picture on the screen is kept apart from the labelled.
//! - Removing an image removes what was said of it.
//! - A verdict that cannot be read is told of as unreadable and hides no other.
//! - A label that cannot be read is left out of the labelled and hides no other.
//! - An image whose finding cannot be read is labelled like one that needs a human.
//! - Everything survives closing and opening.

pub mod cause;
pub mod double;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::cause::Cause;
pub use self::double::{Agreement, Given, Readers, Readings};
use crate::failure::PortError;
use crate::finding::{Finding, Label};
use crate::object::{ImageId, ObjectVersion};
use crate::time::Stamp;

/// What a reader said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "opinion", rename_all = "snake_case")]
pub enum Opinion {
    /// The finding's label is right.
    Agree,
    /// It is wrong, or there was none; this is right.
    Disagree {
        /// What is right.
        label: Label,
    },
    /// Nobody can tell from this image.
    NotAssessable {
        /// Why; may be empty.
        #[serde(default)]
        causes: Vec<Cause>,
    },
    /// What was said cannot be read: it is damaged, or of a newer release. Only ever read, never added; it bears no
    /// label, and as the newest verdict leaves its image without one.
    Unreadable,
}

impl Opinion {
    /// The word used in storage and HTTP.
    pub fn word(&self) -> &'static str {
        match self {
            Opinion::Agree => "agree",
            Opinion::Disagree { .. } => "disagree",
            Opinion::NotAssessable { .. } => "not_assessable",
            Opinion::Unreadable => "unreadable",
        }
    }
}

impl fmt::Debug for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opinion::Disagree { label } => write!(f, "disagree: {}", label.word()),
            other => f.write_str(other.word()),
        }
    }
}

/// What a reader wrote beside a verdict; may be empty. Personal: not for logs, metrics or events, nor for `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Note(pub String);

impl Note {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "no note" } else { "a note" })
    }
}

/// A verdict to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVerdict {
    /// On which image.
    pub image: ImageId,
    /// Version of the model whose finding the reader saw; `None` when the image has no finding.
    pub model_version: Option<String>,
    /// What the reader said.
    pub opinion: Opinion,
    /// What they wrote beside it.
    pub note: Note,
    /// Who: a user's name.
    pub reader: String,
    /// The reader's role when it was given.
    pub role: String,
    /// What was displayed when it was given: `heatmap`, `side_by_side`, …; from the page.
    pub displayed: Vec<String>,
    /// Which rendering of the picture was decoded and painted when it was given; `None` where the reader saw none.
    /// Nothing is learnt from such a verdict.
    pub rendering: Option<String>,
}

/// A kept verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its own id.
    pub id: Uuid,
    /// What was added.
    pub verdict: NewVerdict,
    /// The label that it comes to; `None` for what is not assessable.
    pub label: Option<Label>,
    /// When it was given.
    pub at: Stamp,
    /// When its reader took it back.
    pub withdrawn_at: Option<Stamp>,
}

impl Verdict {
    /// Whether it counts: it was not taken back.
    pub fn counts(&self) -> bool {
        self.withdrawn_at.is_none()
    }
}

/// What of an image a reader had before them: the ground that a verdict is given on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When the work on it ended: another time, another result.
    pub finished_at: Option<Stamp>,
    /// The newest verdict that counts, of those that this reader may see.
    pub newest: Option<Uuid>,
}

/// What is newer than what a reader had before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// The image was analysed anew.
    Result,
    /// A verdict was given or withdrawn.
    Verdict,
}

/// On which terms a verdict is added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How many readers the image's site has read it for themselves.
    pub readers: Readers,
    /// What the reader had before them, any of these; `None` where they did not say.
    pub seen: Option<Vec<Seen>>,
}

/// An image whose label a doctor gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The image.
    pub image: ImageId,
    /// Where its bytes are.
    pub object: ObjectVersion,
    /// The newest label.
    pub label: Label,
    /// The verdict that gave it.
    pub verdict: Uuid,
    /// When it was given.
    pub at: Stamp,
    /// The finding that was shown, if any.
    pub finding: Option<Finding>,
}

/// Where a page of labelled images ends and the next begins: oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelKey {
    /// The last row's time.
    pub at: Stamp,
    /// The last row's verdict.
    pub verdict: Uuid,
}

/// Why a verdict was refused.
#[derive(Debug, thiserror::Error)]
pub enum VerdictError {
    /// Nobody knows this image.
    #[error("the image is not known")]
    Unknown,
    /// The image has another finding by now, or none yet: the reader must look again.
    #[error("the finding has changed since it was shown")]
    Stale,
    /// Something newer is there than the reader said they saw.
    #[error("something newer is there than what was seen")]
    Newer(Newer),
    /// The opinion needs a finding to agree with.
    #[error("there is no finding to agree with")]
    NothingToAgreeWith,
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a verdict was not withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// There is no such verdict on the image, or it is another reader's.
    #[error("the reader has no such verdict on this image")]
    Unknown,
    /// The reader gave a newer one since.
    #[error("the reader gave a newer verdict")]
    NotNewest,
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Who takes a verdict back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// On which image.
    pub image: ImageId,
    /// Which verdict.
    pub verdict: Uuid,
    /// Who: a user's name.
    pub reader: String,
    /// Their role at that time.
    pub role: String,
}

/// See the module's documentation.
#[async_trait]
pub trait Verdicts: Send + Sync {
    /// Adds a verdict.
    async fn add(&self, verdict: &NewVerdict, terms: &Terms) -> Result<Verdict, VerdictError>;

    /// Takes a reader's own newest verdict on an image back; answers it as it is kept from then on.
    async fn withdraw(&self, withdrawal: &Withdrawal) -> Result<Verdict, WithdrawError>;

    /// The verdicts on one image, oldest first, those that were withdrawn among them.
    async fn of(&self, image: ImageId) -> Result<Vec<Verdict>, PortError>;

    /// Up to `limit` labelled images after `after`, oldest label first. Removed and superseded images are
    /// left out, and those whose newest verdict was given without the picture on the screen.
    async fn labelled(
        &self,
        after: Option<LabelKey>,
        limit: usize,
    ) -> Result<Vec<Labelled>, PortError>;

    /// How many images would be among the labelled, had their newest verdict been given with the picture on the screen.
    async fn unseen(&self) -> Result<u64, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_s_words_never_reach_debug_output() {
        let note = Note("Mrs Doe moved".to_owned());
        assert_eq!(format!("{note:?} {:?}", Note::default()), "a note no note");
    }

    #[test]
    fn serde_uses_the_same_words() {
        let all = [
            Opinion::Agree,
            Opinion::Disagree { label: Label::Normal },
            Opinion::NotAssessable { causes: Vec::new() },
            Opinion::Unreadable,
        ];
        for opinion in all {
            assert_eq!(serde_json::json!(opinion)["opinion"], opinion.word());
        }
    }
}
