//! Images whose object is current again, found by a look into the bucket: no notification told of it.

use std::collections::BTreeSet;

use lobar_core::image::State;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql, studies};
use super::admit::{groups, is_current, queue_again};
use super::changes::{Changes, Kind};
use super::plan::key_id;
use super::row::state;
use super::twins::queue_twins;

pub(super) async fn restore<D: Driver>(
    db: &Db<D>,
    object: &ObjectVersion,
    unchanged_since: Stamp,
) -> Result<bool, DbError> {
    let id = object.id();
    let mut tx = db.begin_on(&groups(std::iter::once(object))).await?;
    let now = db.now();
    let mut sql = Sql::<D>::new(
        "select id, state, flag, lane, site from image where key_id = $1 and not exists (
           select 1 from image changed where changed.key_id = $1 and changed.touched_at > $2
         )",
    )
    .bind(key_id(object).0)
    .bind(unchanged_since.0);
    sql.push(D::LOCK_ROWS);
    let of_key = sql.all::<(Uuid, String, String, String, Option<String>)>(&mut tx).await?;
    if !of_key.iter().any(|one| one.0 == id.0 && !is_current(state(&one.1))) {
        return Ok(false);
    }
    if studies::is_duplicate(&mut tx, id).await? {
        return Ok(false);
    }
    let (mut changes, mut stood) = (Changes::default(), Vec::new());
    for (one, was, flag, lane, site) in of_key {
        let from = (state(&was), &*flag);
        let kind = Kind::new(site, lane);
        if one == id.0 {
            queue_again(&mut tx, id, now).await?;
            changes.moved(id, kind, from, (State::Queued, "none"));
        } else if is_current(from.0) {
            Sql::<D>::new(
                "update image set state = 'superseded', fence = fence + 1, touched_at = $1,
                   finished_at = coalesce(finished_at, $1)
                 where id = $2",
            )
            .bind(now.0)
            .bind(one)
            .run(&mut tx)
            .await?;
            changes.moved(ImageId(one), kind, from, (State::Superseded, &*flag));
            stood.push(ImageId(one));
        }
    }
    queue_twins(&mut tx, &stood, &BTreeSet::new(), now, &mut changes).await?;
    // Its deletion, if one was told of, was not the last word.
    Sql::<D>::new("delete from removal where target = $1").bind(id.0).run(&mut tx).await?;
    changes.record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(true)
}
