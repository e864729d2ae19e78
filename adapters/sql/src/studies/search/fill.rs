//! What rows lack that were written before searches were: it is filled in by the first search.

use std::time::Duration;

use lobar_core::study::{Condition, Name, Search, name_key};
use uuid::Uuid;

use super::super::super::store::rows;
use super::super::super::{Db, DbError, Driver, Sql};
use super::super::begin;

/// Rows that are filled in at once.
const PORTION: usize = 500;

/// Fills in what this search reads; looking for what lacks takes so long at most.
pub(super) async fn fill<D: Driver>(
    db: &Db<D>,
    limit: Duration,
    search: &Search,
) -> Result<(), DbError> {
    while studies(db, limit).await? {}
    let of_name = |condition: &Condition| matches!(condition, Condition::Name(Name::Patient, _));
    if search.conditions.iter().any(of_name) {
        while names(db, limit).await? {}
    }
    Ok(())
}

/// Where and when studies were made; answers whether there may be more to do.
async fn studies<D: Driver>(db: &Db<D>, limit: Duration) -> Result<bool, DbError> {
    let lacking = |end: &'static str| {
        let mut sql = Sql::<D>::new("select id from study where made_at is null");
        sql.push(end).push(" limit ").arg(rows(PORTION));
        sql
    };
    if db.fetch_all_within::<(Uuid,)>(limit, lacking("")).await?.is_empty() {
        return Ok(false);
    }
    let mut tx = begin(db).await?;
    let ids: Vec<(Uuid,)> = lacking(D::LOCK_ROWS).all(&mut tx).await?;
    if !ids.is_empty() {
        let mut sql = Sql::<D>::new(
            "update study set site = (select patient.site from patient where patient.id = study.patient),
               made_at = coalesce((select min(instance.made_at) from series
                 join instance on instance.series = series.id where series.study = study.id), 0)
             where id in (",
        );
        sql.list(ids.iter().map(|(id,)| *id)).push(")");
        sql.run(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(ids.len() == PORTION)
}

/// What patients' names are searched by.
async fn names<D: Driver>(db: &Db<D>, limit: Duration) -> Result<bool, DbError> {
    let lacking = |end: &'static str| {
        let mut sql = Sql::<D>::new(
            "select id, name from patient where name_key is null and name is not null",
        );
        sql.push(end).push(" limit ").arg(rows(PORTION));
        sql
    };
    if db.fetch_all_within::<(Uuid, String)>(limit, lacking("")).await?.is_empty() {
        return Ok(false);
    }
    let mut tx = begin(db).await?;
    let unkeyed: Vec<(Uuid, String)> = lacking(D::LOCK_ROWS).all(&mut tx).await?;
    for (id, name) in &unkeyed {
        let mut sql = Sql::<D>::new("update patient set name_key = ");
        sql.arg(name_key(name).as_str()).push(" where id = ").arg(*id);
        sql.run(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(unkeyed.len() == PORTION)
}
