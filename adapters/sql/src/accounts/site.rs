//! Sites.

use lobar_core::access::SiteName;
use lobar_core::accounts::Site;

use super::super::{Db, DbError, Driver, Sql};
use super::row::SiteRow;

pub(super) async fn add<D: Driver>(db: &Db<D>, name: &SiteName) -> Result<bool, DbError> {
    let added = db.execute(|now| {
        Sql::<D>::new(
            "insert into site (name, added_at) values ($1, $2) on conflict (name) do nothing
             returning added_at",
        )
        .bind(name.as_str())
        .bind(now.0)
    });
    let added: Vec<(i64,)> = added.await?;
    Ok(!added.is_empty())
}

pub(super) async fn all<D: Driver>(db: &Db<D>) -> Result<Vec<Site>, DbError> {
    let rows: Vec<SiteRow> = db.fetch_all(Sql::new("select name, added_at from site")).await?;
    let mut all: Vec<Site> = rows.into_iter().filter_map(|row| row.site(db.unreadable())).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

pub(super) async fn remove<D: Driver>(db: &Db<D>, name: &SiteName) -> Result<bool, DbError> {
    let removed = db.execute(|_| {
        Sql::<D>::new("delete from site where name = $1 returning added_at").bind(name.as_str())
    });
    let removed: Vec<(i64,)> = removed.await?;
    Ok(!removed.is_empty())
}
