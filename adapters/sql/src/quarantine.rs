//! The quarantine: rows that ingest adds and an operator decides on.

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::quarantine::{
    Entry, EntryId, EntryState, KeptMessage, Quarantine, QuarantineError,
};
use lobar_core::time::Stamp;

use super::column::Column;
use super::{Db, DbError, Driver, Sql};

/// A row of `quarantine`, without its body.
#[derive(sqlx::FromRow)]
pub struct EntryRow {
    id: i64,
    source: String,
    reason: String,
    state: Column<String>,
    at: i64,
    bytes: i64,
    changed_at: Option<i64>,
    changed_by: Option<String>,
}

/// The same with its body.
#[derive(sqlx::FromRow)]
pub struct KeptRow {
    #[sqlx(flatten)]
    entry: EntryRow,
    body: Vec<u8>,
}

impl EntryRow {
    fn entry(self) -> Entry {
        let changed_by = self.changed_by.unwrap_or_default();
        Entry {
            id: EntryId(self.id),
            source: self.source,
            reason: self.reason,
            state: match self.state {
                Column::Read(word) => EntryState::parse(&word),
                Column::Unreadable => EntryState::Unreadable,
            },
            at: Stamp(self.at),
            bytes: u64::try_from(self.bytes).unwrap_or(0),
            changed: self.changed_at.map(|at| (Stamp(at), changed_by)),
        }
    }
}

#[async_trait]
impl<D: Driver> Quarantine for Db<D> {
    async fn list(
        &self,
        all: bool,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>, PortError> {
        let mut page = Sql::<D>::new(
            "select id, source, reason, state, at, cast(length(body) as bigint) as bytes, changed_at,
               changed_by
             from quarantine where id < ",
        );
        page.arg(before.map_or(i64::MAX, |before| before.0));
        if !all {
            page.push(" and state not in ('replayed', 'discarded')");
        }
        page.push(" order by id desc limit ").arg(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.fetch_all::<EntryRow>(page).await;
        let rows = rows.map_err(|fault| fault.during("quarantine: list"))?;
        Ok(rows.into_iter().map(EntryRow::entry).collect())
    }

    async fn entry(&self, id: EntryId) -> Result<Option<KeptMessage>, PortError> {
        let one = Sql::<D>::new(
            "select id, source, reason, state, at, cast(length(body) as bigint) as bytes, changed_at,
               changed_by, body
             from quarantine where id = $1",
        );
        let rows = self.fetch_all::<KeptRow>(one.bind(id.0)).await;
        let rows = rows.map_err(|fault| fault.during("quarantine: entry"))?;
        let kept = |row: KeptRow| KeptMessage { entry: row.entry.entry(), body: row.body };
        Ok(rows.into_iter().next().map(kept))
    }

    async fn waiting(&self) -> Result<Vec<(String, u64)>, PortError> {
        let counted = self.fetch_all::<(String, i64)>(Sql::<D>::new(
            "select reason, count(*) from quarantine where state = 'waiting' group by reason
             order by reason",
        ));
        let counted = counted.await.map_err(|fault| fault.during("quarantine: waiting"))?;
        let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
        Ok(counted.into_iter().map(|(reason, rows)| (reason, count(rows))).collect())
    }

    async fn mark_replayed(&self, id: EntryId, by: &str) -> Result<Entry, QuarantineError> {
        let mark = |now: Stamp| {
            Sql::<D>::new(
                "update quarantine set state = 'replayed', changed_at = $1, changed_by = $2
                 where id = $3 and state in ('waiting', 'replayed')
                 returning id, source, reason, state, at, cast(length(body) as bigint) as bytes,
                   changed_at, changed_by",
            )
            .bind(now.0)
            .bind(by)
            .bind(id.0)
        };
        let marked = self.execute::<EntryRow>(mark).await;
        changed(self, id, marked, "quarantine: mark replayed").await
    }

    async fn discard(&self, id: EntryId, by: &str) -> Result<Entry, QuarantineError> {
        let discard = |now: Stamp| {
            Sql::<D>::new(
                "update quarantine set state = 'discarded', changed_at = $1, changed_by = $2, body = $3
                 where id = $4 and state in ('waiting', 'replayed')
                 returning id, source, reason, state, at, cast(length(body) as bigint) as bytes,
                   changed_at, changed_by",
            )
            .bind(now.0)
            .bind(by)
            .bind(&b""[..])
            .bind(id.0)
        };
        let discarded = self.execute::<EntryRow>(discard).await;
        changed(self, id, discarded, "quarantine: discard").await
    }
}

/// The entry after its change, or why there was none.
async fn changed<D: Driver>(
    db: &Db<D>,
    id: EntryId,
    rows: Result<Vec<EntryRow>, DbError>,
    during: &'static str,
) -> Result<Entry, QuarantineError> {
    let rows = rows.map_err(|fault| fault.during(during))?;
    match rows.into_iter().next() {
        Some(row) => Ok(row.entry()),
        None => Err(match db.entry(id).await? {
            Some(kept) if kept.entry.state == EntryState::Unreadable => {
                QuarantineError::Unreadable(id)
            }
            Some(_) => QuarantineError::Discarded(id),
            None => QuarantineError::Unknown(id),
        }),
    }
}
