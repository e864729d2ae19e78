//! Figures over everything, and messages put aside.

use std::collections::BTreeMap;

use lobar_core::access::SiteName;
use lobar_core::image::{Lane, Lanes, State};
use lobar_core::store::{Overview, Quarantined, SiteOverview};
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
    overview.sites = sites(db).await?;
    Ok(overview)
}

/// The same of registered sites. Keys name sites, and anybody who uploads names keys: what is not registered is not told.
async fn sites<D: Driver>(db: &Db<D>) -> Result<Vec<SiteOverview>, DbError> {
    let most = i64::try_from(Overview::SITES).unwrap_or(i64::MAX);
    // Each minimum is the first of an index range: a site, a state, the images of it that nothing has replaced.
    let registered = Sql::<D>::new(
        "select s.name,
           (select min(i.received_at) from image i
             where i.site = s.name and i.state = 'queued' and i.flag = 'none'),
           (select min(i.received_at) from image i
             where i.site = s.name and i.state = 'analysing' and i.flag = 'none')
         from site s order by s.name limit $1",
    )
    .bind(most);
    let mut found = BTreeMap::new();
    for (name, queued, analysing) in
        db.fetch_all::<(String, Option<i64>, Option<i64>)>(registered).await?
    {
        if let Some(site) = SiteName::parse(&name) {
            let oldest_unfinished = queued.into_iter().chain(analysing).min().map(Stamp);
            let (by_state, unfinished) = (Vec::new(), Lanes::default());
            found.insert(name, SiteOverview { site, by_state, oldest_unfinished, unfinished });
        }
    }
    let kinds = Sql::<D>::new(
        "select t.site, t.stage, t.lane, cast(sum(t.images) as bigint)
         from (select name from site order by name limit $1) s join tally t on t.site = s.name
         group by t.site, t.stage, t.lane
         union all
         select coalesce(site, ''), 'analysing', '', count(*) from image
         where state = 'analysing' and flag = 'none' group by site",
    )
    .bind(most);
    let mut by_state = BTreeMap::<String, BTreeMap<State, i64>>::new();
    for (name, stage, word, images) in db.fetch_all::<(String, String, String, i64)>(kinds).await? {
        let Some(of_site) = found.get_mut(&name) else { continue };
        let states = by_state.entry(name).or_default();
        match stage.as_str() {
            IN_HAND => {
                *states.entry(State::Analysing).or_default() += images;
                *states.entry(State::Queued).or_default() -= images;
            }
            UNFINISHED => {
                *of_site.unfinished.of_mut(lane(&word)) += count(images);
                *states.entry(State::Queued).or_default() += images;
            }
            word => *states.entry(state(word)).or_default() += images,
        }
    }
    for (name, states) in by_state {
        if let Some(of_site) = found.get_mut(&name) {
            of_site.by_state =
                states.into_iter().map(|(state, images)| (state, count(images))).collect();
        }
    }
    Ok(found.into_values().collect())
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
