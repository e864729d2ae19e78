//! Port of the exposure record: what of the network's answer readers met, and what they said before they met it.
//!
//! Of a chosen share of images ([`OpinionFirst`]) readers are asked for their own opinion before they are shown the
//! answer. The record says which answers a reader was sent, what of them was really painted and for how long, and what
//! the reader said first; together with the verdict that they gave afterwards that shows whether the answer helped them
//! or misled them ([`Report`]).
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - The key of the draw is made once and is the same for every process.
//! - A first opinion is kept with the answer that was withheld meanwhile.
//! - A reader's first opinion on an image is given once and stays.
//! - There is no first opinion on an image without a result.
//! - Who gave a first opinion or was sent a result has met it, and nobody else has.
//! - The answers to many images are told at once with their sites.
//! - What was sent is kept once however often it is sent.
//! - What was painted is kept once by its id.
//! - An image's exposures are told in the order of time.
//! - A case joins a first opinion with the last verdict of the same reader after it.
//! - A case tells what was met before the first opinion, and what was painted between it and the verdict.
//! - Cases are pages by time, and none is missed or told twice.
//! - The labels of one reader are their newest.
//! - Removing an image removes what was met of it.
//! - Nothing is kept of an image that is not there any more.
//! - What is no longer kept goes with its first opinion and not before.
//! - Everything survives closing and opening.

mod draw;
mod question;
mod report;
mod small;
mod visible;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

use crate::failure::PortError;
use crate::finding::{Finding, Label};
use crate::object::ImageId;
use crate::time::Stamp;

pub use draw::{DrawKey, OpinionFirst, Share, SiteShares};
pub use question::{Question, Truth};
pub use report::{Figures, Rate, Report, Scope, report};
pub use visible::Visible;

/// How it is known that something was visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The server sent it; whether it was ever seen is not known.
    Sent,
    /// The reader's page painted it.
    Painted,
}

impl Source {
    /// The word used in storage and HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Painted => "painted",
        }
    }
}

/// Whose answer it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Version of the model.
    pub model_version: String,
    /// SHA-256 of its weights, in hexadecimal.
    pub model_sha256: String,
}

impl From<&Finding> for Answer {
    fn from(finding: &Finding) -> Self {
        let model = &finding.model;
        Self { model_version: model.version.clone(), model_sha256: model.sha256.clone() }
    }
}

/// The answer to one image, and where the image belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The image's site, where it is known.
    pub site: Option<String>,
    /// Whose answer it is.
    pub answer: Answer,
}

/// One reader could see something of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Its own id; the page's, where it was painted.
    pub id: Uuid,
    /// Of which image.
    pub image: ImageId,
    /// The account's id; nil for the local user.
    pub reader: Uuid,
    /// In which session.
    pub session: Option<Uuid>,
    /// How it is known.
    pub source: Source,
    /// What of the answer.
    pub visible: Visible,
    /// Whose answer.
    pub answer: Answer,
    /// From when on.
    pub at: Stamp,
    /// For how many milliseconds; 0 where it was sent.
    pub millis: u64,
}

/// What a reader says of a picture before they are shown the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOpinion {
    /// On which image.
    pub image: ImageId,
    /// Who.
    pub reader: Reader,
    /// The reader's role when it was given.
    pub role: String,
    /// In which session.
    pub session: Option<Uuid>,
    /// What the reader sees; `None` where nobody could tell from this picture.
    pub label: Option<Label>,
    /// Which rendering of the picture was painted; `None` where none was.
    pub rendering: Option<String>,
}

/// A person who reads images. `Debug` leaves their name out.
#[derive(Clone, PartialEq, Eq)]
pub struct Reader {
    /// The account's id; nil for the local user.
    pub id: Uuid,
    /// The name that their verdicts bear.
    pub name: String,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reader {}", self.id)
    }
}

/// A kept first opinion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstOpinion {
    /// Its own id.
    pub id: Uuid,
    /// What was given.
    pub opinion: NewOpinion,
    /// The answer that was withheld meanwhile, and its label.
    pub answer: Answer,
    /// See `answer`.
    pub found: Label,
    /// When it was given.
    pub at: Stamp,
}

/// What a reader said last, after the answer was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// The label of it; `None` for: not assessable.
    pub label: Option<Label>,
    /// When.
    pub at: Stamp,
}

/// A first opinion and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The first opinion.
    pub first: FirstOpinion,
    /// The image's site, where it is known.
    pub site: Option<String>,
    /// The same reader's newest verdict after it, if any.
    pub last: Option<Last>,
    /// What was sent or painted before the first opinion: it was not the reader's own, then.
    pub before: Visible,
    /// What was painted between the two of the answer that had been withheld; what another model said is left out.
    pub between: Visible,
}

/// Where a page of cases ends and the next begins: oldest first opinion first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseKey {
    /// The last case's first opinion.
    pub at: Stamp,
    /// Its id.
    pub id: Uuid,
}

impl Case {
    /// Its place in the order of pages.
    pub fn key(&self) -> CaseKey {
        CaseKey { at: self.first.at, id: self.first.id }
    }
}

/// Why a first opinion was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpinionError {
    /// Nobody knows this image.
    #[error("the image is not known")]
    Unknown,
    /// It has no result that could be withheld.
    #[error("there is no result to give an opinion before")]
    NoResult,
    /// This reader has given one.
    #[error("a first opinion was given, and stays")]
    Given,
    /// The store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// See the module's documentation.
#[async_trait]
pub trait Exposures: Send + Sync {
    /// The key of the draw. It is made when it is first asked for.
    async fn draw_key(&self) -> Result<DrawKey, PortError>;

    /// Which of these images this reader has met: they gave their first opinion, or were sent the result.
    async fn met(&self, reader: Uuid, images: &[ImageId]) -> Result<BTreeSet<ImageId>, PortError>;

    /// The answers to these images. Images that have none, that are removed or not known are left out.
    async fn answers(&self, images: &[ImageId]) -> Result<BTreeMap<ImageId, Answered>, PortError>;

    /// Keeps a first opinion, with the result that the image has at that moment.
    async fn give(&self, opinion: &NewOpinion) -> Result<FirstOpinion, OpinionError>;

    /// The first opinions on one image, oldest first.
    async fn opinions(&self, image: ImageId) -> Result<Vec<FirstOpinion>, PortError>;

    /// Keeps exposures.
    async fn expose(&self, exposures: &[Exposure]) -> Result<(), PortError>;

    /// The exposures of one image, oldest first.
    async fn of_image(&self, image: ImageId) -> Result<Vec<Exposure>, PortError>;

    /// Up to `limit` cases after `after` whose first opinion was given before `until`.
    async fn cases(
        &self,
        after: Option<CaseKey>,
        until: Option<Stamp>,
        limit: usize,
    ) -> Result<Vec<Case>, PortError>;

    /// The newest labels that the reader of this name gave these images; images without one are left out.
    async fn labels_by(
        &self,
        name: &str,
        images: &[ImageId],
    ) -> Result<BTreeMap<ImageId, Label>, PortError>;
}
