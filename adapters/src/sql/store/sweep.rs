//! The sweeper's question: what has stayed unfinished too long?

use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, Driver, Fault, Sql};
use super::row::lane;
use super::rows;

pub(super) async fn sweep<D: Driver>(
    db: &Db<D>,
    older_than: Duration,
    limit: usize,
) -> Result<Vec<(ImageId, Lane)>, Fault> {
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
    let found: Vec<(Uuid, String)> = db.tell(sweep).await?;
    Ok(found.into_iter().map(|(id, word)| (ImageId(id), lane(&word))).collect())
}
