//! A page of what waits for a reader, in the order of urgency.
//!
//! As lists are ([`page`](super::super::store)), it is put together from index ranges: for each site, each rank and each kind
//! of image that has the rank, one range that is ordered already, of which at most a page is read. The kind is an
//! expression that both indexes have in these words; only images that wait are in them.

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::store::Filter;
use lobar_core::time::Stamp;
use lobar_core::worklist::{Place, Rank, Urgency, WorklistPage};
use uuid::Uuid;

use super::super::store::{COLUMNS, ImageRow, is_meant, of_those, rows, site_batches};
use super::super::{Db, DbError, Driver, Sql};
use super::mark::mark_earlier;

/// What both partial indexes hold.
const WAITS: &str = "image.read_at is null and image.state not in ('superseded', 'removed')";
/// What they are ordered by first. A state that is not known needs a human.
const KIND: &str = "(case when image.lane = 'stat' then 1 when image.flag = 'yes' then 2 when image.state in ('queued', 'analysing', 'ready') then 4 else 3 end)";

/// The values of [`KIND`].
const URGENT: i64 = 1;
const FLAGGED: i64 = 2;
const NEEDS_HUMAN: i64 = 3;
const REST: i64 = 4;

/// Which images, and for which reader: they do not wait for one who has given a verdict on them.
type Wanted<'a> = (&'a Filter, Option<&'a str>);

/// An image with the number of its rank.
#[derive(sqlx::FromRow)]
pub struct WaitingRow {
    rank: i64,
    #[sqlx(flatten)]
    image: ImageRow,
}

/// One ordered range: images of a kind, received from a place on and before a time.
struct Range {
    rank: Rank,
    kind: i64,
    /// Images after this.
    from: (Stamp, Uuid),
    before: Stamp,
}

pub(super) async fn page<D: Driver>(
    db: &Db<D>,
    wanted: Wanted<'_>,
    urgency: &Urgency,
    after: Option<Place>,
    limit: usize,
) -> Result<WorklistPage, DbError> {
    mark_earlier(db).await?;
    let (filter, _) = wanted;
    let (ranges, batches) = (ranges(urgency, after), site_batches(&filter.sites));
    let (mut total, mut items) = (0, Vec::new());
    for sites in &batches {
        let (waiting,): (i64,) = db.fetch_one(count(wanted, sites)).await?;
        total += u64::try_from(waiting).unwrap_or(0);
        let statement = statement(&ranges, wanted, sites, limit.saturating_add(1));
        let found: Vec<WaitingRow> = db.fetch_all(statement).await?;
        items.extend(found.into_iter().map(|WaitingRow { rank, image }| {
            let rank = u8::try_from(rank).ok().and_then(Rank::of_number).unwrap_or(Rank::Rest);
            let image = image.image(db.unreadable());
            (Place { rank, received_at: image.received_at, id: image.id }, image)
        }));
    }
    if batches.len() > 1 {
        items.sort_unstable_by_key(|(place, _)| *place);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|(place, _)| *place);
    Ok(WorklistPage { items: items.into_iter().map(|(_, image)| image).collect(), next, total })
}

/// The kinds that have a rank.
fn kinds(rank: Rank, by_flag: bool) -> &'static [i64] {
    match (rank, by_flag) {
        (Rank::Overdue, _) => &[URGENT, FLAGGED, NEEDS_HUMAN, REST],
        (Rank::Flagged, true) => &[URGENT, FLAGGED],
        (Rank::Flagged, false) => &[URGENT],
        (Rank::NeedsHuman, _) => &[NEEDS_HUMAN],
        (Rank::Rest, true) => &[REST],
        (Rank::Rest, false) => &[FLAGGED, REST],
    }
}

/// What comes after a place.
fn ranges(urgency: &Urgency, after: Option<Place>) -> Vec<Range> {
    let left = Rank::ALL.into_iter().filter(|rank| after.is_none_or(|after| *rank >= after.rank));
    let ranges = left.flat_map(|rank| {
        let (begin, before) = match rank {
            Rank::Overdue => (Stamp(i64::MIN), urgency.overdue_before),
            _ => (urgency.overdue_before, Stamp(i64::MAX)),
        };
        // No image has the nil id, so that the range begins with what was received at that moment.
        let from = match after.filter(|after| after.rank == rank) {
            Some(after) => (after.received_at, after.id).max((begin, ImageId(Uuid::nil()))),
            None => (begin, ImageId(Uuid::nil())),
        };
        let from = (from.0, from.1.0);
        let kinds = kinds(rank, urgency.by_flag).iter();
        kinds.map(move |kind| Range { rank, kind: *kind, from, before })
    });
    ranges.collect()
}

