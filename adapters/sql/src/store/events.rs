//! The event log.

use lobar_core::event::{Event, Seq};
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};
use super::row::state;
use super::rows;

/// One row of the log.
#[derive(sqlx::FromRow)]
pub struct EventRow {
    seq: i64,
    image: Uuid,
    state: String,
    at: i64,
    verdict: i64,
    trace: Option<String>,
}

pub(super) async fn after<D: Driver>(
    db: &Db<D>,
    seq: Seq,
    limit: usize,
) -> Result<Vec<Event>, DbError> {
    let wanted = Sql::<D>::new(
        "select seq, image, state, at, verdict, trace from event
         where seq > $1 order by seq limit $2",
    );
    let found: Vec<EventRow> = db.fetch_all(wanted.bind(seq.0).bind(rows(limit))).await?;
    let event = |row: EventRow| {
        if State::parse(&row.state).is_none() {
            db.unreadable().tell("event.state", row.seq);
        }
        Event {
            seq: Seq(row.seq),
            image: ImageId(row.image),
            state: state(&row.state),
            at: Stamp(row.at),
            verdict: row.verdict != 0,
            trace: row.trace.as_deref().and_then(TraceContext::parse),
        }
    };
    Ok(found.into_iter().map(event).collect())
}

pub(super) async fn first<D: Driver>(db: &Db<D>) -> Result<Option<Seq>, DbError> {
    let first = Sql::<D>::new("select seq from event order by seq limit 1");
    let found: Vec<(i64,)> = db.fetch_all(first).await?;
    Ok(found.first().map(|(seq,)| Seq(*seq)))
}
