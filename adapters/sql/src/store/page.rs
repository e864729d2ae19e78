//! Reading images: one, or a page.
//!
//! A page is assembled from index ranges: for each site, each state and each value of the flag that the
//! filter admits, one range that is ordered already, of which at most a page is read. So its cost does not
//! grow with the store. Many sites take several statements, and their rows are merged here. The total comes
//! from [`count`](super::count).
//!
//! Filters and totals go by what is stored. An image whose finding cannot be read is listed where the finding put
//! it, and tells there that it needs a human.

use std::cmp::Reverse;
use std::collections::HashMap;

use lobar_core::access::Sites;
use lobar_core::image::{Image, State};
use lobar_core::object::ImageId;
use lobar_core::store::{Filter, Page, PageKey};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::count::total;
use super::row::{ImageRow, state};
use super::rows;

/// Ranges in one statement, more only where one site alone has more: planning takes the longer the more there are, and
/// SQLite takes 500 at most.
const RANGES: usize = 64;

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
    let total = total(db, filter).await?;
    let mut items: Vec<Image> = Vec::new();
    let statements = ranges(filter);
    for ranges in &statements {
        let page = page::<D>(ranges.as_deref(), after, limit.saturating_add(1));
        let found: Vec<ImageRow> = db.fetch_all(page).await?;
        items.extend(found.into_iter().map(|row| row.image(db.unreadable())));
    }
    if statements.len() > 1 {
        items.sort_unstable_by_key(|image| Reverse((image.received_at, image.id)));
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    Ok(Page {
        next: last.map(|image| PageKey { received_at: image.received_at, id: image.id }),
        total,
        items,
    })
}

/// One value of `state`, one of `flag` and, unless it is of all, one of `site`.
type Range<'a> = (State, &'static str, Option<&'a str>);

/// The ranges that a filter admits, by statement; `None` is the range of everything. All ranges of a site are in one
/// statement, so that an image that changes its state meanwhile is neither missed nor found twice.
fn ranges<'a>(filter: &'a Filter) -> Vec<Option<Vec<Range<'a>>>> {
    if filter.states.is_empty() && filter.flagged.is_none() && filter.sites == Sites::All {
        return vec![None];
    }
    let kinds = kinds(filter);
    if kinds.is_empty() {
        return Vec::new();
    }
    let sites: Vec<Option<&str>> = match &filter.sites {
        Sites::All => vec![None],
        Sites::Only(sites) => sites.iter().map(|site| Some(site.as_str())).collect(),
    };
    let statement = |sites: &[Option<&'a str>]| {
        let at = |site| kinds.iter().map(move |(state, flag)| (*state, *flag, site));
        Some(sites.iter().copied().flat_map(at).collect())
    };
    sites.chunks((RANGES / kinds.len()).max(1)).map(statement).collect()
}

/// The states with the flags that a filter admits.
fn kinds(filter: &Filter) -> Vec<(State, &'static str)> {
    let wanted = |state: &State| filter.states.is_empty() || filter.states.contains(state);
    let flags = |state: State| flags(state).iter().map(move |flag| (state, *flag));
    let flagged = |(_, flag): &(State, &'static str)| match filter.flagged {
        None => true,
        Some(true) => *flag == "yes",
        Some(false) => *flag == "no",
    };
    State::ALL.into_iter().filter(wanted).flat_map(flags).filter(flagged).collect()
}

/// The flags that images in a state may have, as the schema's constraints say.
fn flags(state: State) -> &'static [&'static str] {
    match state {
        State::Queued | State::Analysing | State::NeedsHuman | State::Failed => &["none"],
        State::Ready => &["no", "yes"],
        State::Superseded | State::Removed => &["none", "no", "yes"],
    }
}

fn page<D: Driver>(ranges: Option<&[Range<'_>]>, after: Option<PageKey>, limit: usize) -> Sql<D> {
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
        Some(ranges) => {
            for (place, (state, flag, site)) in ranges.iter().enumerate() {
                sql.push(if place == 0 {
                    "select * from ("
                } else {
                    ") as more union all select * from ("
                });
                keys(&mut sql, after, limit, |sql| {
                    sql.push("state = ").arg(state.as_str()).push(" and flag = ").arg(*flag);
                    if let Some(site) = site {
                        sql.push(" and site = ").arg(*site);
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

    use lobar_core::access::SiteName;
    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

    /// What SQLite does for a statement, line by line.
    async fn plan(db: &Db<Sqlite>, sql: Sql<Sqlite>) -> Vec<String> {
        let lines: Vec<(i64, i64, i64, String)> =
            db.fetch_all(sql.explained()).await.expect("a plan");
        lines.into_iter().map(|(.., line)| line).filter(|line| line.contains(" image")).collect()
    }

    fn named(count: usize) -> Sites {
        let name = |n| SiteName::parse(&format!("site{n}")).expect("a name");
        Sites::Only((0..count).map(name).collect())
    }

    async fn reads_only(db: &Db<Sqlite>, ranges: Option<&[Range<'_>]>, after: Option<PageKey>) {
        let lines = plan(db, page(ranges, after, 50)).await;
        let (join, keys): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line.ends_with("(id=?)"));
        assert_eq!(join.len(), 1, "{lines:?}");
        assert_eq!(keys.len(), ranges.map_or(1, <[_]>::len), "{lines:?}");
        let by_key = |line: &&String| line.contains("(received_at,id)<(?,?))");
        assert!(keys.iter().all(by_key), "{ranges:?}: {lines:?}");
        let of_a_site = ranges.is_some_and(|ranges| ranges[0].2.is_some());
        let by_site = |line: &&String| line.contains("image_by_site (site=?");
        assert!(!of_a_site || keys.iter().all(by_site), "{ranges:?}: {lines:?}");
    }

    #[test]
    fn statements_are_short_and_none_parts_a_site() {
        let at = |count| Filter::at(named(count));
        let ranges_of = |filter: &Filter| -> Vec<usize> {
            ranges(filter).iter().map(|ranges| ranges.as_ref().map_or(1, Vec::len)).collect()
        };
        assert_eq!(ranges_of(&Filter::at(Sites::All)), [1]);
        assert!(ranges_of(&Filter::at(Sites::none())).is_empty());
        assert_eq!(ranges_of(&at(1)), [12]);
        assert_eq!(ranges_of(&at(7)), [60, 24]);
        let flagged = Filter { flagged: Some(true), states: vec![State::Ready], ..at(130) };
        assert_eq!(ranges_of(&flagged), [64, 64, 2]);
        let nothing = Filter { flagged: Some(true), states: vec![State::Failed], ..at(1) };
        assert!(ranges_of(&nothing).is_empty());
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
                for sites in [Sites::All, named(1), named(2), named(200)] {
                    let filter = Filter { sites, states: states.to_vec(), flagged };
                    for ranges in ranges(&filter) {
                        reads_only(&db, ranges.as_deref(), after).await;
                    }
                }
            }
        }
        db.close().await;
    }
}
