//! The sweeper's question: what has stayed unfinished too long?

use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};
use super::row::lane;
use super::rows;

pub(super) async fn sweep<D: Driver>(
    db: &Db<D>,
    older_than: Duration,
    limit: usize,
) -> Result<Vec<(ImageId, Lane)>, DbError> {
    let sweep = |now: Stamp| {
        let mut sql = Sql::<D>::new(
            "with stale as materialized (
               select id from image where finished_at is null and touched_at <= $1
               order by touched_at limit $2",
        );
        sql.push(D::SKIP_LOCKED).push(
            ") update image set touched_at = $3 where id in (select id from stale)
               returning id, lane",
        );
        sql.bind(now.minus(older_than).0).bind(rows(limit)).bind(now.0)
    };
    let found: Vec<(Uuid, String)> = match db.execute(sweep).await {
        // One image that cannot be marked must not keep the others from their jobs.
        Err(fault) if !fault.is_transient() => one_by_one(db, older_than, limit, fault).await?,
        found => found?,
    };
    Ok(found.into_iter().map(|(id, word)| (ImageId(id), lane(&word))).collect())
}

/// Marks each image in a statement of its own, and leaves out those that are rejected. The rejection is
/// answered where there is nothing else.
async fn one_by_one<D: Driver>(
    db: &Db<D>,
    older_than: Duration,
    limit: usize,
    rejection: DbError,
) -> Result<Vec<(Uuid, String)>, DbError> {
    let stale = Sql::<D>::new(
        "select id from image where finished_at is null and touched_at <= $1 order by touched_at limit $2",
    );
    let stale = stale.bind(db.now().minus(older_than).0).bind(rows(limit));
    let stale: Vec<(Uuid,)> = db.fetch_all(stale).await?;
    let (mut marked, mut rejection) = (Vec::new(), Some(rejection));
    for (id,) in stale {
        let mark = |now: Stamp| {
            let sql = Sql::<D>::new(
                "update image set touched_at = $1 where id = $2 and finished_at is null
                 returning id, lane",
            );
            sql.bind(now.0).bind(id)
        };
        match db.execute(mark).await {
            Ok(rows) => {
                marked.extend(rows);
                rejection = None;
            }
            Err(fault) if fault.is_transient() => return Err(fault),
            Err(_) => {}
        }
    }
    rejection.map_or(Ok(marked), Err)
}
