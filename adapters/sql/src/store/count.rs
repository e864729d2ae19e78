//! How many images there are, from the counts that every change keeps ([`changes`](super::changes)).
//!
//! Queued and analysing are counted as one there; those that are being analysed are few and are counted
//! where they are, by an index, in the same statement.

use lobar_core::image::State;
use lobar_core::store::Filter;

use super::super::{Db, DbError, Driver, Sql};
use super::changes::stage;
use super::site_batches;

/// How many images a filter admits.
pub(super) async fn total<D: Driver>(db: &Db<D>, filter: &Filter) -> Result<u64, DbError> {
    let mut total = 0;
    for sites in site_batches(&filter.sites) {
        let (images,): (i64,) = db.fetch_one(statement(filter, &sites)).await?;
        total += u64::try_from(images).unwrap_or(0);
    }
    Ok(total)
}

/// Of these sites; of all when there are none.
fn statement<D: Driver>(filter: &Filter, sites: &[&str]) -> Sql<D> {
    let wants = |state| filter.states.is_empty() || filter.states.contains(&state);
    let stages: Vec<&str> = State::ALL
        .into_iter()
        .filter(|state| state.is_terminal() && wants(*state))
        .map(stage)
        .chain(wants(State::Queued).then_some(stage(State::Queued)))
        .collect();

    let mut sql =
        Sql::<D>::new("select coalesce((select cast(sum(images) as bigint) from tally where ");
    if filter.states.is_empty() && filter.flagged.is_none() {
        // Those of a newer release too, which are counted under words of their own.
        sql.push("true");
    } else if stages.is_empty() {
        sql.push("false");
    } else {
        sql.push("stage in (").list(stages).push(")");
    }
    at(&mut sql, sites);
    if let Some(flagged) = filter.flagged {
        sql.push(" and flag = ").arg(if flagged { "yes" } else { "no" });
    }
    sql.push("), 0)");
    let in_hand = match (wants(State::Queued), wants(State::Analysing)) {
        (true, false) => " - ",
        (false, true) => " + ",
        _ => return sql,
    };
    if filter.flagged.is_none() {
        sql.push(in_hand)
            .push("(select count(*) from image where state = 'analysing' and flag = 'none'");
        at(&mut sql, sites);
        sql.push(")");
    }
    sql
}

fn at<D: Driver>(sql: &mut Sql<D>, sites: &[&str]) {
    if !sites.is_empty() {
        sql.push(" and site in (").list(sites.iter().copied()).push(")");
    }
}
