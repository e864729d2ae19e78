//! Multipart uploads and their parts.

use lobar_core::time::Stamp;
use s3s::S3ErrorCode;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow as _, Row as _};
use uuid::Uuid;

use super::buckets::versioning;
use super::versions::{Content, NULL, New, Placed, Stored, kept};
use super::{Catalog, WriteTx};
use crate::attributes::Attributes;
use crate::deliver::Segment;
use crate::digest::{Algorithm, Sum, multipart_etag};
use crate::fault::EndpointFault;

/// The least size of every part but the last, in bytes.
const SMALLEST_PART: u64 = 5 << 20;

/// An upload under way.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) key: Vec<u8>,
    pub(crate) attributes: Attributes,
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether its checksum is one over the parts' checksums.
    pub(crate) composite: bool,
    pub(crate) created: Stamp,
}

impl sqlx::FromRow<'_, SqliteRow> for Upload {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let id: String = row.try_get("id")?;
        let algorithm: Option<&str> = row.try_get("algorithm")?;
        Ok(Self {
            attributes: kept(row, "attributes", &id)?.unwrap_or_default(),
            id,
            key: row.try_get("key")?,
            algorithm: algorithm.and_then(Algorithm::parse),
            composite: row.try_get("composite")?,
            created: Stamp(row.try_get("created_at")?),
        })
    }
}

/// A part that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) number: i64,
    pub(crate) body: Option<Uuid>,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) sum: Option<Sum>,
    pub(crate) modified: Stamp,
}

impl sqlx::FromRow<'_, SqliteRow> for Part {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let number: i64 = row.try_get("number")?;
        Ok(Self {
            number,
            body: row.try_get("body")?,
            size: u64::try_from(row.try_get::<i64, _>("size")?).unwrap_or(0),
            etag: row.try_get("etag")?,
            sum: kept(row, "sum", number)?,
            modified: Stamp(row.try_get("modified_at")?),
        })
    }
}

/// A part about to be recorded.
pub(crate) struct NewPart {
    pub(crate) number: i64,
    pub(crate) body: Option<Uuid>,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) sum: Option<Sum>,
}

