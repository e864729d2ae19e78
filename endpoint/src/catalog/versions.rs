//! Versions of objects, and how they are found. `version_writes` makes and removes them.

use lobar_core::time::Stamp;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow as _, Row as _, SqliteConnection};

use super::Catalog;
use super::buckets::{Versioning, versioning};
use super::transaction::Transaction;
use crate::attributes::Attributes;
use crate::conditions::Conditions;
use crate::deliver::Segment;
use crate::digest::Sum;
use crate::event::{EventName, Origin};
use crate::fault::EndpointFault;

/// The id of versions made without versioning.
pub(super) const NULL: &str = "null";

/// The bytes of a version and what is known of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) segments: Vec<Segment>,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) sum: Option<Sum>,
}

/// A version about to be made.
pub(crate) struct New {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) attributes: Attributes,
    pub(crate) conditions: Conditions,
    pub(crate) happening: EventName,
    pub(crate) origin: Origin,
}

/// A version just made.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// `None` in a bucket without versioning.
    pub(crate) version: Option<String>,
    pub(crate) etag: String,
    pub(crate) sum: Option<Sum>,
    pub(crate) modified: Stamp,
}

/// A version, or a delete marker, as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) id: String,
    pub(crate) latest: bool,
    pub(crate) marker: bool,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) attributes: Attributes,
    pub(crate) sum: Option<Sum>,
    pub(crate) modified: Stamp,
}

/// What a delete did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removed {
    /// The marker made, or the version removed.
    pub(crate) version: Option<String>,
    /// Whether that was a delete marker.
    pub(crate) marker: bool,
}

/// What to copy, and on which conditions.
pub(crate) struct CopyRequest {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) conditions: Conditions,
    /// Whether the copy keeps the attributes of the source.
    pub(crate) keep_attributes: bool,
}

impl sqlx::FromRow<'_, SqliteRow> for Stored {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let seq: i64 = row.try_get("seq")?;
        Ok(Self {
            seq,
            key: row.try_get("key")?,
            id: row.try_get("id")?,
            latest: row.try_get("latest")?,
            marker: row.try_get("marker")?,
            size: u64::try_from(row.try_get::<i64, _>("size")?).unwrap_or(0),
            etag: row.try_get("etag")?,
            attributes: kept(row, "attributes", seq)?.unwrap_or_default(),
            sum: kept(row, "sum", seq)?,
            modified: Stamp(row.try_get("modified_at")?),
        })
    }
}

/// A column of JSON; `None` where it is null, and where it is damaged or of a newer release: the object's bytes are
/// whole without it, and a list must not end at it.
pub(super) fn kept<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
    of: impl std::fmt::Display,
) -> Result<Option<T>, sqlx::Error> {
    let Some(text) = row.try_get::<Option<&str>, _>(column)? else { return Ok(None) };
    let read = serde_json::from_str(text);
    if read.is_err() {
        tracing::warn!(column, row = %of, "what is kept of an object cannot be read; it is served without it");
    }
    Ok(read.ok())
}

impl Stored {
    /// The id that clients are told: none in a bucket that never had versioning.
    pub(crate) fn told(&self, versioning: Versioning) -> Option<String> {
        (versioning != Versioning::Off || self.id != NULL).then(|| self.id.clone())
    }
}

impl Catalog {
    /// A version and its files: the latest when `version` is `None`. Markers are found too.
    pub(crate) async fn find(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<(Versioning, Option<(Stored, Vec<Segment>)>), EndpointFault> {
        // One transaction, so that version and files are of one moment.
        let mut transaction = Transaction::read(&self.readers).await?;
        let found = look_up(&mut transaction, bucket, key, version).await;
        if matches!(found, Ok(_) | Err(EndpointFault::Refused(_))) {
            transaction.commit().await?;
        }
        found
    }
}

async fn look_up(
    sql: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<(Versioning, Option<(Stored, Vec<Segment>)>), EndpointFault> {
    let kept = versioning(sql, bucket).await?;
    let Some(stored) = find(sql, bucket, key, version).await? else {
        return Ok((kept, None));
    };
    let segments = segments(sql, stored.seq).await?;
    Ok((kept, Some((stored, segments))))
}

pub(super) async fn find(
    sql: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<Option<Stored>, EndpointFault> {
    const BY_ID: &str = "select * from version where bucket = ? and key = ? and id = ?";
    const LATEST: &str = "select * from version where bucket = ? and key = ? and latest = 1";
    let query = sqlx::query(if version.is_some() { BY_ID } else { LATEST });
    let query = query.bind(bucket).bind(key.as_bytes());
    let query = match version {
        Some(version) => query.bind(version),
        None => query,
    };
    let row = query.fetch_optional(sql).await?;
    Ok(row.map(|row| Stored::from_row(&row)).transpose()?)
}

pub(super) async fn segments(
    sql: &mut SqliteConnection,
    seq: i64,
) -> Result<Vec<Segment>, EndpointFault> {
    let rows = sqlx::query("select body, size from segment where version = ? order by position")
        .bind(seq)
        .try_map(|row: SqliteRow| {
            let size = u64::try_from(row.try_get::<i64, _>("size")?).unwrap_or(0);
            Ok(Segment { body: row.try_get("body")?, size })
        })
        .fetch_all(sql)
        .await?;
    Ok(rows)
}
