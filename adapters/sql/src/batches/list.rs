//! Reading batches: one, or a page.

use lobar_core::access::{SiteName, Sites};
use lobar_core::batch::{Batch, BatchId, BatchKey, BatchPage, Uploader};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::store::{rows, site_batches};
use super::super::{Db, DbError, Driver, Sql};
use super::count::counts;

/// A row of `batch`.
#[derive(sqlx::FromRow)]
pub struct BatchRow {
    id: Uuid,
    site: Option<String>,
    uploader: Option<Uuid>,
    uploader_name: Option<String>,
    opened_at: i64,
    last_at: i64,
}

const COLUMNS: &str =
    "select id, site, uploader, uploader_name, opened_at, last_at from batch where ";

pub(super) async fn one<D: Driver>(db: &Db<D>, id: BatchId) -> Result<Option<Batch>, DbError> {
    let mut sql = Sql::<D>::new(COLUMNS);
    sql.push("id = ").arg(id.0);
    let found: Vec<BatchRow> = db.fetch_all(sql).await?;
    Ok(counted(db, found).await?.into_iter().next())
}

pub(super) async fn page<D: Driver>(
    db: &Db<D>,
    sites: &Sites,
    after: Option<BatchKey>,
    limit: usize,
) -> Result<BatchPage, DbError> {
    let (mut found, mut total) = (Vec::new(), 0);
    for sites in &site_batches(sites) {
        let page = newest::<D>(sites, after, limit.saturating_add(1));
        found.extend(db.fetch_all::<BatchRow>(page).await?);
        let (batches,): (i64,) = db.fetch_one(how_many::<D>(sites)).await?;
        total += u64::try_from(batches).unwrap_or(0);
    }
    found.sort_unstable_by_key(|row: &BatchRow| std::cmp::Reverse((row.opened_at, row.id)));
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|row| BatchKey { opened_at: Stamp(row.opened_at), id: BatchId(row.id) });
    Ok(BatchPage { items: counted(db, found).await?, next, total })
}

/// Of these sites; of all when there are none.
fn newest<D: Driver>(sites: &[&str], after: Option<BatchKey>, limit: usize) -> Sql<D> {
    // Nothing comes before the end of time.
    let end = BatchKey { opened_at: Stamp(i64::MAX), id: BatchId(Uuid::max()) };
    let after = after.unwrap_or(end);
    let mut sql = Sql::<D>::new(COLUMNS);
    at(&mut sql, sites);
    sql.push("(opened_at, id) < ").rows([(after.opened_at.0, after.id.0)]);
    sql.push(" order by opened_at desc, id desc limit ").arg(rows(limit));
    sql
}

fn how_many<D: Driver>(sites: &[&str]) -> Sql<D> {
    let mut sql = Sql::<D>::new("select count(*) from batch where ");
    at(&mut sql, sites);
    sql.push("true");
    sql
}

fn at<D: Driver>(sql: &mut Sql<D>, sites: &[&str]) {
    if !sites.is_empty() {
        sql.push("site in (").list(sites.iter().copied()).push(") and ");
    }
}

/// Rows with what became of their files.
async fn counted<D: Driver>(db: &Db<D>, found: Vec<BatchRow>) -> Result<Vec<Batch>, DbError> {
    let ids: Vec<BatchId> = found.iter().map(|row| BatchId(row.id)).collect();
    let mut counts = counts(db, &ids).await?;
    let batch = |row: BatchRow| {
        let id = BatchId(row.id);
        let by = row.uploader.zip(row.uploader_name);
        Batch {
            id,
            site: row.site.as_deref().and_then(SiteName::parse),
            by: by.map(|(id, name)| Uploader { id, name }),
            opened_at: Stamp(row.opened_at),
            last_at: Stamp(row.last_at),
            counts: counts.remove(&id).unwrap_or_default(),
        }
    };
    Ok(found.into_iter().map(batch).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::super::count::statement;
    use super::super::retry::failed;
    use super::*;

    #[tokio::test]
    async fn batches_and_their_files_are_found_by_indexes() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let after = Some(BatchKey { opened_at: Stamp(7), id: BatchId(Uuid::nil()) });
        let ids = [BatchId(Uuid::from_u128(1)), BatchId(Uuid::from_u128(2))];
        for sql in [
            newest::<Sqlite>(&[], after, 50),
            newest(&["north"], after, 50),
            newest(&["north", "south"], after, 50),
            how_many(&["north", "south"]),
            statement(&ids),
            failed(ids[0], None, 200),
        ] {
            let plan: Vec<(i64, i64, i64, String)> =
                db.fetch_all(sql.explained()).await.expect("a plan");
            let scans = plan.iter().filter(|(.., line)| line.starts_with("SCAN"));
            assert_eq!(scans.count(), 0, "{plan:?}");
        }
        db.close().await;
    }
}