impl Catalog {
    /// Begins an upload and gives it an id.
    pub(crate) async fn begin_upload(
        &self,
        bucket: String,
        key: String,
        attributes: Attributes,
        algorithm: Option<Algorithm>,
        composite: bool,
    ) -> Result<String, EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                versioning(change.sql(), &bucket).await?;
                let (id, now) = (Uuid::now_v7().simple().to_string(), change.now);
                sqlx::query(
                    "insert into upload
                         (id, bucket, key, attributes, algorithm, composite, created_at)
                     values (?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(&id)
                .bind(bucket)
                .bind(key.into_bytes())
                .bind(serde_json::to_string(&attributes)?)
                .bind(algorithm.map(Algorithm::as_str))
                .bind(composite)
                .bind(now.0)
                .execute(change.sql())
                .await?;
                Ok(id)
            })
        })
        .await
    }

    /// The upload of this id, which must belong to the key.
    pub(crate) async fn upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<Upload, EndpointFault> {
        self.bucket(bucket).await?;
        let found = sqlx::query_as("select * from upload where id = ? and bucket = ? and key = ?")
            .bind(id)
            .bind(bucket)
            .bind(key.as_bytes())
            .fetch_optional(&self.readers)
            .await?;
        found.ok_or_else(|| S3ErrorCode::NoSuchUpload.into())
    }

    /// Its parts after number `after`, at most `limit`.
    pub(crate) async fn parts(
        &self,
        id: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Part>, EndpointFault> {
        let parts = sqlx::query_as(
            "select * from part where upload = ? and number > ? order by number limit ?",
        )
        .bind(id)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(parts)
    }

    /// Records a part; one of the same number is replaced.
    pub(crate) async fn put_part(
        &self,
        bucket: String,
        key: String,
        upload: String,
        part: NewPart,
    ) -> Result<Stamp, EndpointFault> {
        self.write(part.body.into_iter().collect(), move |change| {
            Box::pin(async move {
                change.upload(&bucket, &key, &upload).await?;
                let old: Option<Option<Uuid>> =
                    sqlx::query_scalar("select body from part where upload = ? and number = ?")
                        .bind(&upload)
                        .bind(part.number)
                        .fetch_optional(change.sql())
                        .await?;
                change.released.extend(old.flatten());
                let now = change.now;
                sqlx::query(
                    "insert or replace into part
                         (upload, number, body, size, etag, sum, modified_at)
                     values (?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(&upload)
                .bind(part.number)
                .bind(part.body)
                .bind(i64::try_from(part.size).unwrap_or(i64::MAX))
                .bind(&part.etag)
                .bind(part.sum.as_ref().map(serde_json::to_string).transpose()?)
                .bind(now.0)
                .execute(change.sql())
                .await?;
                Ok(now)
            })
        })
        .await
    }

    /// Makes the object out of the parts named by number, eTag and checksum. Completing a second
    /// time, as a client does whose answer was lost, gives the first answer again.
    pub(crate) async fn complete_upload(
        &self,
        id: String,
        mut new: New,
        wanted: Vec<(i64, Option<String>, Option<Sum>)>,
        stated: Option<Sum>,
        limit: u64,
    ) -> Result<Placed, EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                let upload = match change.upload(&new.bucket, &new.key, &id).await {
                    Ok(upload) => upload,
                    Err(missing) => {
                        return change.made_of(&new.bucket, &new.key, &id).await?.ok_or(missing);
                    }
                };
                let parts = change.all_parts(&id).await?;
                let chosen = choose(&parts, &wanted)?;
                let content = content(&upload, &chosen)?;
                if content.size > limit {
                    return Err(S3ErrorCode::EntityTooLarge.into());
                }
                if let (Some(stated), Some(sum)) = (&stated, &content.sum)
                    && stated.algorithm == sum.algorithm
                    && stated.value != sum.value
                {
                    return Err(S3ErrorCode::BadDigest.into());
                }
                new.attributes = upload.attributes;
                let placed = change.place(&new, &content, Some(&id)).await?;
                change.end_upload(&id, &parts).await?;
                Ok(placed)
            })
        })
        .await
    }

    /// Forgets an upload and its parts.
    pub(crate) async fn abort_upload(
        &self,
        bucket: String,
        key: String,
        id: String,
    ) -> Result<(), EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                change.upload(&bucket, &key, &id).await?;
                let parts = change.all_parts(&id).await?;
                change.end_upload(&id, &parts).await
            })
        })
        .await
    }
}

impl WriteTx {
    async fn upload(&mut self, bucket: &str, key: &str, id: &str) -> Result<Upload, EndpointFault> {
        versioning(self.sql(), bucket).await?;
        let row = sqlx::query("select * from upload where id = ? and bucket = ? and key = ?")
            .bind(id)
            .bind(bucket)
            .bind(key.as_bytes())
            .fetch_optional(self.sql())
            .await?;
        let row = row.ok_or(S3ErrorCode::NoSuchUpload)?;
        Ok(Upload::from_row(&row)?)
    }

    /// The version made of an upload that was completed before, if any.
    async fn made_of(
        &mut self,
        bucket: &str,
        key: &str,
        upload: &str,
    ) -> Result<Option<Placed>, EndpointFault> {
        let sql = "select * from version where upload = ? and bucket = ? and key = ?";
        let row = sqlx::query(sql)
            .bind(upload)
            .bind(bucket)
            .bind(key.as_bytes())
            .fetch_optional(self.sql())
            .await?;
        let stored = row.map(|row| Stored::from_row(&row)).transpose()?;
        Ok(stored.map(|stored| Placed {
            version: (stored.id != NULL).then_some(stored.id),
            etag: stored.etag,
            sum: stored.sum,
            modified: stored.modified,
        }))
    }

