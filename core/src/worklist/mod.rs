//! Port of the worklist: which images wait for a reader, in which order they should be read, and who has which open.
//!
//! An image waits until somebody has given a verdict on what it shows now, whether or not the network has assessed it: a
//! reader needs no network. Where its site has two readers for it, it waits until both have read it and agree, or a third
//! has decided; it waits for nobody who has given their verdict. Who opens an image claims it, so that others see that it is being read. A claim warns and
//! never blocks: another reader takes it over where they say so, and verdicts ask for no claim.
//!
//! What it promises, each sentence a test of the contract suite:
//!
//! - Overdue images come first, then flagged and urgent ones, then those that need a human, then the rest, each oldest first.
//! - Without flags the order tells nothing of findings.
//! - Pages hold to the moment of the first one, and no image is missed or shown twice while others arrive.
//! - Filters and sites narrow the worklist and its total.
//! - A verdict takes an image off the worklist and off its total.
//! - Where two readers are needed an image waits for the second one and not for the first.
//! - Two readers who differ leave their image waiting for a third, who settles it.
//! - A verdict that is withdrawn puts its image back on the worklist.
//! - An image that was replaced or removed is not on the worklist.
//! - An image that is analysed anew waits for a reader again.
//! - A verdict that an earlier release kept takes its image off the worklist.
//! - An image whose state cannot be read waits among those that need a human.
//! - An image that nobody reads is claimed, and everybody is told by whom and until when.
//! - Claiming again makes a claim longer and leaves its beginning.
//! - A claim of another reader stays unless it is taken over.
//! - Who lost a claim to another does not get it back by making it longer.
//! - Of several who claim an image at once one has it.
//! - A claim lapses by itself.
//! - A claim is released by its own reader only.
//! - A claim, a take-over and a release each write an event, and making it longer writes none.
//! - What is not there is not claimed.
//! - The newest verdict tells who has read an image, and before any what was painted or said of it first.
//! - Removing an image removes its claim.
//! - Everything survives closing and opening.

#[cfg(test)]
mod simulator;
mod urgency;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use urgency::{Place, Rank, Urgency, Waiting};

use crate::exposure::Reader;
use crate::failure::PortError;
use crate::image::Image;
use crate::object::ImageId;
use crate::store::Filter;
use crate::time::Stamp;
use crate::verdict::{Agreement, Readings};

/// One page of the worklist.
#[derive(Clone, Debug, PartialEq)]
pub struct WorklistPage {
    /// The images, in the order of urgency.
    pub items: Vec<Image>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Place>,
    /// How many images wait for a reader in all, of those that the filter admits.
    pub total: u64,
}

/// A reader has an image open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingClaim {
    /// Who. The name is told to others who may see the image.
    pub reader: Reader,
    /// Since when.
    pub since: Stamp,
    /// When it lapses, unless it is made longer.
    pub until: Stamp,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Whoever has the image open now; another than who asked where it was not taken over.
    pub claim: ReadingClaim,
    /// Whether the claim began by this.
    pub is_new: bool,
    /// Who lost it by this.
    pub taken_from: Option<Reader>,
}

/// What a reader asks of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claiming {
    /// To have it where nobody else has, or to go on having it: an image was opened, or still is.
    Open,
    /// To have it whoever has it now.
    TakeOver,
}

/// How far an image has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadState {
    /// Nobody is known to have looked at it.
    Unread,
    /// Somebody has it open now.
    Reading,
    /// Its result was on somebody's screen, or somebody said what they see in it; there is no verdict.
    Read,
    /// There is a verdict, and another reader is needed.
    PartlyRead,
    /// Two readers differ on it, and a third is needed.
    Disagreement,
    /// There is a verdict on what it shows now; where two readers are needed both agree, or a third has decided.
    Verified,
}

impl ReadState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Unread,
        Self::Reading,
        Self::Read,
        Self::PartlyRead,
        Self::Disagreement,
        Self::Verified,
    ];

    /// The word used in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Reading => "reading",
            Self::Read => "read",
            Self::PartlyRead => "partly_read",
            Self::Disagreement => "disagreement",
            Self::Verified => "verified",
        }
    }
}

/// Who has read an image, and who does.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Readership {
    /// Whoever has it open now.
    pub claim: Option<ReadingClaim>,
    /// Who looked at it last, where that is known, and when. The name is missing where the account is gone.
    pub looked: Option<(Option<String>, Stamp)>,
    /// Who has given a verdict on what it shows now.
    pub readings: Readings,
}

impl fmt::Debug for Readership {
    /// Without names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state().as_str())
    }
}

impl Readership {
    /// The one word. An image that is open is being read even where there is a verdict: a second reader looks at it.
    pub fn state(&self) -> ReadState {
        match (self.readings.agreement(), self.readings.given(), &self.looked) {
            _ if self.claim.is_some() => ReadState::Reading,
            (Agreement::Settled, ..) => ReadState::Verified,
            (Agreement::Disagreed, ..) => ReadState::Disagreement,
            (Agreement::Open, 1.., _) => ReadState::PartlyRead,
            (Agreement::Open, 0, Some(_)) => ReadState::Read,
            (Agreement::Open, 0, None) => ReadState::Unread,
        }
    }

    /// Whether it waits for a reader.
    pub fn waits(&self) -> bool {
        self.readings.agreement() != Agreement::Settled
    }
}

/// See the module's documentation.
#[async_trait]
pub trait Worklist: Send + Sync {
    /// A page of the images that wait for a reader, in the order of `urgency`, after `after`. All pages of one reading
    /// need the same `urgency`: its moment says what is overdue. With a `reader`, by the name that verdicts bear, those are left
    /// out on which they have given a verdict.
    async fn to_read(
        &self,
        filter: &Filter,
        urgency: &Urgency,
        reader: Option<&str>,
        after: Option<Place>,
        limit: usize,
    ) -> Result<WorklistPage, PortError>;

    /// Who has read these images, and who does; those of which nothing is known are left out.
    async fn readership(
        &self,
        images: &[ImageId],
    ) -> Result<BTreeMap<ImageId, Readership>, PortError>;

    /// Claims an image for `lease` from now, or makes one's own claim so long. Answers whoever has it then, who may be
    /// another; `None` where there is no such image, or it was replaced or removed.
    async fn claim_reading(
        &self,
        image: ImageId,
        reader: &Reader,
        claiming: Claiming,
        lease: Duration,
    ) -> Result<Option<Claimed>, PortError>;

    /// Gives one's own claim back; whether there was one. One of another stays.
    async fn release_reading(&self, image: ImageId, reader: &Reader) -> Result<bool, PortError>;
}
