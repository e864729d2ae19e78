//! Who has read an image, as clients see it.
//!
//! It is read for each answer and kept in no cache: claims come and go, and lapse without an event.

use std::collections::BTreeMap;

use lobar_core::access::Right;
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::verdict::Readers;
use lobar_core::worklist::{ReadState, Readership, ReadingClaim};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Allowed, Need};
use crate::context::Context;
use crate::problem::Problem;
use crate::timestamp::rfc3339;

/// How far an image has been read, by whom, and how long it waits.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct ReadingBody {
    /// `unread`; `reading` while somebody has it open; `read` where its result was on somebody's screen or somebody said what
    /// they see in it; `verified` where there is a verdict on what it shows now. Where its site has two readers, `partly_read`
    /// after the first verdict, and `disagreement` while two differ and no third has decided.
    #[schema(value_type = String, example = "reading")]
    state: &'static str,
    /// Who reads it, looked at it last or gave the newest verdict; null where nobody did, or their account is gone.
    by: Option<String>,
    /// RFC 3339, UTC: since when it is so; null while it is unread.
    since: Option<String>,
    /// RFC 3339, UTC: when the claim lapses of whoever has it open, unless they go on reading; else null.
    until: Option<String>,
    /// How many readers have given a verdict on what it shows now, where its site has two; else null.
    readers: Option<ReadersBody>,
    /// RFC 3339, UTC: since when it waits for a reader; null once it is verified.
    waiting_since: Option<String>,
    /// RFC 3339, UTC: from when on it goes before all that is not overdue, in the order of urgency; null once it is verified.
    overdue_at: Option<String>,
    /// For how many seconds it has waited for a reader; 0 once it is verified. In lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    waiting_seconds: Option<u64>,
}

/// The readers of an image that two read for themselves.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct ReadersBody {
    /// How many have given a verdict.
    given: usize,
    /// How many are needed; a third where they differ.
    needed: u8,
    /// Whether the caller is one of them: it does not wait for them any more.
    mine: bool,
}

/// Why verdicts of others are not told.
pub(crate) const OWN_VERDICT_FIRST: &str = "own_verdict_first";

/// An image whose readers are asked for.
pub(crate) struct Standing {
    pub(crate) id: ImageId,
    pub(crate) state: State,
    pub(crate) received_at: Stamp,
    /// `None` where it is unknown.
    pub(crate) site: Option<String>,
}

impl std::fmt::Debug for ReadingBody {
    /// Without the name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.state)
    }
}

/// Whoever has an image open.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct ClaimBody {
    /// Whether that is the caller.
    mine: bool,
    /// Who; null where nobody has it and the caller may give no verdict on it.
    by: Option<String>,
    /// RFC 3339, UTC; null where nobody has it.
    since: Option<String>,
    /// RFC 3339, UTC: when it lapses unless it is claimed again; null where nobody has it.
    until: Option<String>,
}

impl ClaimBody {
    /// As `reader` is told.
    pub(crate) fn told(claim: ReadingClaim, reader: uuid::Uuid) -> Self {
        let ReadingClaim { reader: by, since, until } = claim;
        Self {
            mine: by.id == reader,
            by: Some(by.name),
            since: Some(rfc3339(since)),
            until: Some(rfc3339(until)),
        }
    }
}

/// Of an image, as `reader` is told; `None` where it is not there to be read.
fn body(
    context: &Context,
    standing: &Standing,
    reader: &str,
    known: Option<Readership>,
) -> Option<ReadingBody> {
    if matches!(standing.state, State::Superseded | State::Removed) {
        return None;
    }
    let known = known.unwrap_or_default();
    let state = known.state();
    let received_at = standing.received_at;
    let waits = known.waits();
    let newest = known.readings.newest();
    let asked = context.readers_at(standing.site.as_deref());
    let needed = newest.map_or(asked, |newest| newest.needed.max(asked));
    let readers = (needed != Readers::One).then(|| ReadersBody {
        given: known.readings.given(),
        needed: needed.number(),
        mine: known.readings.include(reader),
    });
    let (by, since, until) = match state {
        ReadState::Unread => (None, None, None),
        ReadState::Reading => match known.claim {
            Some(claim) => (Some(claim.reader.name), Some(claim.since), Some(claim.until)),
            None => (None, None, None),
        },
        ReadState::Read => match known.looked {
            Some((name, at)) => (name, Some(at), None),
            None => (None, None, None),
        },
        ReadState::PartlyRead | ReadState::Disagreement | ReadState::Verified => match newest {
            Some(given) => (Some(given.reader.clone()), Some(given.at), None),
            None => (None, None, None),
        },
    };
    Some(ReadingBody {
        state: state.as_str(),
        by,
        since: since.map(rfc3339),
        until: until.map(rfc3339),
        readers,
        waiting_since: waits.then(|| rfc3339(received_at)),
        overdue_at: waits.then(|| rfc3339(received_at.plus(context.settings.reading_cap))),
        waiting_seconds: None,
    })
}

impl Context {
    /// Who has read these images, as `reader` is told; those that are not there to be read are left out.
    pub(crate) async fn readership(
        &self,
        images: Vec<Standing>,
        reader: &str,
    ) -> Result<BTreeMap<ImageId, ReadingBody>, Problem> {
        let mut known = self.readers_of(images.iter().map(|image| image.id).collect()).await?;
        let bodies = images.into_iter().filter_map(|image| {
            let known = known.remove(&image.id);
            Some((image.id, body(self, &image, reader, known)?))
        });
        Ok(bodies.collect())
    }

    async fn readers_of(
        &self,
        ids: Vec<ImageId>,
    ) -> Result<BTreeMap<ImageId, Readership>, Problem> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.ask_port(&self.worklist, |port| async move { port.readership(&ids).await }).await
    }

    /// How many readers read an image of a site for themselves.
    pub(crate) fn readers_at(&self, site: Option<&str>) -> Readers {
        match self.settings.double_reading.include(site) {
            true => Readers::Two,
            false => Readers::One,
        }
    }

    /// The caller's name, where some site has two readers and they may be one.
    pub(crate) fn second_reader<N: Need>(&self, allowed: &Allowed<N>) -> Option<String> {
        let is_asked = !self.settings.double_reading.is_empty()
            && allowed.caller().grants.allow(Right::GiveVerdicts);
        is_asked.then(|| allowed.name().to_owned())
    }

    /// Whether what others said of an image is kept from the caller until they have given their own verdict. Kept from them
    /// are also verdicts of which nobody can tell: the store cannot be asked.
    pub(crate) async fn keeps_verdicts_from<N: Need>(
        &self,
        allowed: &Allowed<N>,
        id: ImageId,
        site: Option<&str>,
    ) -> bool {
        let readers = self.readers_at(site);
        let judges = allowed.caller().grants.reach(Right::GiveVerdicts);
        if readers == Readers::One || !judges.include(site) {
            return false;
        }
        let Ok(mut known) = self.readers_of(vec![id]).await else { return true };
        let readings = known.remove(&id).unwrap_or_default().readings;
        readings.are_kept_from(allowed.name(), readers)
    }
}

impl ReadingBody {
    /// With how long the image has waited, which changes by itself: a body that is named by an `ETag` must not.
    pub(crate) fn with_wait(self, received_at: Stamp, now: Stamp) -> Self {
        let waited = self.waiting_since.as_ref().map_or(0, |_| now.since(received_at).as_secs());
        Self { waiting_seconds: Some(waited), ..self }
    }
}