/// Of these sites; of all when there are none.
fn statement<D: Driver>(
    ranges: &[Range],
    wanted: Wanted<'_>,
    sites: &[&str],
    limit: usize,
) -> Sql<D> {
    let mut sql = Sql::<D>::new("with ");
    if !sites.is_empty() {
        sql.push("at (site) as (values ");
        sql.rows(sites.iter().map(|site| (*site,))).push("), ");
    }
    sql.push("range (rank, kind, from_at, from_id, before_at) as (values ");
    sql.rows(ranges.iter().map(|Range { rank, kind, from, before }| {
        (i64::from(rank.number()), *kind, from.0.0, from.1, before.0)
    }));
    sql.push("), page as (select range.rank, found.received_at, found.id from range");
    sql.push(if sites.is_empty() { "" } else { " cross join at" });
    let [open, close] = D::FOUND_FOR_EACH;
    // Without figures of the table the planner would take the index over all sites.
    let index = if sites.is_empty() { "image_waiting" } else { "image_waiting_by_site" };
    sql.push(open)
        .by_index(index)
        .push(" where ")
        .push(WAITS)
        .push(" and ")
        .push(KIND)
        .push(" = range.kind and ");
    sql.push(if sites.is_empty() { "" } else { "image.site = at.site and " });
    sql.push(
        "(image.received_at, image.id) > (range.from_at, range.from_id)
         and image.received_at < range.before_at",
    );
    narrow(&mut sql, wanted);
    sql.push(" order by image.received_at, image.id limit ").arg(rows(limit));
    sql.push(close).push(" order by range.rank, found.received_at, found.id limit ");
    sql.arg(rows(limit));
    sql.push(") select page.rank, ").push(COLUMNS).push(
        " from page join image on image.id = page.id left join finding on finding.image = image.id
          order by page.rank, page.received_at, page.id",
    );
    sql
}

/// How many wait. Those that wait are counted one by one, in the index: they are what a reading room has before it.
fn count<D: Driver>(wanted: Wanted<'_>, sites: &[&str]) -> Sql<D> {
    let mut sql = Sql::<D>::new("select count(*) from image where ");
    sql.push(WAITS);
    if !sites.is_empty() {
        sql.push(" and image.site in (").list(sites.iter().copied()).push(")");
    }
    narrow(&mut sql, wanted);
    sql
}

/// What a filter asks beside sites. In words that no index has: the order comes first.
fn narrow<D: Driver>(sql: &mut Sql<D>, (filter, reader): Wanted<'_>) {
    if let Some(reader) = reader {
        sql.push(
            " and not exists (select 1 from verdict own where own.image = image.id
                and own.at >= coalesce(image.finished_at, 0) and not exists (
                  select 1 from verdict_withdrawal where verdict_withdrawal.verdict = own.id)
                and own.reader = ",
        );
        sql.arg(reader).push(")");
    }
    let Filter { sites: _, states, flagged, patient: _, search: _, batch: _ } = filter;
    if !states.is_empty() {
        sql.push(" and image.state || '' in (");
        sql.list(states.iter().copied().map(State::as_str)).push(")");
    }
    if let Some(flagged) = flagged {
        sql.push(" and image.flag || '' = ").arg(if *flagged { "yes" } else { "no" });
    }
    if is_meant(filter) {
        sql.push(" and ");
        of_those(sql, filter);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use lobar_core::access::{SiteName, Sites};
    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

    /// What SQLite does with images for a statement, line by line.
    async fn plan(db: &Db<Sqlite>, sql: Sql<Sqlite>) -> Vec<String> {
        let lines: Vec<(i64, i64, i64, String)> =
            db.fetch_all(sql.explained()).await.expect("a plan");
        lines.into_iter().map(|(.., line)| line).filter(|line| line.contains(" image")).collect()
    }

    #[tokio::test]
    async fn a_page_reads_index_ranges_of_what_waits_and_its_total_the_same_index() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let named = |count| {
            let name = |n| SiteName::parse(&format!("site{n}")).expect("a name");
            Sites::Only((0..count).map(name).collect())
        };
        let place = |rank| Place { rank, received_at: Stamp(7), id: ImageId(Uuid::max()) };
        for after in [None, Some(place(Rank::Overdue)), Some(place(Rank::Rest))] {
            for by_flag in [true, false] {
                let urgency = Urgency::at(Stamp(9), Duration::from_secs(1), by_flag);
                for (sites, index) in [
                    (Sites::All, "image_waiting (<expr>=? AND "),
                    (named(1), "image_waiting_by_site (site=? AND <expr>=? AND "),
                    (named(30), "image_waiting_by_site (site=? AND <expr>=? AND "),
                ] {
                    let filter = Filter::at(sites);
                    let ranges = ranges(&urgency, after);
                    let sites = &site_batches(&filter.sites)[0];
                    let wanted = (&filter, Some("ada"));
                    let lines = plan(&db, statement(&ranges, wanted, sites, 50)).await;
                    let (join, keys): (Vec<_>, Vec<_>) =
                        lines.iter().partition(|line| line.ends_with("(id=?)"));
                    assert!(join.len() == 1 && keys.len() == 1, "{filter:?}: {lines:?}");
                    let range = format!("{index}(received_at,id)>(?,?) AND received_at<?)");
                    assert!(keys[0].ends_with(&range), "{filter:?}: {lines:?}");
                    let counted = plan(&db, count(wanted, sites)).await;
                    let is_of_index = |line: &String| line.contains("INDEX image_waiting");
                    assert!(counted.iter().all(is_of_index), "{filter:?}: {counted:?}");
                }
            }
        }
        db.close().await;
    }
}
