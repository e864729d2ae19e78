//! Figures over everything, and messages put aside.

use std::collections::BTreeMap;

use lobar_core::image::{Lane, State};
use lobar_core::store::{Overview, Quarantined};
use lobar_core::time::Stamp;

use super::super::{Db, DbError, Driver, Sql};
use super::row::{lane, state};

/// The word under which those in workers' hands are answered.
const IN_HAND: &str = "analysing";
/// The word for those that are not finished: see [`changes`](super::changes).
const UNFINISHED: &str = "unfinished";

pub(super) async fn overview<D: Driver>(db: &Db<D>) -> Result<Overview, DbError> {
    let kinds = Sql::<D>::new(
        "select stage, lane, cast(sum(images) as bigint) from tally group by stage, lane
         union all
         select 'analysing', '', count(*) from image where state = 'analysing' and flag = 'none'",
    );
    let mut overview = Overview::default();
    let mut by_state = BTreeMap::<State, i64>::new();
    for (stage, word, images) in db.fetch_all::<(String, String, i64)>(kinds).await? {
        match stage.as_str() {
            IN_HAND => {
                *by_state.entry(State::Analysing).or_default() += images;
                *by_state.entry(State::Queued).or_default() -= images;
            }
            UNFINISHED => {
                *overview.unfinished.of_mut(lane(&word)) += count(images);
                *by_state.entry(State::Queued).or_default() += images;
            }
            word => *by_state.entry(state(word)).or_default() += images,
        }
    }
    overview.by_state =
        by_state.into_iter().map(|(state, images)| (state, count(images))).collect();

    let ends = Sql::<D>::new(
        "select (select min(received_at) from image where finished_at is null and lane = 'stat'),
           (select min(received_at) from image where finished_at is null and lane = 'routine')",
    );
    let (stat, routine): (Option<i64>, Option<i64>) = db.fetch_one(ends).await?;
    *overview.oldest_unfinished.of_mut(Lane::Stat) = stat.map(Stamp);
    *overview.oldest_unfinished.of_mut(Lane::Routine) = routine.map(Stamp);
    Ok(overview)
}

pub(super) async fn quarantine<D: Driver>(
    db: &Db<D>,
    message: &Quarantined,
) -> Result<(), DbError> {
    let insert = |now: Stamp| {
        Sql::<D>::new("insert into quarantine (source, reason, body, at) values ($1, $2, $3, $4)")
            .bind(message.source.as_str())
            .bind(message.reason.as_str())
            .bind(message.body.as_slice())
            .bind(now.0)
    };
    db.execute::<(i64,)>(insert).await.map(drop)
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
