//! Who has read an image, as clients see it.
//!
//! It is read for each answer and kept in no cache: claims come and go, and lapse without an event.

use std::collections::BTreeMap;

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::worklist::{ReadState, Readership, ReadingClaim};
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Context;
use crate::problem::Problem;
use crate::timestamp::rfc3339;

/// How far an image has been read, by whom, and how long it waits.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct ReadingBody {
    /// `unread`; `reading` while somebody has it open; `read` where its result was on somebody's screen or somebody said what
    /// they see in it; `verified` where there is a verdict on what it shows now.
    #[schema(value_type = String, example = "reading")]
    state: &'static str,
    /// Who reads it, looked at it last or gave the newest verdict; null where nobody did, or their account is gone.
    by: Option<String>,
    /// RFC 3339, UTC: since when it is so; null while it is unread.
    since: Option<String>,
    /// RFC 3339, UTC: when the claim lapses of whoever has it open, unless they go on reading; else null.
    until: Option<String>,
    /// RFC 3339, UTC: since when it waits for a reader; null once there is a verdict.
    waiting_since: Option<String>,
    /// RFC 3339, UTC: from when on it goes before all that is not overdue, in the order of urgency; null once there is a verdict.
    overdue_at: Option<String>,
    /// For how many seconds it has waited for a reader; 0 once there is a verdict. In lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    waiting_seconds: Option<u64>,
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

/// Of an image in a state, received then; `None` where it is not there to be read.
fn body(
    context: &Context,
    state: State,
    received_at: Stamp,
    known: Option<Readership>,
) -> Option<ReadingBody> {
    if matches!(state, State::Superseded | State::Removed) {
        return None;
    }
    let known = known.unwrap_or_default();
    let state = known.state();
    let waits = known.verdict.is_none();
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
        ReadState::Verified => match known.verdict {
            Some((name, at)) => (Some(name), Some(at), None),
            None => (None, None, None),
        },
    };
    Some(ReadingBody {
        state: state.as_str(),
        by,
        since: since.map(rfc3339),
        until: until.map(rfc3339),
        waiting_since: waits.then(|| rfc3339(received_at)),
        overdue_at: waits.then(|| rfc3339(received_at.plus(context.settings.reading_cap))),
        waiting_seconds: None,
    })
}

impl Context {
    /// Who has read these images, each with its state and when it was received; those that are not there to be read are
    /// left out.
    pub(crate) async fn readership(
        &self,
        images: Vec<(ImageId, State, Stamp)>,
    ) -> Result<BTreeMap<ImageId, ReadingBody>, Problem> {
        if images.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ids: Vec<ImageId> = images.iter().map(|(id, ..)| *id).collect();
        let known =
            self.ask_port(&self.worklist, |port| async move { port.readership(&ids).await });
        let mut known = known.await?;
        let bodies = images.into_iter().filter_map(|(id, state, received_at)| {
            Some((id, body(self, state, received_at, known.remove(&id))?))
        });
        Ok(bodies.collect())
    }
}

impl ReadingBody {
    /// With how long the image has waited, which changes by itself: a body that is named by an `ETag` must not.
    pub(crate) fn with_wait(self, received_at: Stamp, now: Stamp) -> Self {
        let waited = self.waiting_since.as_ref().map_or(0, |_| now.since(received_at).as_secs());
        Self { waiting_seconds: Some(waited), ..self }
    }
}
