//! Versions of objects: made, found, removed.

use lobar_core::time::Stamp;
use s3s::S3ErrorCode;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow as _, Row as _, SqliteConnection};
use uuid::Uuid;

use super::buckets::{Versioning, versioning};
use super::outbox::Subject;
use super::transaction::Transaction;
use super::{Catalog, WriteTx};
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
pub(crate) struct Source {
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
    /// Makes `new` the latest version of its key.
    pub(crate) async fn put(&self, new: New, content: Content) -> Result<Placed, EndpointFault> {
        let fresh = content.segments.iter().map(|segment| segment.body).collect();
        self.write(fresh, move |change| {
            Box::pin(async move { change.place(&new, &content, None).await })
        })
        .await
    }

    /// Makes a copy of `source` the latest version of `new`'s key. The files are shared.
    pub(crate) async fn copy(
        &self,
        source: Source,
        mut new: New,
    ) -> Result<(Placed, Option<String>), EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                let sql = change.sql();
                let from = versioning(sql, &source.bucket).await?;
                let id = source.version.as_deref();
                let stored = find(sql, &source.bucket, &source.key, id).await?;
                let stored = stored.filter(|stored| !stored.marker).ok_or(match id {
                    Some(_) => S3ErrorCode::NoSuchVersion,
                    None => S3ErrorCode::NoSuchKey,
                })?;
                source.conditions.check_read(
                    &stored.etag,
                    stored.modified,
                    &S3ErrorCode::PreconditionFailed,
                )?;
                let segments = segments(sql, stored.seq).await?;
                let told = stored.told(from);
                if source.keep_attributes {
                    new.attributes = stored.attributes;
                }
                let content =
                    Content { segments, size: stored.size, etag: stored.etag, sum: stored.sum };
                Ok((change.place(&new, &content, None).await?, told))
            })
        })
        .await
    }

    /// Removes one version for good, or hides the key behind a delete marker; for each key in turn.
    pub(crate) async fn delete(
        &self,
        bucket: String,
        keys: Vec<(String, Option<String>)>,
        origin: Origin,
    ) -> Result<Vec<Removed>, EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                let kept = versioning(change.sql(), &bucket).await?;
                let mut removed = Vec::with_capacity(keys.len());
                for (key, version) in &keys {
                    let done = match (version.as_deref(), kept) {
                        (Some(id), _) => change.remove(&bucket, key, id, &origin).await?,
                        (None, Versioning::Off) => {
                            change.remove(&bucket, key, NULL, &origin).await?;
                            Removed::default()
                        }
                        (None, _) => change.hide(&bucket, key, kept, &origin).await?,
                    };
                    removed.push(done);
                }
                Ok(removed)
            })
        })
        .await
    }

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

