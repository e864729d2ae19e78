//! Own opinion first: whose answers are withheld from whom.
//!
//! The draw says of which images ([`OpinionFirst`](lobar_core::exposure::OpinionFirst)); the record says who has met the
//! answer already. Asked are people who may give verdicts there: others could never end it, and a machine has no opinion.
//! A record that cannot be read withholds, too.

use std::collections::{BTreeMap, BTreeSet};

use lobar_core::access::{Caller, Right, Who};
use lobar_core::image::{Image, Lane, State};
use lobar_core::object::ImageId;

use crate::access::{Allowed, Need};
use crate::context::Context;
use crate::problem::{Kind, Problem};

/// Why a result is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The reader is asked for their own opinion first.
    OwnOpinionFirst,
    /// Nobody knows whether they have given it: the record cannot be read.
    RecordUnavailable,
}

impl Withheld {
    /// The word used in HTTP.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::OwnOpinionFirst => "own_opinion_first",
            Self::RecordUnavailable => "record_unavailable",
        }
    }

    /// The refusal of what would tell of the result.
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::OwnOpinionFirst => Problem::new(
                Kind::OwnOpinionFirst,
                "Look at the picture and say what you see; then the result is shown.",
            ),
            Self::RecordUnavailable => Problem::new(
                Kind::Unavailable,
                "The exposure record cannot be read; results of some images are withheld until it can.",
            ),
        }
    }
}

/// One image as far as it matters here.
pub(crate) type Drawn<'a> = (ImageId, Option<&'a str>, Lane);

/// Whether there is something to withhold of an image.
pub(crate) fn has_result(image: &Image) -> bool {
    image.finding.is_some() && image.state != State::Removed
}

impl Context {
    /// Whether this caller is ever asked for an opinion first, at some site.
    pub(crate) fn asks_first(&self, caller: &Caller) -> bool {
        let is_person = !matches!(caller.who, Who::Machine { .. });
        let judged = caller.grants.reach(Right::GiveVerdicts);
        is_person && self.opinion_first.as_ref().is_some_and(|draw| draw.draws_at(&judged))
    }

    /// Which of these images' results are withheld from the caller.
    pub(crate) async fn withheld<'a, N: Need>(
        &self,
        allowed: &Allowed<N>,
        images: impl IntoIterator<Item = Drawn<'a>>,
    ) -> BTreeMap<ImageId, Withheld> {
        let Some(draw) = self.opinion_first.as_ref().filter(|_| self.asks_first(allowed.caller()))
        else {
            return BTreeMap::new();
        };
        let sites = allowed.caller().grants.reach(Right::GiveVerdicts);
        let drawn = images.into_iter();
        let drawn = drawn
            .filter(|(id, site, lane)| sites.include(*site) && draw.chooses(*id, *site, *lane));
        let drawn: BTreeSet<ImageId> = drawn.map(|(id, ..)| id).collect();
        if drawn.is_empty() {
            return BTreeMap::new();
        }
        let (reader, ids) = (allowed.caller().who.id(), Vec::from_iter(drawn.iter().copied()));
        let met = self.ask_port(&self.exposures, move |exposures| async move {
            exposures.met(reader, &ids).await
        });
        match met.await {
            Ok(met) => {
                let unmet = drawn.into_iter().filter(|id| !met.contains(id));
                unmet.map(|id| (id, Withheld::OwnOpinionFirst)).collect()
            }
            Err(_) => drawn.into_iter().map(|id| (id, Withheld::RecordUnavailable)).collect(),
        }
    }

    /// Why this image's result is withheld from the caller, if it is.
    pub(crate) async fn withheld_of<N: Need>(
        &self,
        allowed: &Allowed<N>,
        image: &Image,
    ) -> Option<Withheld> {
        if !has_result(image) {
            return None;
        }
        let drawn = (image.id, image.object.site(), image.lane);
        self.withheld(allowed, [drawn]).await.remove(&image.id)
    }
}
