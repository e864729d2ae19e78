//! Events that wait to be put on the uploads queue.

use lobar_core::time::Stamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Catalog, WriteTx};
use crate::event::{Event, EventName, Origin};
use crate::fault::EndpointFault;

/// What an event tells of.
pub(super) struct Subject<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a [u8],
    /// `None` in a bucket without versioning.
    pub(super) version: Option<&'a str>,
    pub(super) size: Option<i64>,
    pub(super) etag: Option<&'a str>,
}

impl WriteTx {
    /// Writes an event into the outbox, when the bucket is the watched one. Its id, the sequencer,
    /// is the time in microseconds, pushed on where needed to grow: it keeps growing even when the
    /// database is made anew.
    pub(super) async fn announce(
        &mut self,
        happening: EventName,
        subject: Subject<'_>,
        origin: &Origin,
    ) -> Result<(), EndpointFault> {
        if subject.bucket != self.watched {
            return Ok(());
        }
        let now = self.now;
        sqlx::query(
            "insert into outbox (id, name, bucket, key, version, size, etag, at, peer, request)
             values (max(?1, 1 + coalesce((select seq from sqlite_sequence where name = 'outbox'), 0)),
                     ?2, ?3, ?4, ?5, ?6, ?7, ?1, ?8, ?9)",
        )
        .bind(now.0)
        .bind(happening.as_str())
        .bind(subject.bucket)
        .bind(subject.key)
        .bind(subject.version)
        .bind(subject.size)
        .bind(subject.etag)
        .bind(&origin.peer)
        .bind(&origin.request)
        .execute(self.sql())
        .await?;
        self.tell = true;
        Ok(())
    }
}

impl Catalog {
    /// The oldest waiting events.
    pub(crate) async fn waiting(&self, limit: u32) -> Result<Vec<Event>, EndpointFault> {
        let rows = sqlx::query(
            "select id, name, bucket, key, version, size, etag, at, peer, request
             from outbox order by id limit ?",
        )
        .bind(limit)
        .try_map(|row: SqliteRow| {
            Ok(Event {
                sequencer: row.try_get("id")?,
                name: row.try_get("name")?,
                bucket: row.try_get("bucket")?,
                key: row.try_get("key")?,
                version: row.try_get("version")?,
                size: row.try_get("size")?,
                etag: row.try_get("etag")?,
                at: Stamp(row.try_get("at")?),
                origin: Origin { peer: row.try_get("peer")?, request: row.try_get("request")? },
            })
        })
        .fetch_all(&self.readers)
        .await?;
        Ok(rows)
    }

    /// Forgets events that are durable elsewhere.
    pub(crate) async fn forget(&self, sent: Vec<i64>) -> Result<(), EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                for id in sent {
                    sqlx::query("delete from outbox where id = ?")
                        .bind(id)
                        .execute(change.sql())
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }
}
