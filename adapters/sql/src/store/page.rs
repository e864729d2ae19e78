//! Reading images: one, or a page.
//!
//! A page is assembled from index ranges: for each site, each state and each value of the flag that the
//! filter admits, one range that is ordered already, of which at most a page is read. So its cost does not
//! grow with the store. States that this release does not know are looked up in the index, since nobody can list them
//! here. The total comes from [`count`](super::count).
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
use super::{of_patient, rows, site_batches};

/// The columns of [`ImageRow`].
pub(in super::super) const COLUMNS: &str =
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

/// Several images, in no order; those that are not known are left out.
pub(in super::super) async fn images<D: Driver>(
    db: &Db<D>,
    ids: &[ImageId],
) -> Result<Vec<Image>, DbError> {
    let mut images = Vec::with_capacity(ids.len());
    for batch in ids.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select ");
        sql.push(COLUMNS)
            .push(" from image left join finding on finding.image = image.id where image.id in (");
        sql.list(batch.iter().map(|id| id.0)).push(")");
        let rows: Vec<ImageRow> = db.fetch_all(sql).await?;
        images.extend(rows.into_iter().map(|row| row.image(db.unreadable())));
    }
    Ok(images)
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
    let unknown: Vec<Uuid> =
        ids.iter().map(|id| id.0).filter(|id| !known.contains_key(id)).collect();
    for batch in unknown.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select image from erasure where image in (");
        sql.list(batch.iter().copied()).push(")");
        let erased = db.fetch_all::<(Uuid,)>(sql).await?.into_iter();
        known.extend(erased.map(|(id,)| (id, State::Removed.as_str().to_owned())));
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
    if of_patient::is_meant(filter) {
        return of_patient::list(db, filter, after, limit).await;
    }
    let total = total(db, filter).await?;
    let (kinds, batches) = (kinds(filter), site_batches(&filter.sites));
    let mut items: Vec<Image> = Vec::new();
    for sites in &batches {
        let every = filter.states.is_empty() && filter.flagged.is_none();
        let page = page::<D>((kinds.as_deref(), every), sites, after, limit.saturating_add(1));
        let found: Vec<ImageRow> = db.fetch_all(page).await?;
        items.extend(found.into_iter().map(|row| row.image(db.unreadable())));
    }
    if batches.len() > 1 {
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

/// One value of `state` and one of `flag`.
type Kind = (State, &'static str);

/// The kinds of images that a filter admits; `None` when it admits everything.
fn kinds(filter: &Filter) -> Option<Vec<Kind>> {
    if filter.states.is_empty() && filter.flagged.is_none() && filter.sites == Sites::All {
        return None;
    }
    let wanted = |state: &State| filter.states.is_empty() || filter.states.contains(state);
    let flags = |state: State| flags(state).iter().map(move |flag| (state, *flag));
    let flagged = |(_, flag): &Kind| match filter.flagged {
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

/// Of these sites; of all when there are none. With `every`, in whatever state they are.
///
/// A subquery reads each range by itself. A union of as many ranges would take PostgreSQL longer to plan than to run.
fn page<D: Driver>(
    (kinds, every): (Option<&[Kind]>, bool),
    sites: &[&str],
    after: Option<PageKey>,
    limit: usize,
) -> Sql<D> {
    let mut sql = Sql::<D>::new("with recursive ");
    match kinds {
        None => {
            sql.push("page as (select received_at, id from image where ");
            newest(&mut sql, after, limit);
        }
        Some([]) => {
            sql.push("page as (select received_at, id from image where false");
        }
        Some(kinds) => {
            if !sites.is_empty() {
                sql.push("at (site) as (values ");
                sql.rows(sites.iter().map(|site| (*site,))).push("), ");
            }
            let every = every && !sites.is_empty();
            sql.push(if every { STATES } else { "" }).push("kind (state, flag) as (values ");
            sql.rows(kinds.iter().map(|(state, flag)| (state.as_str(), *flag)));
            if every {
                let known = State::ALL.into_iter().map(State::as_str);
                sql.push(UNKNOWN_STATES).list(known).push(")");
            }
            sql.push("), ");
            sql.push("page as (select found.received_at, found.id from kind");
            sql.push(if sites.is_empty() { "" } else { " cross join at" });
            let [open, close] = D::FOUND_FOR_EACH;
            sql.push(open)
                .push(" where ")
                .push("image.state = kind.state and image.flag = kind.flag and ");
            sql.push(if sites.is_empty() { "" } else { "image.site = at.site and " });
            newest(&mut sql, after, limit);
            sql.push(close).push(" order by found.received_at desc, found.id desc limit ");
            sql.arg(rows(limit));
        }
    }
    sql.push(") select ").push(COLUMNS).push(
        " from page join image on image.id = page.id left join finding on finding.image = image.id
          order by page.received_at desc, page.id desc",
    );
    sql
}

/// The states that images of each site are in: one step in the index for each, however many images there are.
const STATES: &str = "found_state (site, state) as (
    select at.site, (select min(image.state) from image where image.site = at.site) from at
    union all
    select site, (select min(image.state) from image
                  where image.site = found_state.site and image.state > found_state.state)
    from found_state where state is not null), ";

/// Adds to the kinds those in a state of a newer release, whatever their flag; the known states follow.
const UNKNOWN_STATES: &str = " union select found_state.state, flag.flag from found_state
    cross join (select 'none' as flag union all select 'no' union all select 'yes') as flag
    where found_state.state not in (";

/// The newest after a key: ends the subquery of one ordered range.
pub(super) fn newest<D: Driver>(sql: &mut Sql<D>, after: Option<PageKey>, limit: usize) {
    // Nothing comes before the end of time.
    let end = PageKey { received_at: Stamp(i64::MAX), id: ImageId(Uuid::max()) };
    let after = after.unwrap_or(end);
    sql.push("(image.received_at, image.id) < ").rows([(after.received_at.0, after.id.0)]);
    sql.push(" order by image.received_at desc, image.id desc limit ").arg(rows(limit));
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
                for (sites, index) in [
                    (Sites::All, "image_by_state (state=? AND flag=? AND "),
                    (named(1), "image_by_site (site=? AND state=? AND flag=? AND "),
                    (named(30), "image_by_site (site=? AND state=? AND flag=? AND "),
                ] {
                    let filter = Filter { states: states.to_vec(), flagged, ..Filter::at(sites) };
                    let (kinds, batches) = (kinds(&filter), site_batches(&filter.sites));
                    let every = filter.states.is_empty() && filter.flagged.is_none();
                    let kinds_and_every = (kinds.as_deref(), every);
                    let lines = plan(&db, page(kinds_and_every, &batches[0], after, 50)).await;
                    let (found_states, lines): (Vec<_>, Vec<_>) =
                        lines.into_iter().partition(|line| {
                            line.contains("COVERING INDEX image_by_site (site=?")
                                && !line.contains("received_at")
                        });
                    let steps = if every && filter.sites != Sites::All { 2 } else { 0 };
                    assert_eq!(found_states.len(), steps, "{filter:?}: {found_states:?}");
                    let (join, keys): (Vec<_>, Vec<_>) =
                        lines.iter().partition(|line| line.ends_with("(id=?)"));
                    assert!(join.len() == 1 && keys.len() == 1, "{filter:?}: {lines:?}");
                    let index = if kinds.is_none() { "image_newest (" } else { index };
                    let range = format!("{index}(received_at,id)<(?,?))");
                    assert!(keys[0].ends_with(&range), "{filter:?}: {lines:?}");
                }
            }
        }
        db.close().await;
    }
}
