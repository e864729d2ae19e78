//! Events: every change of state and every verdict, numbered in commit order. Pages follow them
//! over SSE.

use serde::{Deserialize, Serialize};

use crate::access::{SiteName, Sites};
use crate::image::State;
use crate::object::ImageId;
use crate::position::Position;
use crate::time::Stamp;
use crate::trace::TraceContext;

/// An event's number. Events become visible in this order, without exception.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub i64);

/// One image changed its state, or what is said of it changed. Carries nothing personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of commit.
    pub seq: Seq,
    /// Which image.
    pub image: ImageId,
    /// The site of the image; `None` when it is not known. Never sent to clients: it says which of them are told.
    pub site: Option<SiteName>,
    /// Its state by then.
    pub state: State,
    /// Whether it tells of a [verdict](crate::verdict), or that whose image it is was [changed](crate::study): the state is
    /// as before then.
    pub verdict: bool,
    /// When.
    pub at: Stamp,
    /// What telling of it continues; only of completions that were traced. Never sent to clients.
    pub trace: Option<TraceContext>,
}

impl Event {
    /// Whether its image belongs to one of these sites.
    pub fn is_at(&self, sites: &Sites) -> bool {
        sites.include(self.site.as_ref().map(SiteName::as_str))
    }

    /// The position after it.
    pub fn position(&self) -> Position {
        Position::of(self)
    }
}
