//! Batches end with the results of their images.

use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::store::rows;
use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql};

/// Deletes up to `limit` batches to which nothing was added since; answers how many.
pub(in super::super) async fn prune<D: Driver>(
    tx: &mut Tx<D>,
    before: Stamp,
    limit: usize,
) -> Result<usize, DbError> {
    let mut old =
        Sql::<D>::new("select id from batch where id in (select id from batch where last_at < ");
    old.arg(before.0).push(" order by last_at limit ").arg(rows(limit));
    // Again, of the rows as they are once they are locked.
    old.push(") and last_at < ").arg(before.0).push(D::LOCK_ROWS);
    let old: Vec<(Uuid,)> = old.all(tx).await?;
    for batch in old.chunks(BATCH) {
        for delete in ["delete from batch_file where batch in (", "delete from batch where id in ("]
        {
            let mut sql = Sql::<D>::new(delete);
            sql.list(batch.iter().map(|(id,)| *id)).push(")");
            sql.run(tx).await?;
        }
    }
    Ok(old.len())
}
