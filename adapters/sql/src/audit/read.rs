//! Reading the record.

use lobar_core::audit::{Checkpoint, Cursor, Entry, Filter};

use super::super::{Db, DbError, Driver, Sql};
use super::append;
use super::row::{AuditRow, checkpoint, whole};

pub(super) async fn newest<D: Driver>(db: &Db<D>) -> Result<Checkpoint, DbError> {
    let found = db.fetch_all(append::newest()).await?;
    Ok(found.into_iter().next().map_or(Checkpoint::START, checkpoint))
}

pub(super) async fn page<D: Driver>(
    db: &Db<D>,
    filter: &Filter,
    cursor: Cursor,
    limit: usize,
) -> Result<Vec<Entry>, DbError> {
    let mut sql = Sql::<D>::new(
        "select number, v, at, action, actor_kind, actor_id, actor, role, image, site, subject, detail,
           request, previous, hash
         from audit where number ",
    );
    match cursor {
        Cursor::After(number) => sql.push("> ").arg(whole(number)),
        Cursor::Before(number) => sql.push("< ").arg(whole(number)),
    };
    if let Some(action) = filter.action {
        sql.push(" and action = ").arg(action.as_str());
    }
    if let Some(image) = filter.image {
        sql.push(" and image = ").arg(image.0);
    }
    if let Some(site) = &filter.site {
        sql.push(" and site = ").arg(site.as_str());
    }
    if let Some(actor) = filter.actor {
        sql.push(" and actor_id = ").arg(actor);
    }
    if let Some(since) = filter.since {
        sql.push(" and at >= ").arg(since.0);
    }
    if let Some(until) = filter.until {
        sql.push(" and at < ").arg(until.0);
    }
    sql.push(match cursor {
        Cursor::After(_) => " order by number limit ",
        Cursor::Before(_) => " order by number desc limit ",
    });
    sql.arg(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows: Vec<AuditRow> = db.fetch_all(sql).await?;
    Ok(rows.into_iter().map(AuditRow::entry).collect())
}
