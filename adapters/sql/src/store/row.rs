//! One image as the database keeps it.

use lobar_core::finding::Finding;
use lobar_core::image::{Image, Lane, Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::reading::{Reading, Standing};
use lobar_core::time::Stamp;
use sqlx::types::Json;
use uuid::Uuid;

use super::super::column::Column;
use super::super::unreadable::Unreadable;

/// A row of `image` with its finding. Without its id and its time a row has no place in a list; all else may be
/// unreadable.
#[derive(sqlx::FromRow)]
pub struct ImageRow {
    id: Uuid,
    bucket: Column<String>,
    key: Column<String>,
    version: Option<Column<String>>,
    etag: Option<Column<String>>,
    sequencer: Option<Column<String>>,
    size: Option<i64>,
    lane: Column<String>,
    state: Column<String>,
    reason: Option<Column<String>>,
    detail: Option<Column<String>>,
    flag: Column<String>,
    attempts: i64,
    received_at: i64,
    finished_at: Option<i64>,
    finding: Option<Column<Json<Finding>>>,
}

impl ImageRow {
    /// The image, which says what of it cannot be read; an operator is told as well.
    pub(in super::super) fn image(self, unreadable: &Unreadable) -> Image {
        let id = self.id;
        let text = |what, column: Option<Column<String>>| {
            let read = Column::reading_of(column, Some);
            if read == Reading::Unreadable {
                unreadable.tell(what, id);
            }
            read.read()
        };
        let told = |what, unread: bool| {
            if unread {
                unreadable.tell(what, id);
            }
        };
        let state = self.state.reading(|word| State::parse(&word));
        told("image.state", state == Reading::Unreadable);
        let lane = self.lane.reading(|word| Lane::parse(&word));
        told("image.lane", lane == Reading::Unreadable);
        let reason = Column::reading_of(self.reason, |code| Reason::parse(&code));
        told("image.reason", reason == Reading::Unreadable);
        let finding = Column::reading_of(self.finding, |Json(finding)| Some(finding));
        let flagged = self.flag.reading(Some).read().and_then(|flag| flagged(&flag));
        let terminal = matches!(&state, Reading::Read(state) if state.is_terminal());
        let Standing { state, reason, finding } = Standing::of(state, reason, finding, flagged);
        told("finding.body", terminal && reason == Some(Reason::ResultUnreadable));
        Image {
            id: ImageId(id),
            object: ObjectVersion {
                bucket: text("image.bucket", Some(self.bucket)).unwrap_or_default(),
                key: text("image.key", Some(self.key)).unwrap_or_default(),
                version: text("image.version", self.version),
                etag: text("image.etag", self.etag),
                sequencer: text("image.sequencer", self.sequencer),
                size: self.size.and_then(|size| u64::try_from(size).ok()),
            },
            lane: lane.read().unwrap_or(UNKNOWN_LANE),
            state,
            reason,
            detail: text("image.detail", self.detail),
            finding,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            received_at: Stamp(self.received_at),
            finished_at: self.finished_at.map(Stamp),
        }
    }
}

/// What of which nobody knows how urgent it is, is urgent.
const UNKNOWN_LANE: Lane = Lane::Stat;

/// The state of a stored word. An image in one that this release does not know needs a human, and no work of ours.
pub(in super::super) fn state(word: &str) -> State {
    State::parse(word).unwrap_or(State::NeedsHuman)
}

/// The lane of a stored word.
pub(super) fn lane(word: &str) -> Lane {
    Lane::parse(word).unwrap_or(UNKNOWN_LANE)
}

/// What a stored flag says of the finding; `None` where there is none.
pub(in super::super) fn flagged(flag: &str) -> Option<bool> {
    match flag {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
