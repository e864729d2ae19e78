//! One image as the database keeps it.

use lobar_core::finding::Finding;
use lobar_core::image::{Image, Lane, Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::time::Stamp;
use sqlx::types::Json;
use uuid::Uuid;

use super::super::{Driver, Fault};

/// A row of `image` with its finding.
#[derive(sqlx::FromRow)]
pub struct ImageRow {
    id: Uuid,
    bucket: String,
    key: String,
    version: Option<String>,
    etag: Option<String>,
    sequencer: Option<String>,
    size: Option<i64>,
    lane: String,
    state: String,
    reason: Option<String>,
    detail: Option<String>,
    attempts: i64,
    received_at: i64,
    finished_at: Option<i64>,
    finding: Option<Json<Finding>>,
}

impl ImageRow {
    /// The image; fails on words that this release does not know.
    pub(super) fn image<D: Driver>(self) -> Result<Image, Fault> {
        let reason = match self.reason {
            Some(code) => Some(
                Reason::parse(&code).ok_or_else(|| Fault::unreadable::<D>("a stored reason"))?,
            ),
            None => None,
        };
        Ok(Image {
            id: ImageId(self.id),
            object: ObjectVersion {
                bucket: self.bucket,
                key: self.key,
                version: self.version,
                etag: self.etag,
                sequencer: self.sequencer,
                size: self.size.and_then(|size| u64::try_from(size).ok()),
            },
            lane: lane::<D>(&self.lane)?,
            state: state::<D>(&self.state)?,
            reason,
            detail: self.detail,
            finding: self.finding.map(|Json(finding)| finding),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            received_at: Stamp(self.received_at),
            finished_at: self.finished_at.map(Stamp),
        })
    }
}

/// The state of a stored word.
pub(super) fn state<D: Driver>(word: &str) -> Result<State, Fault> {
    State::parse(word).ok_or_else(|| Fault::unreadable::<D>("a stored state"))
}

/// The lane of a stored word.
pub(super) fn lane<D: Driver>(word: &str) -> Result<Lane, Fault> {
    Lane::parse(word).ok_or_else(|| Fault::unreadable::<D>("a stored lane"))
}
