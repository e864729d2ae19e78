//! Deleting what is old, a batch at a time.
//!
//! The row of `retention` is locked for the length of a batch: who finds it locked leaves the work to the other.

use std::time::Duration;

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::store::Retained;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, Db, DbError, Driver, Sql, audit, batches, exposure, studies};
use super::changes::{Changes, Kind};
use super::events::EventRow;
use super::remove::forget_persons;
use super::row::state;
use super::rows;

/// What an image says whose result was deleted.
const DETAIL: &str = "Its result was deleted when the time for which results are kept was over.";

/// Ended images with a result, and removed ones that still have one: as ranges of the index `image_by_state`, and the
/// same in words that no index has, for rows that were found by their ids.
const WITH_RESULT: [(&str, &str); 2] = [
    (
        "state in ('ready', 'needs_human', 'failed', 'superseded') and flag in ('none', 'no', 'yes')",
        "state || '' in ('ready', 'needs_human', 'failed', 'superseded')",
    ),
    (
        "state = 'removed' and flag in ('no', 'yes')",
        "state || '' = 'removed' and flag || '' in ('no', 'yes')",
    ),
];

pub(super) async fn prune<D: Driver>(
    db: &Db<D>,
    what: Retained,
    older_than: Duration,
    limit: usize,
) -> Result<usize, DbError> {
    let mut tx = match what {
        Retained::Results => studies::begin(db).await?,
        Retained::Events | Retained::Quarantine | Retained::Audit | Retained::Exposure => {
            db.begin().await?
        }
    };
    let now = db.now();
    let before = now.minus(older_than);
    let pruned = match what {
        Retained::Events if alone(&mut tx, what).await? => events(&mut tx, before, limit).await?,
        Retained::Quarantine if alone(&mut tx, what).await? => {
            quarantine(&mut tx, before, limit).await?
        }
        Retained::Results if alone(&mut tx, what).await? => {
            results(&mut tx, before, now, limit).await?
        }
        Retained::Events | Retained::Quarantine | Retained::Results => 0,
        // It has a row of its own to lock.
        Retained::Audit => audit::prune(&mut tx, before, now, limit).await?,
        Retained::Exposure => exposure::prune(&mut tx, before, limit).await?,
    };
    tx.commit().await?;
    Ok(pruned)
}

/// Whether nobody else prunes this; if so, nobody will until the transaction ends.
async fn alone<D: Driver>(tx: &mut Tx<D>, what: Retained) -> Result<bool, DbError> {
    let mut turn = Sql::<D>::new("select up_to from retention where kind = ");
    turn.arg(what.as_str()).push(D::SKIP_LOCKED);
    Ok(turn.optional::<(i64,)>(tx).await?.is_some())
}

/// From the oldest on, without a gap, so that one number says what is gone. The newest stays: it says where the log is.
async fn events<D: Driver>(tx: &mut Tx<D>, before: Stamp, limit: usize) -> Result<usize, DbError> {
    let oldest = Sql::<D>::new(
        "select seq, image, state, at, verdict, trace from event order by seq limit $1",
    );
    let oldest: Vec<EventRow> = oldest.bind(rows(limit.saturating_add(1))).all(tx).await?;
    let but_one = oldest.len().saturating_sub(1);
    let old = oldest.into_iter().take(but_one).map(EventRow::event);
    let old: Vec<_> = old.take_while(|event| event.at < before).collect();
    let Some(last) = old.last() else { return Ok(0) };
    Sql::<D>::new("delete from event where seq <= $1").bind(last.seq.0).run(tx).await?;
    let note = Sql::<D>::new("update retention set up_to = $1 where kind = 'events'");
    note.bind(last.position().number()).run(tx).await?;
    Ok(old.len())
}

/// Only what somebody decided on.
async fn quarantine<D: Driver>(
    tx: &mut Tx<D>,
    before: Stamp,
    limit: usize,
) -> Result<usize, DbError> {
    let delete = Sql::<D>::new(
        "delete from quarantine where id in (
           select id from quarantine where state in ('replayed', 'discarded') and changed_at < $1
           order by id limit $2)",
    );
    let deleted = delete.bind(before.0).bind(rows(limit)).run(tx).await?;
    Ok(usize::try_from(deleted).unwrap_or(limit))
}

fn old_results<D: Driver>(
    (range, still): (&'static str, &'static str),
    before: Stamp,
    limit: usize,
) -> Sql<D> {
    let mut sql = Sql::<D>::new(
        "select id, state, flag, lane, site from image where id in (select id from image where ",
    );
    sql.push(range).push(" and received_at < ").arg(before.0);
    sql.push(" limit ").arg(rows(limit));
    // Again, of the rows as they are once they are locked.
    sql.push(") and ").push(still).push(D::LOCK_ROWS);
    sql
}

async fn results<D: Driver>(
    tx: &mut Tx<D>,
    before: Stamp,
    now: Stamp,
    limit: usize,
) -> Result<usize, DbError> {
    let (mut pruned, mut changes) = (Vec::new(), Changes::default());
    for with_result in WITH_RESULT {
        let sql = old_results::<D>(with_result, before, limit - pruned.len());
        for (id, was, flag, lane, site) in
            sql.all::<(Uuid, String, String, String, Option<String>)>(tx).await?
        {
            let (id, kind) = (ImageId(id), Kind::new(site, lane));
            let (from, to) = ((state(&was), &*flag), (State::Removed, "none"));
            match from.0 {
                State::Removed => changes.recounted(kind, from, to),
                _ => changes.moved(id, kind, from, to),
            }
            pruned.push(id);
        }
    }
    for batch in pruned.chunks(BATCH) {
        let mut findings = Sql::<D>::new("delete from finding where image in (");
        findings.list(batch.iter().map(|id| id.0)).push(")");
        findings.run(tx).await?;
        let mut images = Sql::<D>::new(
            "update image set state = 'removed', flag = 'none', reason = null, detail = $1,
               fence = fence + 1, touched_at = $2 where id in (",
        )
        .bind(DETAIL)
        .bind(now.0);
        images.list(batch.iter().map(|id| id.0)).push(")");
        images.run(tx).await?;
    }
    forget_persons(tx, &pruned).await?;
    let left = limit.saturating_sub(pruned.len());
    let ended = batches::prune(tx, before, left).await?;
    changes.record(tx, now).await?;
    Ok(pruned.len() + ended)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

    #[tokio::test]
    async fn old_results_are_found_by_index_ranges_only() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        for with_result in WITH_RESULT {
            let sql = old_results::<Sqlite>(with_result, Stamp(7), 10).explained();
            let lines: Vec<(i64, i64, i64, String)> = db.fetch_all(sql).await.expect("a plan");
            let lines: Vec<_> = lines.into_iter().map(|(.., line)| line).collect();
            let of_image = lines.iter().filter(|line| line.contains(" image"));
            let (locked, found): (Vec<_>, Vec<_>) =
                of_image.partition(|line| line.ends_with("(id=?)"));
            let range = |line: &&String| line.ends_with("(state=? AND flag=? AND received_at<?)");
            assert!(locked.len() == 1 && found.len() == 1, "{lines:?}");
            assert!(found.iter().all(range), "{lines:?}");
        }
        db.close().await;
    }
}
