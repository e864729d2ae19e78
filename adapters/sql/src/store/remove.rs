//! Deletion of objects.

use std::collections::BTreeSet;

use lobar_core::image::State;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, Db, DbError, Driver, Sql, studies};
use super::admit::{groups, is_current};
use super::changes::{Changes, Kind};
use super::plan::{key_id, sequence};
use super::row::state;
use super::twins::queue_twins;

pub(super) async fn remove<D: Driver>(
    db: &Db<D>,
    object: &ObjectVersion,
) -> Result<Vec<ImageId>, DbError> {
    let whole_key = object.version.is_none() && object.etag.is_none();
    let target = if whole_key { key_id(object) } else { object.id() };
    let sequence = sequence(object);
    let mut held = groups(std::iter::once(object));
    held.insert(studies::LOCK);
    let mut tx = db.begin_on(&held).await?;
    let now = db.now();

    // Without an order, what comes after the deletion of a key is a new upload, not a late one.
    if !whole_key || sequence.is_some() {
        remember(&mut tx, target, sequence.clone(), now.0).await?;
    }
    let mut sql = Sql::<D>::new("select id, state, flag, lane, site from image where ");
    sql.push(if whole_key { "key_id = " } else { "id = " }).arg(target.0);
    sql.push(" and state <> 'removed'");
    // A version that was put after the deletion stays. A version id never comes back.
    if sequence.is_some() && object.version.is_none() {
        sql.push(" and (sequence is null or sequence <= ").arg(sequence).push(")");
    }
    sql.push(D::LOCK_ROWS);
    let (mut removed, mut stood) = (Vec::new(), Vec::new());
    let mut changes = Changes::default();
    for (id, was, flag, lane, site) in
        sql.all::<(Uuid, String, String, String, Option<String>)>(&mut tx).await?
    {
        let kind = Kind::new(site, lane);
        let (from, to) = ((state(&was), &*flag), (State::Removed, &*flag));
        changes.moved(ImageId(id), kind, from, to);
        removed.push(ImageId(id));
        if is_current(from.0) {
            stood.push(ImageId(id));
        }
    }
    mark(&mut tx, &removed, now).await?;
    queue_twins(&mut tx, &stood, &BTreeSet::new(), now, &mut changes).await?;
    forget_persons(&mut tx, &removed).await?;
    changes.record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(removed)
}

async fn mark<D: Driver>(tx: &mut Tx<D>, removed: &[ImageId], now: Stamp) -> Result<(), DbError> {
    for batch in removed.chunks(BATCH) {
        let mut sql = Sql::<D>::new(
            "update image set state = 'removed', fence = fence + 1, touched_at = $1,
               finished_at = coalesce(finished_at, $1)
             where id in (",
        )
        .bind(now.0);
        sql.list(batch.iter().map(|id| id.0)).push(")");
        sql.run(tx).await?;
    }
    Ok(())
}

/// What readers said of an image goes with it: their names and words may be personal. What they met of its answer does,
/// too, who had it open, and whose image it is. Only in a transaction that holds [`studies::LOCK`].
pub(super) async fn forget_persons<D: Driver>(
    tx: &mut Tx<D>,
    removed: &[ImageId],
) -> Result<(), DbError> {
    for batch in removed.chunks(BATCH) {
        for table in ["verdict", "first_opinion", "exposure", "reading_claim"] {
            let mut sql = Sql::<D>::new("delete from ");
            sql.push(table).push(" where image in (");
            sql.list(batch.iter().map(|id| id.0)).push(")");
            sql.run(tx).await?;
        }
    }
    studies::forget(tx, removed).await
}

/// Keeps the deletion for uploads whose notification comes later.
async fn remember<D: Driver>(
    tx: &mut Tx<D>,
    target: ImageId,
    sequence: Option<String>,
    now: i64,
) -> Result<(), DbError> {
    Sql::<D>::new(
        "insert into removal (target, sequence, removed_at) values ($1, $2, $3)
         on conflict (target) do update
         set sequence = excluded.sequence, removed_at = excluded.removed_at
         where removal.sequence < excluded.sequence",
    )
    .bind(target.0)
    .bind(sequence)
    .bind(now)
    .run(tx)
    .await?;
    Ok(())
}
