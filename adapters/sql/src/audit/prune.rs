//! Deleting the oldest entries, and an entry that says so.

use lobar_core::audit::{Action, Actor, Checkpoint, NewEntry};
use lobar_core::time::Stamp;

use super::super::tx::Tx;
use super::super::{DbError, Driver, Sql};
use super::append::{turn, write};
use super::row::{checkpoint, whole};

/// Deletes up to `limit` entries from before, without a gap and never the newest; answers how many. The entry that says
/// so has the number and the hash of the last that went, which is what the oldest that is kept continues.
pub(in super::super) async fn prune<D: Driver>(
    tx: &mut Tx<D>,
    before: Stamp,
    now: Stamp,
    limit: usize,
) -> Result<usize, DbError> {
    let mut alone = Sql::<D>::new("select up_to from audit_pruned");
    alone.push(D::SKIP_LOCKED);
    if alone.optional::<(i64,)>(tx).await?.is_none() {
        return Ok(0);
    }
    let limit_and_one = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let oldest = Sql::<D>::new("select number, at from audit order by number limit $1");
    let oldest: Vec<(i64, i64)> = oldest.bind(limit_and_one).all(tx).await?;
    let but_one = oldest.len().saturating_sub(1);
    let old = oldest.into_iter().take(but_one).take_while(|(_, at)| *at < before.0);
    let old: Vec<i64> = old.map(|(number, _)| number).collect();
    let Some(last) = old.last().copied() else { return Ok(0) };

    let hash = Sql::<D>::new("select number, hash from audit where number = $1").bind(last);
    let gone: Checkpoint = checkpoint(hash.one(tx).await?);
    // First, since nothing above it can be deleted.
    let note = Sql::<D>::new("update audit_pruned set up_to = $1").bind(whole(gone.number));
    note.run(tx).await?;
    Sql::<D>::new("delete from audit where number <= $1").bind(last).run(tx).await?;
    let mut pruned = NewEntry::new(Action::Pruned, Actor::system());
    pruned.detail = serde_json::json!(gone);
    turn(tx).await?;
    write(tx, now, &[pruned]).await?;
    Ok(old.len())
}
