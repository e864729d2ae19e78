//! Reading images: one, or a page.
//!
//! A page is assembled from index ranges: for each state and each value of the flag that the filter
//! admits, one range that is ordered already, of which at most a page is read. So its cost does not
//! grow with the store. The total comes from [`count`](super::count).
//!
//! Filters and totals go by what is stored. An image whose finding cannot be read is listed where the finding put
//! it, and tells there that it needs a human.

use std::collections::HashMap;

use lobar_core::image::{Image, State};
use lobar_core::object::ImageId;
use lobar_core::store::{Filter, Page, PageKey};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::count::total;
use super::row::{ImageRow, state};
use super::rows;

/// The columns of [`ImageRow`].
const COLUMNS: &str =
    "image.id, image.bucket, image.key, image.version, image.etag, image.sequencer,
    image.size, image.lane, image.state, image.reason, image.detail, image.flag, image.attempts,
    image.received_at, image.finished_at, finding.body as finding";

pub(super) async fn image<D: Driver>(db: &Db<D>, id: ImageId) -> Result<Option<Image>, DbError> {
    let mut sql = Sql::<D>::new("select ");
    sql.push(COLUMNS)
        .push(" from image left join finding on finding.image = image.id where image.id = ")
        .arg(id.0);
    let row: Option<ImageRow> = db.fetch_all(sql).await?.into_iter().next();
    Ok(row.map(|row| row.image(db.unreadable())))
}

pub(super) async fn states<D: Driver>(
    db: &Db<D>,
    ids: &[ImageId],
) -> Result<Vec<Option<State>>, DbError> {
    let mut known = HashMap::new();
    for batch in ids.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select id, state from image where id in (");
        sql.list(batch.iter().map(|id| id.0)).push(")");
        known.extend(db.fetch_all::<(Uuid, String)>(sql).await?);
    }
    let known = |id: &ImageId| known.get(&id.0).map(|word| state(word));
    Ok(ids.iter().map(known).collect())
}

pub(super) async fn list<D: Driver>(
    db: &Db<D>,
    filter: &Filter,
    after: Option<PageKey>,
    limit: usize,
) -> Result<Page, DbError> {
    let ranges = ranges(filter);
    let total = total(db, filter).await?;
    let found: Vec<ImageRow> =
        db.fetch_all(page::<D>(filter, &ranges, after, limit.saturating_add(1))).await?;
    let mut items: Vec<Image> = found.into_iter().map(|row| row.image(db.unreadable())).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    Ok(Page {
        next: last.map(|image| PageKey { received_at: image.received_at, id: image.id }),
        total,
        items,
    })
}

/// One value of `state` and one of `flag`.
type Range = (State, &'static str);

/// The ranges that a filter admits; `None` when it admits everything.
fn ranges(filter: &Filter) -> Option<Vec<Range>> {
    if filter.states.is_empty() && filter.flagged.is_none() && filter.site.is_none() {
        return None;
    }
    let wanted = |state: &State| filter.states.is_empty() || filter.states.contains(state);
    let flags = |state: State| flags(state).iter().map(move |flag| (state, *flag));
    let flagged = |(_, flag): &Range| match filter.flagged {
        None => true,
        Some(true) => *flag == "yes",
        Some(false) => *flag == "no",
    };
    Some(State::ALL.into_iter().filter(wanted).flat_map(flags).filter(flagged).collect())
}

/// The flags that images in a state may have, as the schema's constraints say.
fn flags(state: State) -> &'static [&'static str] {
    match state {
        State::Queued | State::Analysing | State::NeedsHuman | State::Failed => &["none"],
        State::Ready => &["no", "yes"],
        State::Superseded | State::Removed => &["none", "no", "yes"],
    }
}

fn page<D: Driver>(
    filter: &Filter,
    ranges: &Option<Vec<Range>>,
    after: Option<PageKey>,
    limit: usize,
) -> Sql<D> {
    // Nothing comes before the end of time.
    let after =
        after.unwrap_or(PageKey { received_at: Stamp(i64::MAX), id: ImageId(uuid::Uuid::max()) });
    let mut sql = Sql::<D>::new("with page as (select * from (");
    match ranges {
        None => {
            keys(&mut sql, after, limit, |sql| {
                sql.push("true");
            });
        }
        Some(ranges) if ranges.is_empty() => {
            sql.push("select received_at, id from image where false");
        }
        Some(ranges) => {
            for (place, (state, flag)) in ranges.iter().enumerate() {
                sql.push(if place == 0 {
                    "select * from ("
                } else {
                    ") as more union all select * from ("
                });
                keys(&mut sql, after, limit, |sql| {
                    sql.push("state = ").arg(state.as_str()).push(" and flag = ").arg(*flag);
                    if let Some(site) = &filter.site {
                        sql.push(" and site = ").arg(site.as_str());
                    }
                });
            }
            sql.push(") as more");
        }
    }
    sql.push(") as keys order by received_at desc, id desc limit ")
        .arg(rows(limit))
        .push(") select ");
    sql.push(COLUMNS).push(
        " from page join image on image.id = page.id left join finding on finding.image = image.id
          order by page.received_at desc, page.id desc",
    );
    sql
}

/// The keys of one ordered range.
fn keys<D: Driver>(
    sql: &mut Sql<D>,
    after: PageKey,
    limit: usize,
    matching: impl FnOnce(&mut Sql<D>),
) {
    sql.push("select received_at, id from image where ");
    matching(sql);
    sql.push(" and (received_at, id) < ").rows([(after.received_at.0, after.id.0)]);
    sql.push(" order by received_at desc, id desc limit ").arg(rows(limit));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

    /// What SQLite does for a statement, line by line.
    async fn plan(db: &Db<Sqlite>, sql: Sql<Sqlite>) -> Vec<String> {
        let lines: Vec<(i64, i64, i64, String)> =
            db.fetch_all(sql.explained()).await.expect("a plan");
        lines.into_iter().map(|(.., line)| line).filter(|line| line.contains(" image")).collect()
    }

    #[tokio::test]
    async fn every_filter_reads_index_ranges_only() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let after = Some(PageKey { received_at: Stamp(7), id: ImageId(uuid::Uuid::nil()) });
        let states: [&[State]; 3] =
            [&[], &[State::Ready], &[State::Queued, State::Ready, State::Removed]];
        for states in states {
            for flagged in [None, Some(true)] {
                for site in [None, Some("north".to_owned())] {
                    let filter = Filter { states: states.to_vec(), flagged, site };
                    let ranges = ranges(&filter);
                    let lines = plan(&db, page(&filter, &ranges, after, 50)).await;
                    let (join, keys): (Vec<_>, Vec<_>) =
                        lines.iter().partition(|line| line.ends_with("(id=?)"));
                    assert_eq!(join.len(), 1, "{lines:?}");
                    assert_eq!(keys.len(), ranges.as_ref().map_or(1, Vec::len), "{lines:?}");
                    let by_key = |line: &&String| line.contains("(received_at,id)<(?,?))");
                    assert!(keys.iter().all(by_key), "{filter:?}: {lines:?}");
                }
            }
        }
        db.close().await;
    }
}
