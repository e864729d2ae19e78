//! Rows of the table `audit`.

use lobar_core::audit::{Checkpoint, Digest, Entry};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::column::Column;

/// A row of `audit`. What was damaged is told as something that no hash is of, so that its entry is found broken.
#[derive(sqlx::FromRow)]
pub struct AuditRow {
    number: i64,
    v: i64,
    at: i64,
    action: String,
    actor_kind: String,
    actor_id: Option<Column<Uuid>>,
    actor: String,
    role: Option<String>,
    image: Option<Column<Uuid>>,
    site: Option<String>,
    subject: Option<Column<Uuid>>,
    detail: String,
    request: Option<String>,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

impl AuditRow {
    pub(super) fn entry(self) -> Entry {
        Entry {
            v: u32::try_from(self.v).unwrap_or(u32::MAX),
            number: u64::try_from(self.number).unwrap_or(0),
            at: Stamp(self.at),
            action: self.action,
            actor_kind: self.actor_kind,
            actor_id: id(self.actor_id),
            actor: self.actor,
            role: self.role,
            image: id(self.image),
            site: self.site,
            subject: id(self.subject),
            detail: self.detail,
            request: self.request,
            previous: digest(&self.previous),
            hash: digest(&self.hash),
        }
    }
}

fn id(column: Option<Column<Uuid>>) -> Option<Uuid> {
    column.map(|column| match column {
        Column::Read(id) => id,
        Column::Unreadable => Uuid::max(),
    })
}

/// A hash as it is stored; zeros where it is none.
fn digest(bytes: &[u8]) -> Digest {
    bytes.try_into().map_or(Digest::ZERO, Digest)
}

/// An entry's number and hash.
pub(super) fn checkpoint((number, hash): (i64, Vec<u8>)) -> Checkpoint {
    Checkpoint { number: u64::try_from(number).unwrap_or(0), hash: digest(&hash) }
}

/// A number as SQL takes it.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