async fn find(
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

async fn segments(sql: &mut SqliteConnection, seq: i64) -> Result<Vec<Segment>, EndpointFault> {
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

impl WriteTx {
    /// Makes a version the latest of its key, and announces it.
    pub(super) async fn place(
        &mut self,
        new: &New,
        content: &Content,
        upload: Option<&str>,
    ) -> Result<Placed, EndpointFault> {
        let kept = versioning(self.sql(), &new.bucket).await?;
        let present = find(self.sql(), &new.bucket, &new.key, None).await?;
        let present = present.filter(|stored| !stored.marker);
        new.conditions.check_write(present.as_ref().map(|stored| stored.etag.as_str()))?;
        let (seq, id) = self
            .insert(
                (&new.bucket, &new.key, kept),
                false,
                content,
                &serde_json::to_string(&new.attributes)?,
                upload,
            )
            .await?;
        let told = (kept != Versioning::Off).then_some(id);
        for (position, segment) in (0_i64..).zip(&content.segments) {
            sqlx::query("insert into segment (version, position, body, size) values (?, ?, ?, ?)")
                .bind(seq)
                .bind(position)
                .bind(segment.body)
                .bind(i64::try_from(segment.size).unwrap_or(i64::MAX))
                .execute(self.sql())
                .await?;
        }
        let subject = Subject {
            bucket: &new.bucket,
            key: new.key.as_bytes(),
            version: told.as_deref().filter(|id| *id != NULL),
            size: Some(i64::try_from(content.size).unwrap_or(i64::MAX)),
            etag: Some(&content.etag),
        };
        self.announce(new.happening, subject, &new.origin).await?;
        let (etag, sum, modified) = (content.etag.clone(), content.sum.clone(), self.now);
        Ok(Placed { version: told, etag, sum, modified })
    }

    /// Puts a row on top of a key: the versioning decides whether it replaces the `null` version.
    async fn insert(
        &mut self,
        (bucket, key, kept): (&str, &str, Versioning),
        marker: bool,
        content: &Content,
        attributes: &str,
        upload: Option<&str>,
    ) -> Result<(i64, String), EndpointFault> {
        let id = if kept == Versioning::Enabled {
            Uuid::now_v7().simple().to_string()
        } else {
            self.erase(bucket, key, NULL).await?;
            NULL.to_owned()
        };
        let now = self.now;
        sqlx::query("update version set latest = 0 where bucket = ? and key = ? and latest = 1")
            .bind(bucket)
            .bind(key.as_bytes())
            .execute(self.sql())
            .await?;
        let made = sqlx::query(
            "insert into version
                 (bucket, key, id, latest, marker, size, etag, attributes, sum, upload, modified_at)
             values (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(bucket)
        .bind(key.as_bytes())
        .bind(&id)
        .bind(marker)
        .bind(i64::try_from(content.size).unwrap_or(i64::MAX))
        .bind(&content.etag)
        .bind(attributes)
        .bind(content.sum.as_ref().map(serde_json::to_string).transpose()?)
        .bind(upload)
        .bind(now.0)
        .execute(self.sql())
        .await?;
        Ok((made.last_insert_rowid(), id))
    }

    /// Puts a delete marker on top of a key.
    async fn hide(
        &mut self,
        bucket: &str,
        key: &str,
        kept: Versioning,
        origin: &Origin,
    ) -> Result<Removed, EndpointFault> {
        let (_, version) =
            self.insert((bucket, key, kept), true, &Content::default(), "{}", None).await?;
        let subject = Subject {
            bucket,
            key: key.as_bytes(),
            version: Some(&version),
            size: None,
            etag: None,
        };
        self.announce(EventName::DeleteMarkerCreated, subject, origin).await?;
        Ok(Removed { version: Some(version), marker: true })
    }

    /// Removes one version for good; the newest of the others is then the latest.
    async fn remove(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
        origin: &Origin,
    ) -> Result<Removed, EndpointFault> {
        let version = Some(id.to_owned());
        let Some(stored) = self.erase(bucket, key, id).await? else {
            return Ok(Removed { version, marker: false });
        };
        if stored.latest {
            sqlx::query(
                "update version set latest = 1 where seq =
                     (select max(seq) from version where bucket = ? and key = ?)",
            )
            .bind(bucket)
            .bind(key.as_bytes())
            .execute(self.sql())
            .await?;
        }
        let kept = versioning(self.sql(), bucket).await?;
        let told = stored.told(kept);
        let subject = Subject {
            bucket,
            key: key.as_bytes(),
            version: told.as_deref(),
            size: None,
            etag: None,
        };
        self.announce(EventName::Delete, subject, origin).await?;
        Ok(Removed { version, marker: stored.marker })
    }

    /// Deletes a version's rows and releases its bodies.
    async fn erase(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<Option<Stored>, EndpointFault> {
        let Some(stored) = find(self.sql(), bucket, key, Some(id)).await? else {
            return Ok(None);
        };
        let gone = segments(self.sql(), stored.seq).await?;
        self.released.extend(gone.iter().map(|segment| segment.body));
        sqlx::query("delete from version where seq = ?")
            .bind(stored.seq)
            .execute(self.sql())
            .await?;
        Ok(Some(stored))
    }
}
