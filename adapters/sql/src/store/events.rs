//! The event log.

use lobar_core::access::SiteName;
use lobar_core::event::{Event, Seq};
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::position::Position;
use lobar_core::store::Resumed;
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
    /// Of its image, be it erased. Missing where only the position is asked for.
    #[sqlx(default)]
    site: Option<String>,
}

pub(super) async fn after<D: Driver>(
    db: &Db<D>,
    seq: Seq,
    limit: usize,
) -> Result<Vec<Event>, DbError> {
    from(db, Seq(seq.0.saturating_add(1)), limit).await
}

/// Those of one image.
pub(super) async fn of<D: Driver>(
    db: &Db<D>,
    image: ImageId,
    limit: usize,
) -> Result<Vec<Event>, DbError> {
    let wanted = Sql::<D>::new(
        "select seq, image, state, at, verdict, trace,
           coalesce((select site from image where image.id = event.image),
             (select site from erasure where erasure.image = event.image)) as site
         from event where image = $1 order by seq limit $2",
    );
    read(db, wanted.bind(image.0).bind(rows(limit))).await
}

/// One statement reads the event of the position and those behind it, so it sees all of them or not that one. Where it
/// saw none of that number, how far was pruned is asked afterwards: if that is no further than the position, nothing
/// behind the position was gone when it read.
pub(super) async fn resume<D: Driver>(
    db: &Db<D>,
    position: Position,
    limit: usize,
) -> Result<Resumed, DbError> {
    let mut found = from(db, position.seq(), limit.saturating_add(1)).await?;
    if found.first().is_some_and(|first| first.seq == position.seq()) {
        let itself = found.remove(0);
        return match position.is_after(&itself) {
            true => Ok(Resumed::Joined(found)),
            false => Ok(Resumed::Unknown { newest: newest(db).await? }),
        };
    }
    let pruned = pruned(db).await?;
    let bare = !position.is_checked() && position.seq() == pruned.seq();
    if position == pruned || bare {
        found.truncate(limit);
        Ok(Resumed::Joined(found))
    } else if position.seq() <= pruned.seq() {
        Ok(Resumed::Pruned { after: pruned })
    } else {
        Ok(Resumed::Unknown { newest: newest(db).await? })
    }
}

/// The position after the newest event, or where the kept events would begin if there were any.
pub(super) async fn newest<D: Driver>(db: &Db<D>) -> Result<Position, DbError> {
    let newest = Sql::<D>::new(
        "select seq, image, state, at, verdict, trace from event order by seq desc limit 1",
    );
    match read(db, newest).await?.first() {
        Some(event) => Ok(event.position()),
        None => pruned(db).await,
    }
}

/// The position after the newest event that was pruned.
async fn pruned<D: Driver>(db: &Db<D>) -> Result<Position, DbError> {
    let up_to = Sql::<D>::new("select up_to from retention where kind = 'events'");
    let found: Vec<(i64,)> = db.fetch_all(up_to).await?;
    Ok(Position::from_number(found.first().map_or(0, |(up_to,)| *up_to)))
}

/// The site is asked for row by row, which leaves the planner no choice but the image's key: of a join it would think
/// that a whole table is to be joined, since it does not know the limit.
async fn from<D: Driver>(db: &Db<D>, seq: Seq, limit: usize) -> Result<Vec<Event>, DbError> {
    let wanted = Sql::<D>::new(
        "select seq, image, state, at, verdict, trace,
           coalesce((select site from image where image.id = event.image),
             (select site from erasure where erasure.image = event.image)) as site
         from event where seq >= $1 order by seq limit $2",
    );
    read(db, wanted.bind(seq.0).bind(rows(limit))).await
}

async fn read<D: Driver>(db: &Db<D>, wanted: Sql<D>) -> Result<Vec<Event>, DbError> {
    let found: Vec<EventRow> = db.fetch_all(wanted).await?;
    let event = |row: EventRow| {
        if State::parse(&row.state).is_none() {
            db.unreadable().tell("event.state", row.seq);
        }
        row.event()
    };
    Ok(found.into_iter().map(event).collect())
}

impl EventRow {
    pub(super) fn event(self) -> Event {
        Event {
            seq: Seq(self.seq),
            image: ImageId(self.image),
            // What an earlier release took for a site and no release would now is not known.
            site: self.site.as_deref().and_then(SiteName::parse),
            state: state(&self.state),
            at: Stamp(self.at),
            verdict: self.verdict != 0,
            trace: self.trace.as_deref().and_then(TraceContext::parse),
        }
    }
}
