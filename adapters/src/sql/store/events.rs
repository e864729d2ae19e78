//! The event log.

use lobar_core::event::{Event, Seq};
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use sqlx::Transaction;
use uuid::Uuid;

use super::super::{BATCH, Db, Driver, Fault, Sql};
use super::row::state;
use super::rows;

/// One row of the log.
#[derive(sqlx::FromRow)]
pub struct EventRow {
    seq: i64,
    image: Uuid,
    state: String,
    at: i64,
}

/// Appends to the log. It must be the last thing that a transaction does: a lock may be held from
/// here to its end.
pub(super) async fn record<D: Driver>(
    tx: &mut Transaction<'static, D>,
    events: &[(ImageId, State)],
    at: Stamp,
) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    if let Some(lock) = D::LOCK_EVENTS {
        Sql::<D>::new(lock).run(tx).await?;
    }
    for batch in events.chunks(BATCH) {
        let mut sql = Sql::<D>::new("insert into event (image, state, at) values ");
        sql.rows(batch.iter().map(|(image, state)| (image.0, state.as_str(), at.0)));
        sql.run(tx).await?;
    }
    Ok(())
}

pub(super) async fn after<D: Driver>(
    db: &Db<D>,
    seq: Seq,
    limit: usize,
) -> Result<Vec<Event>, Fault> {
    let found: Vec<EventRow> = Sql::<D>::new(
        "select seq, image, state, at from event where seq > $1 order by seq limit $2",
    )
    .bind(seq.0)
    .bind(rows(limit))
    .all(&mut *db.reader().await?)
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Event {
                seq: Seq(row.seq),
                image: ImageId(row.image),
                state: state::<D>(&row.state)?,
                at: Stamp(row.at),
            })
        })
        .collect()
}

pub(super) async fn first<D: Driver>(db: &Db<D>) -> Result<Option<Seq>, Fault> {
    let first: Option<(i64,)> = Sql::<D>::new("select seq from event order by seq limit 1")
        .optional(&mut *db.reader().await?)
        .await?;
    Ok(first.map(|(seq,)| Seq(seq)))
}
