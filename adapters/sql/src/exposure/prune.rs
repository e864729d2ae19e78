//! Deleting first opinions that are old, and what readers met that belongs to none that is left.
//!
//! Rows that another process deletes at this moment are passed over, so nobody waits.

use lobar_core::time::Stamp;

use super::super::store::rows;
use super::super::tx::Tx;
use super::super::{DbError, Driver, Sql};

/// Deletes up to `limit` rows from before; answers how many.
pub(in super::super) async fn prune<D: Driver>(
    tx: &mut Tx<D>,
    before: Stamp,
    limit: usize,
) -> Result<usize, DbError> {
    let given = old_opinions::<D>(before, limit).run(tx).await?;
    let given = usize::try_from(given).unwrap_or(limit);
    let met = old_exposures::<D>(before, limit.saturating_sub(given)).run(tx).await?;
    Ok(given.saturating_add(usize::try_from(met).unwrap_or(limit)))
}

fn old_opinions<D: Driver>(before: Stamp, limit: usize) -> Sql<D> {
    let mut sql = Sql::<D>::new(
        "delete from first_opinion where id in (select id from first_opinion where at < ",
    );
    sql.arg(before.0).push(" order by at, id limit ").arg(rows(limit));
    sql.push(D::SKIP_LOCKED).push(")");
    sql
}

fn old_exposures<D: Driver>(before: Stamp, limit: usize) -> Sql<D> {
    let mut sql =
        Sql::<D>::new("delete from exposure where id in (select id from exposure where at < ");
    sql.arg(before.0);
    // Without them a first opinion would look like one that nothing was met before.
    sql.push(
        " and not exists (select 1 from first_opinion
           where first_opinion.image = exposure.image and first_opinion.reader = exposure.reader)
         order by at limit ",
    );
    sql.arg(rows(limit)).push(D::SKIP_LOCKED).push(")");
    sql
}
