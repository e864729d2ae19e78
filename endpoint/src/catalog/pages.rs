//! Listings: pages of keys in byte order, with keys that share a prefix up to a delimiter rolled up.

use sqlx::FromRow as _;
use sqlx::sqlite::SqliteRow;

use super::versions::Stored;
use super::{Catalog, Upload};
use crate::fault::EndpointFault;
use crate::listing::{Keyed, Page, Scan};

/// How many rows are read at a time.
const BATCH: i64 = 500;

/// What a listing lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// The latest version of each key, delete markers left out.
    Objects,
    /// All versions and markers, the newest of a key first.
    Versions,
}

impl Keyed for Stored {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Keyed for Upload {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Catalog {
    /// One page of a bucket's objects or versions. `after` goes on behind that version of the key
    /// at which the scan starts.
    pub(crate) async fn page(
        &self,
        bucket: &str,
        listed: Listed,
        scan: &Scan,
        after: Option<i64>,
    ) -> Result<Page<Stored>, EndpointFault> {
        const OBJECTS: &str = "select * from version
            where bucket = ?1 and key >= ?2 and latest = 1 and marker = 0
            order by key limit ?4";
        const VERSIONS: &str = "select * from version
            where bucket = ?1 and key >= ?2 and not (key = ?2 and seq >= ?3)
            order by key, seq desc limit ?4";
        self.bucket(bucket).await?;
        let mut builder = scan.begin();
        let (mut from, mut below) = (builder.from().to_vec(), after.unwrap_or(i64::MAX));
        loop {
            let sql = if listed == Listed::Objects { OBJECTS } else { VERSIONS };
            let rows: Vec<SqliteRow> = sqlx::query(sql)
                .bind(bucket)
                .bind(&from)
                .bind(below)
                .bind(BATCH)
                .fetch_all(&self.readers)
                .await?;
            let last_batch = i64::try_from(rows.len()).unwrap_or(BATCH) < BATCH;
            let mut last = None;
            for row in &rows {
                let stored = Stored::from_row(row)?;
                last = Some((stored.key.clone(), stored.seq));
                if !builder.add(stored) {
                    return Ok(builder.finish());
                }
            }
            let Some((key, seq)) = last.filter(|_| !last_batch) else {
                return Ok(builder.finish());
            };
            (from, below) = match builder.skip_to() {
                Some(bound) => (bound, i64::MAX),
                None if listed == Listed::Objects => ([&key[..], &[0]].concat(), i64::MAX),
                None => (key, seq),
            };
        }
    }

    /// The order of a version among those of its key, to go on behind it.
    pub(crate) async fn place_of(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<Option<i64>, EndpointFault> {
        let (_, found) = self.find(bucket, key, Some(version)).await?;
        Ok(found.map(|(stored, _)| stored.seq))
    }

    /// One page of the uploads under way, by key and id. `after` goes on behind that upload of the
    /// key at which the scan starts.
    pub(crate) async fn uploads(
        &self,
        bucket: &str,
        scan: &Scan,
        after: &str,
    ) -> Result<Page<Upload>, EndpointFault> {
        self.bucket(bucket).await?;
        let mut builder = scan.begin();
        let (mut from, mut above) = (builder.from().to_vec(), after.to_owned());
        loop {
            let rows: Vec<Upload> = sqlx::query_as(
                "select * from upload
                 where bucket = ?1 and key >= ?2 and not (key = ?2 and id <= ?3)
                 order by key, id limit ?4",
            )
            .bind(bucket)
            .bind(&from)
            .bind(&above)
            .bind(BATCH)
            .fetch_all(&self.readers)
            .await?;
            let last_batch = i64::try_from(rows.len()).unwrap_or(BATCH) < BATCH;
            let last = rows.last().map(|row| (row.key.clone(), row.id.clone()));
            for row in rows {
                if !builder.add(row) {
                    return Ok(builder.finish());
                }
            }
            let Some((key, id)) = last.filter(|_| !last_batch) else {
                return Ok(builder.finish());
            };
            (from, above) = match builder.skip_to() {
                Some(bound) => (bound, String::new()),
                None => (key, id),
            };
        }
    }
}
