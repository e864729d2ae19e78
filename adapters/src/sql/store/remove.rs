//! Deletion of objects.

use lobar_core::image::State;
use lobar_core::object::{ImageId, ObjectVersion};
use sqlx::Transaction;
use uuid::Uuid;

use super::super::{Db, Driver, Fault, Sql};
use super::events::record;
use super::plan::{key_id, sequence};

pub(super) async fn remove<D: Driver>(
    db: &Db<D>,
    object: &ObjectVersion,
) -> Result<Vec<ImageId>, Fault> {
    let whole_key = object.version.is_none() && object.etag.is_none();
    let target = if whole_key { key_id(object) } else { object.id() };
    let sequence = sequence(object);
    let mut tx = db.begin().await?;
    let now = db.now();

    // Without an order, what comes after the deletion of a key is a new upload, not a late one.
    if !whole_key || sequence.is_some() {
        remember(&mut tx, target, sequence.clone(), now.0).await?;
    }
    let mut sql = Sql::<D>::new(
        "update image set state = 'removed', fence = fence + 1, touched_at = $1,
           finished_at = coalesce(finished_at, $1)
         where state <> 'removed' and ",
    )
    .bind(now.0);
    sql.push(if whole_key { "key_id = " } else { "id = " }).arg(target.0);
    // A version that was put after the deletion stays. A version id never comes back.
    if sequence.is_some() && object.version.is_none() {
        sql.push(" and (sequence is null or sequence <= ").arg(sequence).push(")");
    }
    sql.push(" returning id");
    let removed: Vec<(Uuid,)> = sql.all(&mut tx).await?;
    let removed: Vec<ImageId> = removed.into_iter().map(|(id,)| ImageId(id)).collect();

    let events: Vec<_> = removed.iter().map(|id| (*id, State::Removed)).collect();
    record(&mut tx, &events, now).await?;
    db.commit(tx).await?;
    Ok(removed)
}

/// Keeps the deletion for uploads whose notification comes later.
async fn remember<D: Driver>(
    tx: &mut Transaction<'static, D>,
    target: ImageId,
    sequence: Option<String>,
    now: i64,
) -> Result<(), Fault> {
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
