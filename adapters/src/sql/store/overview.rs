//! Figures over everything, and messages put aside.

use lobar_core::event::Seq;
use lobar_core::store::{Overview, Quarantined};
use lobar_core::time::Stamp;

use super::super::{Db, Driver, Fault, Sql};
use super::row::{lane, state};

/// What is unfinished in one lane.
#[derive(sqlx::FromRow)]
pub struct LaneRow {
    lane: String,
    unfinished: i64,
    oldest: i64,
}

pub(super) async fn overview<D: Driver>(db: &Db<D>) -> Result<Overview, Fault> {
    let mut conn = db.reader().await?;
    let mut overview = Overview::default();
    let states = Sql::<D>::new("select state, count(*) from image group by state order by state");
    for (word, images) in states.all::<(String, i64)>(&mut conn).await? {
        overview.by_state.push((state::<D>(&word)?, count(images)));
    }
    let lanes = Sql::<D>::new(
        "select lane, count(*) as unfinished, min(received_at) as oldest from image
         where finished_at is null group by lane",
    );
    for row in lanes.all::<LaneRow>(&mut conn).await? {
        let lane = lane::<D>(&row.lane)?;
        *overview.unfinished.of_mut(lane) = count(row.unfinished);
        *overview.oldest_unfinished.of_mut(lane) = Some(Stamp(row.oldest));
    }
    let (seq,): (i64,) =
        Sql::<D>::new("select coalesce(max(seq), 0) from event").one(&mut conn).await?;
    overview.last_event = Seq(seq);
    Ok(overview)
}

pub(super) async fn quarantine<D: Driver>(db: &Db<D>, message: &Quarantined) -> Result<(), Fault> {
    Sql::<D>::new("insert into quarantine (source, reason, body, at) values ($1, $2, $3, $4)")
        .bind(message.source.as_str())
        .bind(message.reason.as_str())
        .bind(message.body.as_slice())
        .bind(db.now().0)
        .run(&mut *db.writer().await?)
        .await?;
    Ok(())
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
