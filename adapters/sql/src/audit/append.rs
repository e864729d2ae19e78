//! Adding entries: in the turn of the events, so that there is one order of everything that is recorded.

use lobar_core::audit::{Checkpoint, Entry, NewEntry};
use lobar_core::time::Stamp;

use super::super::tx::Tx;
use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::row::{checkpoint, whole};

pub(super) async fn append<D: Driver>(db: &Db<D>, entries: &[NewEntry]) -> Result<(), DbError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    turn(&mut tx).await?;
    write(&mut tx, db.now(), entries).await?;
    tx.commit().await
}

/// Waits until every transaction that numbered events or entries has ended; others wait from here to the end of this one.
pub(in super::super) async fn turn<D: Driver>(tx: &mut Tx<D>) -> Result<(), DbError> {
    let mut turn = Sql::<D>::new("select one.n from (select cast(1 as bigint) as n) as one");
    turn.push(D::EVENT_LOCK);
    turn.all::<(i64,)>(tx).await.map(drop)
}

/// Adds entries behind the newest. Only in the turn of this transaction: after [`turn`], or after it wrote events.
pub(in super::super) async fn write<D: Driver>(
    tx: &mut Tx<D>,
    at: Stamp,
    entries: &[NewEntry],
) -> Result<(), DbError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut last = newest::<D>().optional(tx).await?.map_or(Checkpoint::START, checkpoint);
    for batch in entries.chunks(BATCH) {
        let sealed: Vec<Entry> = batch
            .iter()
            .map(|new| {
                let entry = new.seal(last, at);
                last = entry.checkpoint();
                entry
            })
            .collect();
        insert(tx, &sealed).await?;
    }
    Ok(())
}

/// The newest entry's number and hash.
pub(super) fn newest<D: Driver>() -> Sql<D> {
    Sql::new("select number, hash from audit order by number desc limit 1")
}

async fn insert<D: Driver>(tx: &mut Tx<D>, entries: &[Entry]) -> Result<(), DbError> {
    let mut sql = Sql::<D>::new(
        "insert into audit (number, v, at, action, actor_kind, actor_id, actor, role, image, site,
           subject, detail, request, previous, hash) values ",
    );
    sql.rows(entries.iter().map(|entry| {
        (
            whole(entry.number),
            i64::from(entry.v),
            entry.at.0,
            entry.action.as_str(),
            entry.actor_kind.as_str(),
            entry.actor_id,
            entry.actor.as_str(),
            entry.role.clone(),
            entry.image,
            entry.site.clone(),
            entry.subject,
            entry.detail.as_str(),
            entry.request.clone(),
            &entry.previous.0[..],
            &entry.hash.0[..],
        )
    }));
    sql.run(tx).await.map(drop)
}
