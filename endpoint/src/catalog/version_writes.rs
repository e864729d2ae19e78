//! Versions of objects made and removed, each change with its event.

use s3s::S3ErrorCode;
use uuid::Uuid;

use super::buckets::{Versioning, versioning};
use super::outbox::Subject;
use super::versions::{Content, CopyRequest, NULL, New, Placed, Removed, Stored, find, segments};
use super::{Catalog, WriteTx};
use crate::event::{EventName, Origin};
use crate::fault::EndpointFault;

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
        source: CopyRequest,
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