    async fn all_parts(&mut self, id: &str) -> Result<Vec<Part>, EndpointFault> {
        let parts = sqlx::query_as("select * from part where upload = ? order by number")
            .bind(id)
            .fetch_all(self.sql())
            .await?;
        Ok(parts)
    }

    /// Removes the upload's rows. Bodies that became part of an object are named by it by now.
    async fn end_upload(&mut self, id: &str, parts: &[Part]) -> Result<(), EndpointFault> {
        self.released.extend(parts.iter().filter_map(|part| part.body));
        sqlx::query("delete from upload where id = ?").bind(id).execute(self.sql()).await?;
        Ok(())
    }
}

/// The parts that a client names, checked against what has arrived.
fn choose<'a>(
    parts: &'a [Part],
    wanted: &[(i64, Option<String>, Option<Sum>)],
) -> Result<Vec<&'a Part>, EndpointFault> {
    if wanted.is_empty() {
        return Err(S3ErrorCode::MalformedXML.into());
    }
    if wanted.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(S3ErrorCode::InvalidPartOrder.into());
    }
    let mut chosen = Vec::with_capacity(wanted.len());
    for (number, etag, sum) in wanted {
        let part = parts.binary_search_by_key(number, |part| part.number);
        let part = part.map(|at| &parts[at]).map_err(|_| S3ErrorCode::InvalidPart)?;
        let same_etag = etag.as_ref().is_none_or(|etag| *etag == part.etag);
        let same_sum = match (sum, &part.sum) {
            (Some(stated), Some(sum)) => {
                stated.algorithm != sum.algorithm || stated.value == sum.value
            }
            _ => true,
        };
        if !same_etag || !same_sum {
            return Err(S3ErrorCode::InvalidPart.into());
        }
        chosen.push(part);
    }
    let all_but_last = &chosen[..chosen.len() - 1];
    if all_but_last.iter().any(|part| part.size < SMALLEST_PART) {
        return Err(S3ErrorCode::EntityTooSmall.into());
    }
    Ok(chosen)
}

fn content(upload: &Upload, parts: &[&Part]) -> Result<Content, EndpointFault> {
    let segments =
        parts.iter().filter_map(|part| part.body.map(|body| Segment { body, size: part.size }));
    let etag = multipart_etag(parts.iter().map(|part| part.etag.as_str()));
    let sums: Vec<_> = parts.iter().map(|part| (part.sum.clone(), part.size)).collect();
    Ok(Content {
        segments: segments.collect(),
        size: parts.iter().map(|part| part.size).sum(),
        etag: etag.ok_or(S3ErrorCode::InvalidPart)?,
        sum: upload.algorithm.and_then(|a| Sum::of_parts(a, upload.composite, &sums)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: i64, size: u64) -> Part {
        let etag = format!("{number:032x}");
        Part { number, body: None, size, etag, sum: None, modified: Stamp(0) }
    }

    fn refusal(wanted: &[i64]) -> Option<S3ErrorCode> {
        let parts = [part(1, SMALLEST_PART), part(2, SMALLEST_PART - 1), part(3, 1)];
        let wanted: Vec<_> = wanted.iter().map(|number| (*number, None, None)).collect();
        let fault = choose(&parts, &wanted).err()?;
        Some(s3s::S3Error::from(fault).code().clone())
    }

    #[test]
    fn parts_are_named_in_order_and_only_the_last_may_be_small() {
        assert_eq!(refusal(&[1, 3]), None);
        assert_eq!(refusal(&[1, 2]), None);
        assert_eq!(refusal(&[1, 2, 3]), Some(S3ErrorCode::EntityTooSmall));
        assert_eq!(refusal(&[3, 1]), Some(S3ErrorCode::InvalidPartOrder));
        assert_eq!(refusal(&[1, 1]), Some(S3ErrorCode::InvalidPartOrder));
        assert_eq!(refusal(&[1, 4]), Some(S3ErrorCode::InvalidPart));
        assert_eq!(refusal(&[]), Some(S3ErrorCode::MalformedXML));
    }
}
